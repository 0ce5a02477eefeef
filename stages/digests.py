"""What was written is what is read: the SHA-256 of every array and list that a rule leaves in its folder.

`digests.json` lies at the top of the folder that a rule writes and holds the digests of the .npy and .csv files below
it, and `of`, the last parts of the folder's own path, so that a folder put in the place of another is noticed as well.
Whoever opens one of these files asks `check` first. Files are read once a process, whatever the number of questions.
"""

import errno
import hashlib
import json
import shlex
import stat
from functools import cache
from pathlib import Path

from stages.errors import InputError
from stages.regular_files import read_regular
from stages.writing import replacing

FILE = "digests.json"
SUFFIXES = {".npy", ".csv"}
_BYTES = 2**24
PARTS = 3
"""Of a folder's path: as many as tell <repeat>/<method>/<setting> from its siblings; above them it may be moved."""


def write(folder: Path, parts: int = PARTS) -> None:
    """Note the digests of what lies below `folder`, once it is whole; so many parts of its path are its name."""
    folder = Path(folder).resolve()  # a link is the folder that it leads to
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    note = {
        "of": "/".join(folder.parts[-parts:]),
        "sha256": {path.relative_to(folder).as_posix(): _of_file(path) for path in paths},
    }
    with replacing(folder / FILE) as partial:
        partial.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, str]:
    """File, relative to `folder`, -> SHA-256 (hex), as `write` noted them.

    Raises:
        InputError: the note is missing, damaged, or another folder's.
    """
    folder = Path(folder)
    try:
        note = json.loads(read_regular(folder / FILE, _BYTES))
        of, digests = note["of"], {str(name): str(digest) for name, digest in note["sha256"].items()}
        parts = tuple(of.split("/"))
    except FileNotFoundError:
        raise refused(folder, FILE, "is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise refused(folder, FILE, "is damaged") from error
    if folder.resolve().parts[-len(parts) :] != parts:
        raise InputError(
            f"{folder / FILE} says that this folder is a copy of {of}: move it back, and run Snakemake again for what "
            "belongs here"
        )
    return digests


def check(folder: Path, name: str) -> None:
    """Make sure that the file `name` below `folder` is what was written.

    Raises:
        InputError: it is missing, changed, or was not written with the others; or as `read`.
    """
    path = Path(folder) / name
    try:
        found = _of_file(path)
    except FileNotFoundError:
        raise refused(folder, name, "is missing") from None
    except OSError as error:
        raise refused(folder, name, f"cannot be read ({error.strerror})") from error
    digests = read(folder)
    if name not in digests:
        raise refused(folder, name, f"is not in {FILE}")
    if found != digests[name]:
        raise refused(folder, name, "is truncated, damaged or another file: it is not what was written")


def refused(folder: Path, name: str, what: str) -> InputError:
    """The sentence about a file of a rule's folder that cannot be used, with the commands that make it again.

    The folder is named to Snakemake too: where all that was made of it is up to date, it would not miss it.
    """
    place = shlex.quote(str(folder))
    remove = f"delete its folder (rm -r {place}) and " if Path(folder).exists() else ""
    return InputError(f"{Path(folder) / name} {what}; {remove}run Snakemake again for it (snakemake -- {place})")


def version(path: Path) -> tuple[int, int, int]:
    """What changes where a file does: which it is, its size and when it was written.

    Raises:
        OSError: there is none, or it is a folder, or a pipe, which whoever opens it waits for.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return found.st_ino, found.st_size, found.st_mtime_ns


def _of_file(path: Path) -> str:
    return _sha256(path, *version(path))


@cache
def _sha256(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
