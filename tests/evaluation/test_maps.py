"""Maps and reconstructions of some slices of a split: opened, scored, summarised."""

import numpy as np
import pandas as pd
import pytest

from stages.data.rows import held
from stages.data.store import StoreWriter, open_store
from stages.errors import InputError
from stages.evaluation.maps import open_images, open_maps
from stages.evaluation.metrics import bodies
from stages.evaluation.scores import score_slices
from stages.evaluation.summary import summarise

SIZE, COUNT = 16, 8


@pytest.fixture
def store(tmp_path):
    """Eight slices of two volumes, of which the odd ones are diseased."""
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "data", channels=2, size=SIZE) as writer:
        for n in range(COUNT):
            mask = np.zeros((1, SIZE, SIZE), np.uint8)
            mask[0, 4 : 4 + n, 4:8] = n % 2
            row = {"slice_id": f"s{n}", "subject_id": f"p{n // 4}", "position": n, "source": f"v{n // 4}"}
            row |= {"label": n % 2, "lesion_pixels": int(mask.sum()), "affine": "[]"}
            writer.append(rng.uniform(0.1, 1, (1, 2, SIZE, SIZE)), mask, [row])
    return open_store(tmp_path / "data")


@pytest.fixture
def folder(tmp_path, store):
    """Maps of the diseased slices and of s2; the reconstructions of s2 and s5."""
    rng = np.random.default_rng(1)
    np.save(tmp_path / "maps.npy", rng.uniform(size=(5, SIZE, SIZE)).astype(np.float16))
    np.save(tmp_path / "images.npy", rng.uniform(size=(2, 2, SIZE, SIZE)).astype(np.float16))
    (tmp_path / "slices.csv").write_text("slice_id\ns1\ns2\ns3\ns5\ns7\n")
    (tmp_path / "images.csv").write_text("slice_id\ns2\ns5\n")
    return tmp_path


def score(maps, store):
    return score_slices(maps, store.masks, store.manifest, 20, "maps.npy", bodies(store.images), 0.9)


def test_rows_are_those_of_the_split(folder, store):
    maps, images = open_maps(folder, store), open_images(folder, store)
    assert maps.shape == (COUNT, SIZE, SIZE)
    assert images.shape == (COUNT, 2, SIZE, SIZE)
    assert held(maps).tolist() == [1, 2, 3, 5, 7]
    assert held(images).tolist() == [2, 5]
    np.testing.assert_array_equal(maps[[1, 5]], np.load(folder / "maps.npy")[[0, 3]])
    np.testing.assert_array_equal(images[5, 1], np.load(folder / "images.npy")[1, 1])
    with pytest.raises(KeyError):
        maps[4]


def test_without_lists_all_slices_are_there_and_reconstructions_are_those_of_the_maps(folder, store):
    (folder / "images.csv").unlink()
    np.save(folder / "images.npy", np.zeros((5, 2, SIZE, SIZE), np.float16))
    assert held(open_images(folder, store)).tolist() == [1, 2, 3, 5, 7]
    (folder / "slices.csv").unlink()
    np.save(folder / "maps.npy", np.zeros((COUNT, SIZE, SIZE), np.float16))
    assert isinstance(open_maps(folder, store), np.ndarray)
    (folder / "images.npy").unlink()
    assert open_images(folder, store) is None


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ("s1 s2 s3 s5", r"maps\.npy has shape"),
        ("s1 s2 s3 s5 s9", "names s9, which is not in the split"),
        ("s2 s1 s3 s5 s7", "must list slices in the order of"),
        ("s1 s1 s3 s5 s7", "must list slices in the order of"),
    ],
)
def test_lists_that_do_not_fit_are_refused(folder, store, ids, sentence):
    (folder / "slices.csv").write_text("slice_id\n" + ids.replace(" ", "\n") + "\n")
    with pytest.raises(InputError, match=sentence):
        open_maps(folder, store)


def test_diseased_slices_score_as_with_all_maps_and_the_rest_stays_empty(folder, store):
    part = open_maps(folder, store)
    whole = np.zeros(part.shape, np.float16)
    whole[held(part)] = part[held(part)]
    some, every = score(part, store), score(whole, store)
    of_slice = ["otsu", "average_otsu", "dice_average_otsu", "dice_own_otsu", "auroc", "auroc_body", "mean_map"]
    pd.testing.assert_frame_equal(some.loc[held(part), of_slice], every.loc[held(part), of_slice])
    same = ["slice_id", "subject_id", "label", "lesion_pixels", "scored", "body_share"]
    pd.testing.assert_frame_equal(some[same], every[same])
    assert some.loc[[0, 4, 6], ["otsu", "mean_map", "predicted_pixels", "lesions"]].isna().all(axis=None)
    assert some[["one_finding", "lesions_found", "false_findings"]].isna().all(axis=None)
    found, full = summarise(some), summarise(every)
    for metric in ("dice_average_otsu", "dice_own_otsu", "auroc", "auroc_body", "dice_healthy_quantile"):
        assert found[metric] == full[metric]
    for metric in (
        *("image_auroc", "image_auroc_max", "healthy_mean_map", "mean_map_ratio"),
        *("dice_3d", "lesion_rate", "healthy_marked"),
    ):
        assert np.isnan(found[metric]), metric
        assert np.isfinite(full[metric]), metric
    assert found["diseased_mean_map"] == full["diseased_mean_map"]


def test_every_diseased_slice_needs_a_map(folder, store):
    (folder / "slices.csv").write_text("slice_id\ns0\ns1\ns2\ns3\ns5\n")
    with pytest.raises(InputError, match=r"maps\.npy has no map of 's7', though diseased"):
        score(open_maps(folder, store), store)
