"""Which files of this project a stage runs, and what its modules say of themselves, without importing them.

Snakemake sees a rule's shell command, not the Python below it. Deriving the files from the import statements keeps the
declaration (`input: code=`) complete: an edited module reruns every stage that imports it, directly or not, no other.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import grimp

from stages.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "stages"


def files(module: str) -> list[str]:
    """The source files that `python -m <module>` runs out of this project, relative to its root, sorted.

    Imports are followed wherever they stand, inside functions too. The `__init__.py` of a package is not among them: a
    test sees to it that none does anything.

    >>> files("stages.processes")
    ['stages/errors.py', 'stages/processes.py']
    """
    if not _path(module, ROOT).is_file():
        raise InputError(f"{_path(module, ROOT).relative_to(ROOT)} is not there: write it, or correct its name")
    paths = [_path(name, ROOT) for name in _graph().find_upstream_modules(module) | {module}]
    return sorted(str(path.relative_to(ROOT)) for path in paths if path.name != "__init__.py")


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def fingerprint(module: str) -> str:
    """SHA-256 (hex) of those files: what half-done work was begun with must be what it goes on with."""
    digest = hashlib.sha256()
    for name in files(module):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()


def defines(module: str, name: str, root: Path = ROOT) -> bool:
    """Whether this project has such a module, and it assigns or defines `name` at its top."""
    return _path(module, root).is_file() and _definition(module, name, root) is not None


def constant(module: str, name: str, default: object = None, root: Path = ROOT) -> Any:
    """A module's literal `name = ...`, read without importing it, so that the workflow stays quick to start.

    Returns `default` where the module has no such name, unless that is None.

    Raises:
        InputError: there is no such module or name, it cannot be parsed, or the value is more than a literal.
    """
    file = _path(module, root).relative_to(root)
    if not (root / file).is_file():
        raise InputError(f"{file} is not there: write it, or correct its name in params.yaml")
    node = _definition(module, name, root)
    if node is None and default is not None:
        return default
    if node is None:
        raise InputError(f"{file} lacks the literal {name}, by which the workflow knows what it needs")
    value: Any = getattr(node, "value", None)  # a function or class has none
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise InputError(f"{file}: {name} must be a literal, since it is read without being run") from None


def names(module: str, name: str, default: tuple[str, ...] | None = None, root: Path = ROOT) -> tuple[str, ...]:
    """A module's literal tuple or list of texts, as `constant` reads it.

    Raises:
        InputError: as `constant`, and where it is something else: `("vae")` is a text, `("vae",)` a tuple.
    """
    value = constant(module, name, default, root)
    if not isinstance(value, tuple | list) or not all(isinstance(part, str) for part in value):
        file = _path(module, root).relative_to(root)
        raise InputError(f"{file}: {name} must be a tuple of texts such as ('vae',), not {value!r}")
    return tuple(value)


def _definition(module: str, name: str, root: Path) -> ast.stmt | None:
    """The statement at a module's top that assigns or defines `name`."""
    path = _path(module, root)
    try:
        tree = _parsed(path, path.stat().st_mtime_ns)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" line {line}" if line else ""
        raise InputError(f"{path.relative_to(root)}{where} is not Python: {error}") from None
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if getattr(node, "name", None) == name or any(getattr(target, "id", None) == name for target in targets):
            return node
    return None


@cache
def _parsed(path: Path, _modified: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(module: str, root: Path) -> Path:
    folder = root.joinpath(*module.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
