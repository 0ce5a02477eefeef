"""What is fuzzed: for each kind of file, valid small ones and how the project reads one that has been changed."""

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from PIL import Image
from pydicom import dcmread
from pydicom.uid import RLELossless

from stages import checkpoint, split_lists
from stages.data import images
from stages.data.brats_case import read_volume
from stages.data.chexpert_table import Tree, read_table
from stages.data.dicom import read_dicom
from stages.data.image_tree import Item, find_images
from stages.data.labelled_radiographs import Recipe, read_radiograph
from stages.data.radiographs import read_grey
from stages.data.store import DISEASED, StoreWriter, open_store
from stages.errors import InputError
from stages.evaluation.maps import open_maps
from stages.networks.foreign_layouts import Told
from stages.networks.import_checkpoint import read_foreign
from stages.networks.unet import UNet
from stages.parameters import reading
from tests import synthetic_dicom
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
        prepare: makes what lies beside a changed file and depends on it.
    """

    seeds: list[bytes]
    read: Callable[[Path], object]
    file: str
    words: tuple[bytes, ...] = ()
    prepare: Callable[[Path], object] = lambda path: None


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


def _or_refuse(read: Callable[[], object]) -> None:
    """Read; a ValueError is a refusal, which the readers put behind the name of the file."""
    try:
        read()
    except ValueError as error:
        raise InputError(str(error)) from error


def radiograph(_: Path) -> Target:
    image = Image.fromarray((np.arange(480) % 251).astype(np.uint8).reshape(20, 24))
    seeds = [_picture(image, kind) for kind in ("JPEG", "PNG", "TIFF", "GIF", "BMP")]
    return Target(seeds, lambda path: _or_refuse(lambda: read_grey(path)), "a.jpg", NUMBERS)


def _picture(image: Image.Image, kind: str) -> bytes:
    image.save(stream := io.BytesIO(), kind)
    return stream.getvalue()


def image_file(_: Path) -> Target:
    grey = Image.fromarray((np.arange(480) % 251).astype(np.uint8).reshape(20, 24))
    sixteen_bits = Image.fromarray((np.arange(480) * 130).astype(np.uint16).reshape(20, 24))
    kinds = [(grey.convert(mode), kind) for mode in ("1", "P", "RGB", "RGBA") for kind in ("PNG", "TIFF")]
    kinds += [(sixteen_bits, "PNG"), (sixteen_bits, "TIFF"), (grey.convert("F"), "TIFF"), (grey.convert("RGB"), "JPEG")]
    return Target([_picture(*one) for one in kinds], _read_image, "a.png", NUMBERS)


def image_array(_: Path) -> Target:
    seeds = []
    for array in (np.eye(4), np.zeros((4, 5, 3), np.uint8), np.ones((1, 4, 4), np.uint16), np.eye(4) > 0):
        np.save(stream := io.BytesIO(), array)
        seeds.append(stream.getvalue())
    words = (*NUMBERS, b"(", b"'descr': '|O'", b"<c16", b"<M8[D]", b"99999999999")
    return Target(seeds, _read_image, "a.npy", words)


def dicom(folder: Path) -> Target:
    grey = (np.arange(480) * 8).astype(np.uint16).reshape(20, 24)
    of_files = [
        {"BitsStored": 12, "WindowCenter": 2000, "WindowWidth": 3000, "RescaleSlope": 2, "RescaleIntercept": -1024},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ]
    files = [synthetic_dicom.write(folder / str(number), grey, **of) for number, of in enumerate(of_files)]
    files.append(synthetic_dicom.write(folder / "signed", grey.astype(np.int16) - 1000))
    colour = np.stack([grey % 251] * 3, -1).astype(np.uint8)
    files.append(synthetic_dicom.write(folder / "colour", colour, PhotometricInterpretation="RGB"))
    seeds = [file.read_bytes() for file in files]
    compressed = dcmread(files[0])
    compressed.compress(RLELossless)
    compressed.save_as(stream := io.BytesIO())
    seeds.append(stream.getvalue())

    def read(path: Path) -> None:
        try:
            _read_image(path)
        finally:
            _or_refuse(lambda: read_dicom(path))  # as a radiograph

    words = (*NUMBERS, b"(\0R\0", b"\x28\0\x11\0US", b"\xfe\xff\0\xe0", b"SQ\0\0", b"1e999", b"9\\9", b"MONOCHROME1 ")
    return Target(seeds, read, "a.dcm", words)


def _read_image(path: Path) -> None:
    """Read a file as the images reader does: as an image, and as the mask of it."""
    item = Item(path, path.name, path.stem, path.stem, DISEASED, "train", (path,))
    images.read_image(item, path.parent, images.Recipe(1, 4, (0, 255), masks=True))


def image_csv(folder: Path) -> Target:
    return _image_table(
        folder,
        "table.csv",
        b"image,label,split,subject,mask\nhere/0.png,0,train,ann,\nhere/1.png,1,test,eve,there/1.png\n",
    )


def image_json(folder: Path) -> Target:
    listed = {"train": {"0": ["here/0.png"], "unlabeled": {"0": []}}, "test": {"0": [], "1": ["here/1.png"]}}
    return _image_table(folder, "table.json", json.dumps(listed).encode())


def _image_table(folder: Path, name: str, content: bytes) -> Target:
    """A table of data.images.table beside the images and masks that it lists."""
    for place in ("here", "there"):
        (folder / place).mkdir()
        for number in range(2):
            Image.fromarray(np.full((4, 4), number, np.uint8)).save(folder / place / f"{number}.png")
    options = {"table": name, "masks": {"folder": "there"}, "subject": r"(\d)$"}

    def read(path: Path) -> None:
        for item in find_images(path.parent, options):
            images.find_files(item, path.parent)
            images.read_image(item, path.parent, images.Recipe(1, 4, "type", masks=True))

    return Target([content], read, name, (*PATHS, b"[" * 3000, b"{", b"null", b"\\u0000", b"1e999", b"..", b"/"))


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


def foreign_maps(folder: Path) -> Target:
    _store(folder)
    store = open_store(folder)
    np.save(stream := io.BytesIO(), np.zeros((2, 4, 4), np.float16))
    words = (*NUMBERS, b"(", b"'descr': '|O'", b"99999999999")
    return Target([stream.getvalue()], lambda path: np.asarray(open_maps(path.parent, store)), "maps.npy", words)


TARGETS = {
    "nifti": nifti,
    "radiograph": radiograph,
    "image": image_file,
    "image-array": image_array,
    "dicom": dicom,
    "image-csv": image_csv,
    "image-json": image_json,
    "chexpert-table": chexpert_table,
    "split-list": split_list,
    "params": params,
    "checkpoint": trained,
    "import": foreign,
    "foreign-maps": foreign_maps,
}
