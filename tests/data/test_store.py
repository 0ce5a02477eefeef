import os
import shutil

import numpy as np
import pandas as pd
import pytest

from stages import digests, split_lists
from stages.data import values
from stages.data.store import COLUMNS, StoreWriter, create_array, open_array, open_split, open_store
from stages.errors import InputError
from stages.split_lists import SplitList


def batch(n, start=0):
    generator = np.random.default_rng(start)
    images, masks = generator.random((n, 2, 8, 8)), generator.integers(0, 2, (n, 8, 8))
    rows = [
        {
            "slice_id": f"case_z{start + i:03d}",
            "subject_id": "NA",  # a name, not a missing value
            "position": start + i,
            "label": i % 2,
            "lesion_pixels": int(masks[i].sum()),
            "source": 'HGG/a "case", with comma',
            "affine": "[[1.0, 0.0], [0.0, 1.0]]",
        }
        for i in range(n)
    ]
    return images, masks, rows


@pytest.fixture
def folder(tmp_path):
    with StoreWriter(tmp_path / "data", 2, 8) as writer:
        for start in range(0, 120, 12):  # past 9 and 99: the header's N grows by digits
            writer.append(*batch(12, start))
    return tmp_path / "data"


def test_what_is_written_is_read(folder):
    found = open_store(folder)
    batches = [batch(12, start) for start in range(0, 120, 12)]
    assert len(found) == 120
    assert isinstance(found.images, np.memmap)
    assert not found.images.flags.writeable
    assert found.images.dtype == np.float16
    assert found.masks.dtype == np.uint8
    np.testing.assert_array_equal(found.images, np.concatenate([images for images, _, _ in batches]).astype("float16"))
    np.testing.assert_array_equal(found.masks, np.concatenate([masks for _, masks, _ in batches]))
    assert list(found.manifest.columns) == list(COLUMNS)
    assert found.manifest.to_dict("records") == [row for _, _, rows in batches for row in rows]


def test_arrays_are_plain_npy_files(folder):
    np.testing.assert_array_equal(np.load(folder / "images.npy"), open_store(folder).images)
    assert sorted(path.name for path in folder.iterdir()) == ["digests.json", "images.npy", "manifest.csv", "masks.npy"]


def test_store_without_masks(tmp_path, folder):
    images, _, rows = batch(3)
    with StoreWriter(folder, 2, 8, masks=False) as writer:  # over a store that has some
        writer.append(images, None, rows)
    assert open_store(folder).masks is None
    assert len(open_store(folder)) == 3


def fail_in_the_middle(folder):
    with StoreWriter(folder, 2, 8) as writer:
        writer.append(*batch(3))
        raise RuntimeError


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        fail_in_the_middle(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_exception_leaves_an_earlier_store(folder):
    before = open_store(folder).content_hash()
    with pytest.raises(RuntimeError):
        fail_in_the_middle(folder)
    assert open_store(folder).content_hash() == before
    assert not list(folder.glob("*.partial"))


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_writer_refuses_values_outside_0_1(tmp_path, value):
    images, masks, rows = batch(2)
    images[1, 0, 3, 3] = value
    with pytest.raises(ValueError, match="must lie in"), StoreWriter(tmp_path / "new", 2, 8) as writer:
        writer.append(images, masks, rows)


def test_writer_refuses_shapes_that_differ(tmp_path):
    images, masks, rows = batch(2)
    for bad in [
        (images[:, :1], masks, rows),
        (images, masks[:1], rows),
        (images, None, rows),
        (images, masks, rows[1:]),
    ]:
        with pytest.raises(ValueError, match=r"expected|masks must"), StoreWriter(tmp_path / "new", 2, 8) as writer:
            writer.append(*bad)


def test_writer_refuses_other_labels_areas_and_names_that_repeat(tmp_path):
    images, masks, rows = batch(2)
    with pytest.raises(ValueError, match="case_z001: the label must be 0 or 1, not 2"):
        write(tmp_path / "new", (images, masks, [rows[0], {**rows[1], "label": 2}]))
    area = rows[1]["lesion_pixels"]
    with pytest.raises(ValueError, match=f"case_z001: lesion_pixels is {area + 1}, its mask has {area}"):
        write(tmp_path / "new", (images, masks, [rows[0], {**rows[1], "lesion_pixels": area + 1}]))
    with pytest.raises(ValueError, match="two slices are named case_z000"):
        write(tmp_path / "new", (images, masks, rows), (images[:1], masks[:1], rows[:1]))
    assert not (tmp_path / "new").exists()


def write(folder, *batches):
    with StoreWriter(folder, 2, 8) as writer:
        for one in batches:
            writer.append(*one)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def overwrite(path, start, content):
    before = bytearray(path.read_bytes())
    start %= len(before)
    before[start : start + len(content)] = content
    path.write_bytes(before)


def rewrite_manifest(change):
    def damage(folder):
        frame = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        change(frame).to_csv(folder / "manifest.csv", index=False)

    return damage


NOT_NPY = r"npy is truncated, damaged or no \.npy file"
NOT_CSV = r"manifest\.csv is truncated, damaged or no \.csv file"
DAMAGE = {
    "images missing": (lambda f: (f / "images.npy").unlink(), r"images\.npy is missing"),
    "manifest missing": (lambda f: (f / "manifest.csv").unlink(), r"manifest\.csv is missing"),
    "all missing": (shutil.rmtree, r"images\.npy is missing"),
    "folder": (
        lambda f: [(f / "masks.npy").unlink(), (f / "masks.npy").mkdir()],
        r"masks\.npy cannot be read \(it is no regular file",
    ),
    "images truncated": (lambda f: truncate(f / "images.npy"), NOT_NPY),
    "masks truncated": (lambda f: truncate(f / "masks.npy"), NOT_NPY),
    "header cut": (lambda f: (f / "masks.npy").write_bytes((f / "masks.npy").read_bytes()[:40]), NOT_NPY),
    "header damaged": (lambda f: overwrite(f / "masks.npy", 11, b"((("), NOT_NPY),
    "not npy": (lambda f: (f / "images.npy").write_text("hello, I am not an array"), NOT_NPY),
    "empty file": (lambda f: (f / "images.npy").write_bytes(b""), NOT_NPY),
    "objects": (lambda f: np.save(f / "images.npy", np.array([{}]), allow_pickle=True), "Python objects"),
    "float32": (lambda f: np.save(f / "images.npy", np.zeros((120, 2, 8, 8), "f4")), "float32 where float16"),
    "3 axes": (lambda f: np.save(f / "images.npy", np.zeros((120, 8, 8), "f2")), r"has shape \(120, 8, 8\)"),
    "other masks": (lambda f: np.save(f / "masks.npy", np.zeros((119, 8, 8), "u1")), r"masks\.npy has shape"),
    "no slices": (lambda f: np.save(f / "images.npy", np.zeros((0, 2, 8, 8), "f2")), "holds no slice"),
    "rows": (rewrite_manifest(lambda m: m.iloc[1:]), r"119 rows for the 120 slices"),
    "column": (rewrite_manifest(lambda m: m.drop(columns="label")), NOT_CSV + r".*not found: \['label'\]"),
    "text": (rewrite_manifest(lambda m: m.assign(label="sick")), NOT_CSV + ".*'sick'"),
    "fraction": (rewrite_manifest(lambda m: m.assign(position="1.5")), NOT_CSV),
    "no number": (rewrite_manifest(lambda m: m.assign(position="")), NOT_CSV),
    "empty manifest": (lambda f: (f / "manifest.csv").write_text(""), NOT_CSV),
    "bytes": (lambda f: overwrite(f / "manifest.csv", -9, b"\xff\xfe"), NOT_CSV),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_stores_are_refused_in_one_sentence(folder, case):
    damage, message = DAMAGE[case]
    damage(folder)
    with pytest.raises(InputError) as changed:
        open_store(folder)
    if folder.exists():
        digests.write(folder)  # as if it had been written so
    with pytest.raises(InputError, match=message) as caught:
        open_store(folder)
    for sentence in (str(changed.value), str(caught.value)):
        assert sentence.startswith(str(folder))
        by_snakemake = f"run Snakemake again for it (snakemake -- {folder})"
        assert sentence.endswith(("; make it again with the rule that writes it", by_snakemake))
        assert "\n" not in sentence


# --- splits ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def split_list(folder, tmp_path):
    """Subjects A, B and C of 40 slices each, in no order; A and C to train on, B to test."""
    path = folder / "manifest.csv"
    manifest = pd.read_csv(path, dtype=str, keep_default_na=False)
    manifest["subject_id"] = np.random.default_rng(0).permutation(list("ABC") * 40)
    manifest.to_csv(path, index=False)
    digests.write(folder)
    split_lists.write(tmp_path / "fold1.csv", SplitList("subject_id", {"A": "train", "B": "test", "C": "train"}))
    return tmp_path / "fold1.csv"


def test_a_split_is_these_rows_of_the_store(folder, split_list):
    whole = open_store(folder)
    for split, subjects in (("train", ["A", "C"]), ("test", ["B"])):
        part, rows = open_split(folder, split_list, split), whole.manifest["subject_id"].isin(subjects)
        assert len(part) == rows.sum()
        np.testing.assert_array_equal(part.images, whole.images[rows])
        np.testing.assert_array_equal(part.masks, whole.masks[rows])
        assert (part.images.dtype, part.masks.dtype) == (np.float16, np.uint8)
        pd.testing.assert_frame_equal(part.manifest, whole.manifest[rows].reset_index(drop=True))


def test_a_split_by_slices(folder, tmp_path):
    names = open_store(folder).manifest["slice_id"]
    splits = ["train", "unused", "validation"] * 40
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str).assign(subject_id=["A", "A", "B"] * 40)
    manifest.to_csv(folder / "manifest.csv", index=False)
    digests.write(folder)
    split_lists.write(tmp_path / "list.csv", SplitList("slice_id", dict(zip(names, splits, strict=True))))
    part = open_split(folder, tmp_path / "list.csv", "validation")
    assert part.manifest["slice_id"].tolist() == names[2::3].tolist()


def test_a_split_without_masks(folder, split_list):
    (folder / "masks.npy").unlink()
    digests.write(folder)
    assert open_split(folder, split_list, "test").masks is None


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"A": "train", "B": "test"}, "lacks the subject C: add it, as unused if"),
        (dict.fromkeys("ABC", "train") | {"D": "unused"}, "names the subject D, which the data set lacks"),
        (dict.fromkeys("ABC", "train"), "puts no slice of .*data into test: ask for some in data.split"),
    ],
)
def test_lists_that_do_not_fit_are_refused(folder, split_list, lists, message):
    split_lists.write(split_list, SplitList("subject_id", lists))
    with pytest.raises(InputError, match=message) as caught:
        open_split(folder, split_list, "test")
    assert str(caught.value).startswith(str(split_list))
    assert "\n" not in str(caught.value)


def test_a_patient_in_two_splits_is_refused(folder, split_list):
    names = open_store(folder).manifest["slice_id"]
    split_lists.write(split_list, SplitList("slice_id", dict.fromkeys(names, "train") | {names[7]: "test"}))
    with pytest.raises(
        InputError, match=r"fold1\.csv puts slices of \w into (train and test|test and train): choose one"
    ):
        open_split(folder, split_list, "train")


@pytest.mark.parametrize("value", [-0.5, 1.001, np.nan, np.inf])
def test_values_outside_0_1_are_refused_even_with_their_digest(folder, value):
    images = np.load(folder / "images.npy")
    images[3, 0, 5, 5] = -0.0
    np.save(folder / "images.npy", images)
    digests.write(folder)
    assert len(open_store(folder)) == 120
    images[3, 0, 5, 5] = value
    np.save(folder / "images.npy", images)
    digests.write(folder)
    with pytest.raises(InputError, match=r"images\.npy holds values outside \[0, 1\]; delete its folder"):
        open_store(folder)


def test_a_pipe_is_refused_and_not_waited_for(folder):
    (folder / "images.npy").unlink()
    os.mkfifo(folder / "images.npy")
    with pytest.raises(InputError, match=r"images\.npy cannot be read \(it is no regular file\)"):
        open_store(folder)
    with pytest.raises(InputError, match=r"images\.npy cannot be read \(it is no regular file\)"):
        open_array(folder / "images.npy")


# --- hashes ----------------------------------------------------------------------------------------------------------


def change_byte(folder, name, row):
    """Change the last bit but one of what one slice has in an array."""
    array = np.lib.format.open_memmap(folder / name, mode="r+")
    array[row].view(np.uint8).reshape(-1)[-1] ^= 1
    array.flush()


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "manifest.csv"])
def test_content_hash_sees_its_rows_and_no_others(folder, split_list, name):
    whole = open_store(folder)
    row = int(np.flatnonzero(whole.manifest["subject_id"] == "B")[-1])
    before = {split: open_split(folder, split_list, split).content_hash() for split in ("train", "test")}
    before["whole"] = whole.content_hash()
    if name == "manifest.csv":
        manifest = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        manifest.loc[row, "source"] += "!"
        manifest.to_csv(folder / name, index=False)
    else:
        change_byte(folder, name, row)
    digests.write(folder)
    assert open_store(folder).content_hash() != before["whole"]
    assert open_split(folder, split_list, "test").content_hash() != before["test"]
    assert open_split(folder, split_list, "train").content_hash() == before["train"]


def test_content_hash_sees_whether_there_are_masks(folder):
    before = open_store(folder).content_hash()
    (folder / "masks.npy").unlink()
    digests.write(folder)
    assert open_store(folder).content_hash() != before


def test_content_hash_does_not_depend_on_the_way_to_the_rows(folder, split_list, monkeypatch):
    split_lists.write(split_list, SplitList("subject_id", dict.fromkeys("ABC", "train")))
    before = open_store(folder).content_hash()
    assert open_split(folder, split_list, "train").content_hash() == before
    monkeypatch.setattr(values, "AT_ONCE", 1000)
    assert open_store(folder).content_hash() == before


# --- single arrays ---------------------------------------------------------------------------------------------------


def test_create_array(tmp_path):
    path = tmp_path / "maps" / "maps.npy"
    with create_array(path, (3, 4), np.float16) as array:
        array[:] = 0.5
        assert not path.exists()
    np.testing.assert_array_equal(open_array(path, (None, 4), np.float16), np.full((3, 4), 0.5))
    with pytest.raises(RuntimeError), create_array(path, (3, 4), np.float16):
        raise RuntimeError
    assert [file.name for file in path.parent.iterdir()] == ["maps.npy"]
    assert open_array(path)[0, 0] == 0.5


def test_open_array_names_the_expected_shape(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"a\.npy has shape \(3, 4\) where \(any, 5\) is expected"):
        open_array(tmp_path / "a.npy", (None, 5))
    with (tmp_path / "a.npy").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match="is longer than its header says"):
        open_array(tmp_path / "a.npy")


def test_open_array_keeps_fortran_order_and_empty_arrays(tmp_path):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.save(tmp_path / "f.npy", array)
    np.testing.assert_array_equal(open_array(tmp_path / "f.npy"), array)
    np.save(tmp_path / "e.npy", array[:0])
    assert open_array(tmp_path / "e.npy").shape == (0, 3)
