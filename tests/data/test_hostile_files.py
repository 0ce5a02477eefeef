"""Volumes, radiographs and tables that promise more than they hold, block, or lead elsewhere."""

import gzip
import os
import struct
import tracemalloc
import zlib

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from synthetic_chexpert import TREE, path_of, row, write_image, write_tables

from stages import split_lists
from stages.data.brats_case import read_volume
from stages.data.chexpert_table import Tree, read_table
from stages.data.extraction import BadCaseError
from stages.data.labelled_radiographs import Recipe, find_files
from stages.data.radiographs import read_grey
from stages.errors import InputError

MEGABYTE = 2**20


def header(*shape: int) -> bytes:
    """A NIfTI header of a volume of that shape, 16 bits a voxel."""
    content = bytearray(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)).to_bytes()[:352])
    content[40:48] = struct.pack("<4h", 3, *shape)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (header(32767, 32767, 32767), "too large"),
        (gzip.compress(header(8, 8, 8) + bytes(64 * MEGABYTE)), "more than its header says"),
        (header(-8, 8, 8), "truncated, damaged or not NIfTI"),
        (header(8, 8, 8), "truncated, damaged or not NIfTI"),
    ],
)
def test_a_volume_takes_no_more_memory_than_a_benchmark_can_use(tmp_path, content, sentence):
    (tmp_path / "a.nii").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(BadCaseError, match=sentence):
            read_volume(tmp_path / "a.nii", "a", 16)
        assert tracemalloc.get_traced_memory()[1] < 16 * MEGABYTE
    finally:
        tracemalloc.stop()


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    shape = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_radiographs_that_are_too_large_or_several(tmp_path):
    path = tmp_path / "a.png"
    for side in (5000, 30000):  # beyond our limit, and beyond Pillow's
        path.write_bytes(png(side, side))
        with pytest.raises(ValueError, match="too large"):
            read_grey(path)
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    grey.save(path, save_all=True, append_images=[grey.rotate(90)])
    with pytest.raises(ValueError, match="several pictures"):
        read_grey(path)
    grey.convert("CMYK").save(path, "JPEG")
    with pytest.raises(ValueError, match="mode CMYK"):
        read_grey(path)
    grey.save(path, "EPS")  # whose decoder calls a program
    with pytest.raises(ValueError, match="no image"):
        read_grey(path)


def test_what_is_no_file_blocks_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, reason in (
        ("pipe", "not a regular file"),
        ("circle", "cannot be read"),
        (".", "cannot be read|not a reg"),
    ):
        with pytest.raises(BadCaseError, match=reason):
            read_volume(tmp_path / name, "a")
        with pytest.raises(ValueError, match=reason):
            read_grey(tmp_path / name)
        with pytest.raises(InputError, match="not a readable CSV file"):
            split_lists.read(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../../etc/passwd", "leaves the data set's folder"),
        ("/etc/passwd/a/b", "leaves the data set's folder"),
        (f"{TREE}/train/=cmd()/study1/view1.png", "formula"),
        (f"{TREE}/train/p\0/study1/view1.png", "control character"),
        (f"{TREE}/train/p/study1/{'x' * 300}.png", "longer than any file's"),
    ],
)
def test_paths_of_a_table_that_no_data_set_has(tmp_path, path, reason):
    (tmp_path / TREE).mkdir()
    write_tables(tmp_path, [row(path, "1.0")])
    (bad,) = read_table(Tree(tmp_path / TREE, tmp_path / TREE), "No Finding", "Pleural Effusion", "Frontal").bad
    assert reason in bad.reason
    assert "\n" not in str(bad)


def test_a_link_out_of_the_tree_is_refused(tmp_path):
    outside = write_image(tmp_path, "outside.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    image = tmp_path / path_of(1)
    image.parent.mkdir(parents=True)
    image.symlink_to(outside)
    write_tables(tmp_path, [row(path_of(1), "1.0")])
    (item,) = read_table(
        Tree(tmp_path / TREE, tmp_path / TREE), "No Finding", "Pleural Effusion", "Frontal"
    ).radiographs
    with pytest.raises(BadCaseError, match="a link that leads out of the data set's folder"):
        find_files(item, Recipe(8, None))
