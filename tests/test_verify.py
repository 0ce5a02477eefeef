"""`make verify`: what no rule has read yet."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stages import checkpoint, digests, split_lists, verify
from stages.data.store import StoreWriter, create_array, open_split
from stages.errors import InputError
from stages.split_lists import SplitList


@pytest.fixture
def results(tmp_path):
    """A store, latents, maps of smoke's vae, someone else's maps and a checkpoint, as results/smoke holds them."""
    folder = tmp_path / "results/smoke"
    row = {
        "slice_id": "a",
        "subject_id": "a",
        "position": 0,
        "label": 0,
        "lesion_pixels": 0,
        "source": "",
        "affine": "",
    }
    with StoreWriter(folder / "data", channels=1, size=8) as writer:
        writer.append(np.full((1, 1, 8, 8), 0.5), np.zeros((1, 8, 8)), [row])
    for output, name in (
        ("latents/fold1-seed0/none", "test/L20.npy"),
        ("maps/fold1-seed0/vae/default", "test/maps.npy"),
    ):
        with create_array(folder / output / name, (1, 8, 8), np.float16) as array:
            array[:] = 0.25
        digests.write(folder / output)
    elsewhere = folder / "maps/fold1-seed0/elsewhere/default/test"
    elsewhere.mkdir(parents=True)
    np.save(elsewhere / "maps.npy", np.zeros((1, 8, 8), np.float16))
    checkpoint.save(
        folder / "checkpoints/fold1-seed0/vae.safetensors", {"weight": torch.ones(100)}, {"stage": "train_vae"}
    )
    return folder


@pytest.fixture
def verified(results):
    def run():
        verify.main(verify.arguments().parse_args(["smoke", "--results", str(results.parent)]))

    return run


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 64
    path.write_bytes(content)


def test_whole_results_pass(verified, capsys):
    verified()
    assert capsys.readouterr().out == "smoke: 4 stores, folders and checkpoints looked at\n"


@pytest.mark.parametrize("damage", [flip, Path.unlink])
@pytest.mark.parametrize(
    "name",
    [
        "data/images.npy",
        "data/manifest.csv",
        "latents/fold1-seed0/none/test/L20.npy",
        "maps/fold1-seed0/vae/default/test/maps.npy",
    ],
)
def test_what_was_changed_is_named(results, verified, capsys, name, damage):
    damage(results / name)
    with pytest.raises(InputError, match="1 of them are not as they were written"):
        verified()
    assert capsys.readouterr().err.startswith(str(results / name))


@pytest.mark.parametrize("name", ["maps/fold1-seed0/vae/default", "latents/fold1-seed0/none", "data"])
def test_own_results_need_their_digests(results, verified, capsys, name):
    (results / name / digests.FILE).unlink()
    with pytest.raises(InputError, match="1 of them are not as they were written"):
        verified()
    assert capsys.readouterr().err.startswith(str(results / name / digests.FILE))


def test_checkpoints_are_read(results, verified, capsys):
    flip(results / "checkpoints/fold1-seed0/vae.safetensors")
    with pytest.raises(InputError, match="1 of them"):
        verified()
    assert (
        "vae.safetensors was changed after it was written: its weights do not match its header"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("trained_on", ["these", "others"])
def test_checkpoints_are_of_what_their_split_list_names(results, verified, capsys, trained_on):
    split_lists.write(results / "split/fold1.csv", SplitList("subject_id", {"a": "train"}))
    data = open_split(results / "data", results / "split/fold1.csv", "train").content_hash()
    header = {"repeat": "fold1-seed0", "data_sha256": data if trained_on == "these" else "0" * 64}
    checkpoint.save(results / "checkpoints/fold1-seed0/vae.safetensors", {"weight": torch.ones(1)}, header)
    if trained_on == "these":
        verified()
        return
    with pytest.raises(InputError, match="1 of them"):
        verified()
    assert "vae.safetensors was trained on other images than " in capsys.readouterr().err


def test_no_results_are_said_to_be_none(tmp_path):
    with pytest.raises(InputError, match="holds no results: run Snakemake with --config run=smoke"):
        verify.main(verify.arguments().parse_args(["smoke", "--results", str(tmp_path)]))
