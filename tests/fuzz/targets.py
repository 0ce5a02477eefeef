"""What is fuzzed: for each kind of file, valid small ones and how the project reads one that has been changed."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from PIL import Image

from stages import checkpoint, split_lists
from stages.data.brats_case import read_volume
from stages.data.chexpert_table import Tree, read_table
from stages.data.labelled_radiographs import Recipe, read_radiograph
from stages.data.radiographs import read_grey
from stages.data.store import StoreWriter, open_store
from stages.errors import InputError
from stages.evaluation.maps import open_maps
from stages.networks.foreign_layouts import Told
from stages.networks.import_checkpoint import read_foreign
from stages.networks.unet import UNet
from stages.parameters import reading
from tests.synthetic_chexpert import TREE, write_tree

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        seeds: valid files to change.
        read: reads the file at a path as the project does, all of it; raises InputError where it refuses.
        file: its name in the folder.
        words: what is spliced into it.
    """

    seeds: list[bytes]
    read: Callable[[Path], object]
    file: str
    words: tuple[bytes, ...] = ()


NUMBERS = tuple(
    struct.pack(code, value) for code, value in (("<i", -1), ("<h", 32767), ("<f", float("nan")), ("<q", 2**62))
)
PATHS = (b"../../outside.png", b"/etc/passwd", b"=cmd()", b"\0", b'"', b"\n", b",", b"\xff\xfe", b"x" * 5000)


def small_network() -> UNet:
    torch.manual_seed(1)
    return UNet(16, 1, 4, [1], 1, attention=[], heads=1, groups=2)


def nifti(_: Path) -> Target:
    volume = np.arange(240, dtype=np.int16).reshape(8, 6, 5)
    plain = nib.Nifti1Image(volume, np.eye(4)).to_bytes()
    return Target(
        [plain, gzip.compress(plain, mtime=0)], lambda path: read_volume(path, "case", 16), "a.nii.gz", NUMBERS
    )


def radiograph(_: Path) -> Target:
    image = Image.fromarray((np.arange(480) % 251).astype(np.uint8).reshape(20, 24))
    seeds = []
    for kind in ("JPEG", "PNG", "TIFF", "GIF", "BMP"):
        image.save(stream := io.BytesIO(), kind)
        seeds.append(stream.getvalue())

    def read(path: Path) -> None:
        try:
            read_grey(path)
        except ValueError as error:
            raise InputError(str(error)) from error  # as read_radiograph does

    return Target(seeds, read, "a.jpg", NUMBERS)


def chexpert_table(folder: Path) -> Target:
    tree = folder / TREE
    write_tree(folder)

    def read(path: Path) -> None:
        for item in read_table(Tree(path.parent, path.parent), "No Finding", "Pleural Effusion", "Frontal").radiographs:
            read_radiograph(item, Recipe(8, None))

    return Target([(tree / "train.csv").read_bytes()], read, f"{TREE}/train.csv", PATHS)


def split_list(_: Path) -> Target:
    return Target([b"subject_id,split\na,train\nb,test\nc,unused\n"], split_lists.read, "list.csv", PATHS)


def params(_: Path) -> Target:
    smallest = (
        b"run: [a]\npaper: {seed: 0, data: {size: 64}}\nbenchmarks:\n  a: &a {seed: 1}\n  b: {inherits: a, <<: *a}\n"
    )
    words = (
        b"&b [*b]",
        b"*a",
        b"!!int x",
        b"2020-13-45",
        b"!!python/name:os.system",
        b"[" * 3000,
        b"9" * 5000,
        b": ",
        b"\0",
    )
    return Target([(ROOT / "params.yaml").read_bytes(), smallest, smallest], reading.load, "params.yaml", words)


def trained(folder: Path) -> Target:
    checkpoint.save(folder / "seed", small_network().state_dict(), {"stage": "denoiser"})
    network = small_network()
    seed = (folder / "seed").read_bytes()
    return Target([seed], lambda path: checkpoint.load_into(network, path), "a.safetensors", (*NUMBERS, b"{", b'"'))


def foreign(_: Path) -> Target:
    network = small_network()
    torch.save(network.state_dict(), stream := io.BytesIO())
    deflated = io.BytesIO()
    with zipfile.ZipFile(stream) as stored, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in stored.infolist():
            archive.writestr(entry.filename, stored.read(entry))
    read = lambda path: read_foreign(path, network, Told(healthy_class=0))  # noqa: E731
    calls = (b"cbuiltins\nbytearray\n", b"cposix\nsystem\n", b"R", b".", b"\x93")
    return Target([stream.getvalue(), deflated.getvalue()], read, "a.pt", (*NUMBERS, *calls))


def _store(folder: Path) -> None:
    rows = [
        {
            "slice_id": f"a_z{z}",
            "subject_id": "a",
            "position": z,
            "label": 0,
            "lesion_pixels": 0,
            "source": "a",
            "affine": "[]",
        }
        for z in range(2)
    ]
    with StoreWriter(folder, 1, 4, False) as store:
        store.append(np.full((2, 1, 4, 4), 0.5, np.float16), None, rows)


def manifest(folder: Path) -> Target:
    _store(folder)
    return Target([(folder / "manifest.csv").read_bytes()], lambda path: open_store(path.parent), "manifest.csv", PATHS)


def foreign_maps(folder: Path) -> Target:
    _store(folder)
    store = open_store(folder)
    np.save(stream := io.BytesIO(), np.zeros((2, 4, 4), np.float16))
    words = (*NUMBERS, b"(", b"'descr': '|O'", b"99999999999")
    return Target([stream.getvalue()], lambda path: np.asarray(open_maps(path.parent, store)), "maps.npy", words)


TARGETS = {
    "nifti": nifti,
    "radiograph": radiograph,
    "chexpert-table": chexpert_table,
    "split-list": split_list,
    "params": params,
    "checkpoint": trained,
    "import": foreign,
    "manifest": manifest,
    "foreign-maps": foreign_maps,
}
