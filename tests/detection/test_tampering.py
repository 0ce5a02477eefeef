"""Nothing damaged is used in silence: each artefact of a tiny pipeline, damaged in each way, is refused by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages import digests
from stages.data.store import open_split
from stages.detection.guided_ddim import GuidedDdim
from stages.errors import InputError
from stages.evaluation.maps import open_images, open_maps

OPTIONS = {"encode_class": "none", "decode_class": "healthy"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def blank(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-len(content) // 3 :] = bytes(len(content[-len(content) // 3 :]))
    path.write_bytes(content)


def swap(path: Path) -> None:
    """Put another array of the same shape in its place: of another class, level, split."""
    array = np.load(path)
    np.save(path, array[::-1])


DAMAGE = [cut, flip, blank, swap, Path.unlink]
ARRAYS = [
    "store/images.npy",
    "store/masks.npy",
    "latents/train/L20.npy",
    "maps/train/maps.npy",
    "maps/train/images.npy",
]
CHECKPOINT = "denoiser.safetensors"
CASES = [(name, damage) for name in ARRAYS for damage in DAMAGE]
CASES += [(name, damage) for name in ("store/manifest.csv", CHECKPOINT) for damage in (cut, flip, blank)]


def refusal(read: Callable[[str], None], name: str) -> str:
    try:
        read(name)
    except InputError as error:
        return str(error)
    return f"{name} was used in silence"


@pytest.fixture
def pipeline(networks, tiny_store, tiny_split_list, data, encoded, detected):
    """A folder of store, latents and maps, all written by their stages; and what reads them one after another."""
    shutil.copytree(tiny_store, networks / "store")
    digests.write(networks / "store")
    data[1] = str(networks / "store")
    encoded()

    def detect():
        detected(GuidedDdim, {"L": 20, "s": 0}, OPTIONS)

    detect()

    def read(name: str) -> None:
        if name.startswith("maps"):
            store = open_split(networks / "store", tiny_split_list, "train")
            open_maps(networks / "maps/train", store)
            open_images(networks / "maps/train", store)
        else:
            detect()

    return networks, read, encoded


def test_damage_is_refused_in_a_sentence_that_names_the_file(pipeline):
    folder, read, _ = pipeline
    for name, damage in CASES:
        path, case = folder / name, f"{name}, {damage.__name__}"
        whole = path.read_bytes()
        damage(path)
        sentence = refusal(read, name)
        path.write_bytes(whole)
        assert sentence.startswith(str(path)), case
        assert "\n" not in sentence, case
        if name != CHECKPOINT:
            assert f"(rm -r {folder / name.split('/')[0]}) and run Snakemake again" in sentence, case


def test_what_is_deleted_and_made_again_is_read(pipeline):
    folder, read, encoded = pipeline
    flip(folder / "latents/train/L20.npy")
    with pytest.raises(InputError, match="not what was written"):
        read("latents")
    shutil.rmtree(folder / "latents")
    encoded()
    read("latents")


def test_a_whole_folder_in_the_place_of_another_is_refused(pipeline):
    folder, read, encoded = pipeline
    encoded("other", "healthy")
    shutil.rmtree(folder / "latents")
    shutil.copytree(folder / "other", folder / "latents")
    with pytest.raises(InputError, match=r"digests\.json says that this folder is a copy of .*/other: move it back"):
        read("latents")
