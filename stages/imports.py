"""Which files of this project a stage runs: what its rule declares as `input: code=`.

Snakemake sees a rule's shell command, not the Python below it. Deriving the files from the import statements keeps the
declaration complete: an edited module reruns every stage that imports it, directly or not, and no other.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from stages.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "stages"


def files(module: str, root: Path = ROOT) -> list[str]:
    """The source files that `python -m <module>` runs out of this project, relative to `root`, sorted.

    Imports are followed wherever they stand, inside functions too. A package's `__init__.py` counts only where it holds
    more than a docstring and `__version__`: a release retrains nothing.
    """
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imports(name, root))
    paths = [_path(name, root) for name in found]
    return sorted(str(path.relative_to(root)) for path in paths if path.name != "__init__.py" or _runs(path))


def fingerprint(module: str, root: Path = ROOT) -> str:
    """SHA-256 (hex) of those files: what half-done work was begun with must be what it goes on with."""
    digest = hashlib.sha256()
    for name in files(module, root):
        digest.update(name.encode() + b"\0" + (root / name).read_bytes())
    return digest.hexdigest()


def defines(module: str, name: str, root: Path = ROOT) -> bool:
    """Whether this project has such a module, and it assigns or defines `name` at its top."""
    return _path(module, root).is_file() and _definition(module, name, root) is not None


def constant(module: str, name: str, default: object = None, root: Path = ROOT) -> object:
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
    try:
        return ast.literal_eval(node.value)
    except (ValueError, AttributeError):
        raise InputError(f"{file}: {name} must be a literal, since it is read without being run") from None


def names(module: str, name: str, default: tuple[str, ...] | None = None, root: Path = ROOT) -> tuple[str, ...]:
    """A module's literal tuple or list of texts, as `constant` reads it.

    Raises:
        InputError: as `constant`, and where it is something else: `("ddpm")` is a text, `("ddpm",)` a tuple.
    """
    value = constant(module, name, default, root)
    if not isinstance(value, tuple | list) or not all(isinstance(part, str) for part in value):
        file = _path(module, root).relative_to(root)
        raise InputError(f"{file}: {name} must be a tuple of texts such as ('ddpm',), not {value!r}")
    return tuple(value)


def _definition(module: str, name: str, root: Path) -> ast.stmt | None:
    """The statement at a module's top that assigns or defines `name`."""
    path = _path(module, root)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
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
def _imports(module: str, root: Path) -> tuple[str, ...]:
    """The modules of this project that a module's own statements import, with the packages that hold them."""
    path = _path(module, root)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    named = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            named += [parent, *(f"{parent}.{alias.name}" for alias in node.names)]
    return tuple(name for full in [module, *named] for name in _with_packages(full, root))


def _with_packages(module: str, root: Path) -> Iterator[str]:
    """`stages`, `stages.data`, `stages.data.store` for `stages.data.store`; nothing for a module of another project."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1 if parts[0] == PACKAGE else 1):
        name = ".".join(parts[:count])
        if _path(name, root).is_file():  # the last part of `from stages.data.store import open_store` is no module
            yield name


def _path(module: str, root: Path) -> Path:
    folder = root.joinpath(*module.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def _runs(path: Path) -> bool:
    """Whether a file does more than carry a docstring and names such as `__version__`, which change nothing."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        carries_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        names_version = isinstance(node, ast.Assign) and all(
            ast.unparse(name).startswith("__") for name in node.targets
        )
        if not carries_text and not names_version:
            return True
    return False
