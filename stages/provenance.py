"""Where results come from: `provenance.json` says which code, parameters, data, seed, packages and device made them.

It lies in the folder that a job writes, or as `<name>.provenance.json` beside a file of a folder that several jobs
share. What a job learns from its inputs it takes over from their provenance: tables name the data and the devices of
the maps behind them. Names of people and machines and absolute paths are not in it. Nothing depends on it: Snakemake
knows it as no input and no output of any rule.
"""

import hashlib
import json
import os
import subprocess
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

import stages
from stages import digests
from stages.errors import InputError
from stages.imports import ROOT
from stages.regular_files import read_regular
from stages.writing import replacing

FILE = "provenance.json"
PACKAGES = (
    "matplotlib",
    "nibabel",
    "numpy",
    "pandas",
    "pillow",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "snakemake",
    "torch",
)
"""Those of pyproject.toml's packages that numbers or pictures can depend on, and what ran the jobs."""
CODE = ("Snakefile", "workflow", "stages")
GIT_SECONDS = 10
"""Git on a slow disk: no job waits longer for it."""
_BYTES, _LEVELS = 2**24, 64
"""Of a file, more than any: parameters come from a params.yaml of at most 1 MB and 32 levels."""


@dataclass(frozen=True)
class Code:
    """Which code ran.

    Attributes:
        version: of the project.
        commit: git's; None outside of a repository of its own, as in an unpacked archive.
        modified: whether `CODE` differed from that commit, files that git does not know included.
        sha256: of all Python files of `stages`, which tells modified code apart as well.
    """

    version: str
    commit: str | None
    modified: bool | None
    sha256: str

    @classmethod
    def of_now(cls) -> Self:
        """As it lies on the disk."""
        digest = hashlib.sha256()
        for path in sorted((ROOT / "stages").rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
        where = _git("rev-parse", "--show-toplevel", "HEAD")
        top, commit = where.splitlines() if where else ("", None)
        if commit is None or Path(top).resolve() != ROOT:
            return cls(stages.__version__, None, None, digest.hexdigest())
        changed = _git("status", "--porcelain", "--untracked-files=normal", "--", *CODE)
        return cls(stages.__version__, commit, None if changed is None else bool(changed), digest.hexdigest())


def _git(*arguments: str) -> str | None:
    """What git says of this project; None where there is no git, no repository, or one that it may not read."""
    # A hook's GIT_DIR is not ours, and a job must not take the lock that the user's own git waits for.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return run.stdout if run.returncode == 0 else None


@dataclass(frozen=True)
class Provenance:
    """What made a result.

    Attributes:
        stage: the module that ran.
        code: as it was when the job started.
        parameters: the job's part of params.yaml.
        parameters_sha256: of these, as JSON with sorted keys.
        seed: of the repeat or, for what is of several, of the benchmark; None where nothing is drawn.
        data_sha256: of the digests of the slice store's files; None where the inputs do not say it.
        devices: where the networks ran, all of them that had a part in it.
        packages: name -> version.
        inputs, outputs: paths from the project's folder; what lies outside of it is named without its folder.
        started, ended: ISO 8601, UTC.
    """

    stage: str
    code: Code
    parameters: dict[str, Any]
    parameters_sha256: str
    seed: int | None
    data_sha256: str | None
    devices: list[str]
    packages: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    started: str
    ended: str

    def without_times(self) -> dict[str, Any]:
        """What does not differ between two runs of one job: for figures, which are the same bytes on every run."""
        names = ("stage", "code", "parameters_sha256", "seed", "data_sha256", "devices", "packages")
        values = asdict(self)
        return {name: values[name] for name in names}


@dataclass(frozen=True)
class _Job:
    stage: str
    options: Namespace
    code: Code
    started: datetime


_job: ContextVar[_Job | None] = ContextVar("job", default=None)


@contextmanager
def job(stage: str, options: Namespace) -> Iterator[None]:
    """Around a stage that runs as a program: what it notes in here is noted of this module and command line."""
    token = _job.set(_Job(stage, options, Code.of_now(), datetime.now(UTC)))
    try:
        yield
    finally:
        _job.reset(token)


def beside(path: Path) -> Path:
    """Where the provenance of a folder that is there, or of a file, stands.

    >>> beside(Path("tables/trade_off.csv")).as_posix()
    'tables/trade_off.provenance.json'
    """
    return path / FILE if path.is_dir() else path.with_suffix(f".{FILE}")


def of(path: Path) -> Provenance | None:
    """The provenance of a folder, or of a file: its own, or else its folder's. None where there is none that is whole.

    A folder that holds nothing but data, as a phantom, has it beside itself. Results of earlier versions and of others
    have none, and nothing is computed from it: that it lacks is no error.
    """
    path = path.absolute()  # "." has no name
    second = path.parent / f"{path.name}.{FILE}" if path.is_dir() else path.parent / FILE
    for place in (beside(path), second):
        try:
            return read(place)
        except InputError:
            continue
    return None


def read(place: Path) -> Provenance:
    """The provenance in a file.

    Raises:
        InputError: it is missing, damaged or none: a key lacks or is unknown, or a value is of another kind.
    """
    try:
        values = json.loads(read_regular(place, _BYTES))
        json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        if not _fits(values, Provenance):
            raise ValueError("these are not a provenance's keys and kinds of value")
        return Provenance(code=Code(**values.pop("code")), **values)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{place} is missing or no provenance; make again what lies beside it") from error


def _fits(value: Any, kind: Any, levels: int = _LEVELS) -> bool:
    """Whether a value out of JSON is of an annotated kind, and at most so many levels deep."""
    if kind is Any:
        kind = dict[str, Any] if isinstance(value, dict) else list[Any] if isinstance(value, list) else type(value)
    if isinstance(kind, UnionType):
        return any(_fits(value, one, levels) for one in get_args(kind))
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        whole = isinstance(value, dict) and value.keys() == kinds.keys()
        return whole and all(_fits(value[name], of_field, levels) for name, of_field in kinds.items())
    if type(value) is not (get_origin(kind) or kind):  # isinstance would take True for a whole number
        return False
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_fits(item, get_args(kind)[-1], levels - 1) for item in items)


def current(
    made_from: Sequence[Path] = (),
    devices: Sequence[str] = (),
    outputs: Sequence[Path] = (),
    parameters: dict[str, Any] | None = None,
    store: Path | None = None,
) -> Provenance | None:
    """Of what the running job makes, at this moment; None where none runs, as where a test calls a stage's functions.

    Args:
        made_from: inputs that the command line names only the folder of.
        devices: where this job's own networks ran.
        outputs: what it makes.
        parameters: of a job that was told a benchmark's name in place of them.
        store: the slice store, where no option `data` names it.
    """
    running = _job.get()
    if running is None:
        return None
    named = _inputs(running.options)
    before = [found for found in map(of, [*named, *made_from]) if found]
    # Of a repeat's maps, the seed of the repeat, and not that of the split list or the phantom behind them.
    last = max((found for found in before if found.seed is not None), key=lambda found: found.ended, default=None)
    parameters = parameters or getattr(running.options, "parameters", None)
    if parameters is not None:
        hashed = sha256(parameters)
    elif before:  # a join knows none: those of its shards, whose hash is that of what they were before paths were cut
        parameters, hashed = before[0].parameters, before[0].parameters_sha256
    else:
        parameters, hashed = {}, sha256({})
    stores = [path for path in (store, getattr(running.options, "data", None)) if isinstance(path, Path)][:1]
    data = {_of_store(path) for path in stores} or {found.data_sha256 for found in before}
    return Provenance(
        stage=running.stage,
        code=running.code,
        parameters=_without_folders(parameters),
        parameters_sha256=hashed,
        seed=parameters.get("seed", last.seed if last else None),
        data_sha256=data.pop() if len(data) == 1 else None,
        devices=sorted({*devices, *(device for found in before for device in found.devices)}),
        packages=packages(),
        inputs=sorted({_within(path) for path in [*named, *made_from]}),
        outputs=[_within(path) for path in outputs],
        started=running.started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def note(
    at: Path,
    outputs: Sequence[Path] | None = None,
    made_from: Sequence[Path] = (),
    devices: Sequence[str] = (),
    parameters: dict[str, Any] | None = None,
    store: Path | None = None,
) -> None:
    """Write the running job's provenance beside `at`, a file or a folder that it has made; nothing where none runs.

    Args:
        at: what it is about.
        outputs: the files, where `at` is not all that was made, or not only this job's.
        made_from, devices, parameters, store: as of `current`.
    """
    found = current(made_from, devices, [at] if outputs is None else outputs, parameters, store)
    if found is None:
        return
    with replacing(beside(at)) as partial:
        partial.write_text(json.dumps(asdict(found), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def sha256(parameters: dict[str, Any]) -> str:
    """SHA-256 (hex) of parameters, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()


def packages() -> dict[str, str]:
    """Python and `PACKAGES` -> the versions that are installed."""
    found = {"python": python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


_WRITTEN = ("output", "state", "record", "metrics", "checkpoint", "log", "target", "digest")
"""The options that name what a stage writes, and what it may go on from."""


def _inputs(options: Namespace) -> list[Path]:
    """Every file and folder that the command line names as an input, also as NAME=FILE and in lists."""
    found: list[Path] = []
    for name, value in vars(options).items():
        if name in _WRITTEN:
            continue
        for item in value if isinstance(value, list) else [value]:
            found += [part for part in (item if isinstance(item, tuple) else [item]) if isinstance(part, Path)]
    return found


def _of_store(folder: Path) -> str | None:
    try:
        return sha256(digests.read(folder))
    except InputError:
        return None


def _within(path: Path) -> str:
    """A path from the project's folder, in which jobs run; of another place nothing but the name."""
    whole = Path(os.path.abspath(path))  # links, as of raw data, stay what they are called here
    here = Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.name


def _without_folders(value: Any) -> Any:
    """Parameters with absolute paths cut to their names: they are this machine's."""
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
