"""The files that a rule declares as its code are those that its stage runs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages import imports
from stages.errors import InputError
from stages.parameters import sections

ROOT = Path(__file__).resolve().parents[1]


def test_imports_are_followed_wherever_they_stand():
    """`stages.device` is imported by a function's caller, `stages.figures.style` late, both through other modules."""
    assert imports.files("stages.errors") == ["stages/errors.py"]
    assert imports.files("stages.processes") == ["stages/errors.py", "stages/processes.py"]
    assert {"stages/device.py", "stages/training/loop.py", "stages/networks/vae.py"} <= set(
        imports.files("stages.training.vae")
    )
    with pytest.raises(InputError, match=r"stages/training/no\.py is not there"):
        imports.files("stages.training.no")


@pytest.mark.parametrize("path", sorted((ROOT / "stages").rglob("__init__.py")), ids=str)
def test_no_package_runs_anything(path):
    """So that `files` may leave the packages' own files out: a new version retrains nothing."""
    for node in ast.parse(path.read_text()).body:
        words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert words or ast.unparse(node).startswith("__version__ = "), f"{path} does more than carry words"


def test_every_rule_declares_the_stage_that_it_runs(every_job):
    run = [job for job in every_job if job.command]
    assert {job.rule for job in run} == set(sections.RULES)
    for job in run:
        assert job.named["code"] == imports.files(job.module), f"{job.rule} {job.wildcards}"


def test_constants_are_read_without_importing(tmp_path):
    package = tmp_path
    (package / "stages").mkdir()
    (package / "stages/b.py").write_text("def late():\n    pass\n")
    (package / "stages/g.py").write_text("import nothing_of_this_name\nA = (1, 'b')\nB: tuple = ('c',)\nC = A + B\n")
    assert imports.constant("stages.g", "A", root=package) == (1, "b")
    assert imports.constant("stages.g", "B", root=package) == ("c",)
    assert imports.constant("stages.g", "D", default=(), root=package) == ()
    with pytest.raises(InputError, match=r"stages/g\.py: C must be a literal"):
        imports.constant("stages.g", "C", root=package)
    with pytest.raises(InputError, match=r"stages/g\.py lacks the literal D"):
        imports.constant("stages.g", "D", root=package)
    with pytest.raises(InputError, match=r"stages/h\.py is not there"):
        imports.constant("stages.h", "A", root=package)
    assert imports.names("stages.g", "B", root=package) == ("c",)
    with pytest.raises(InputError, match=r"stages/g\.py: A must be a tuple of texts such as .*, not \(1, 'b'\)"):
        imports.names("stages.g", "A", root=package)
    (package / "stages/broken.py").write_text("A = (\n")
    with pytest.raises(InputError, match=r"stages/broken\.py line 1 is not Python"):
        imports.constant("stages.broken", "A", root=package)
    assert imports.defines("stages.b", "late", root=package)
    assert not imports.defines("stages.b", "early", root=package)
    assert not imports.defines("stages.no", "late", root=package)


# Each module in a process of its own, forked where the libraries that they share are loaded already.
IMPORTED = """
import json, sys
from importlib import import_module
from multiprocessing import get_context

import matplotlib.pyplot, nibabel, pandas, scipy, torch

def imported(stage):
    import_module(stage)
    files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "stages"]
    return [file for file in files if file and not file.endswith("__init__.py")]

with get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(pool.map(imported, sys.argv[1:], chunksize=1)))
"""


def test_what_python_imports_is_declared(every_job):
    stages = sorted({job.module for job in every_job if job.command})
    run = subprocess.run(
        [sys.executable, "-c", IMPORTED, *stages], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for stage, files in zip(stages, json.loads(run.stdout), strict=True):
        found = {str(Path(file).relative_to(ROOT)) for file in files}
        assert f"{stage.replace('.', '/')}.py" in found
        assert found <= set(imports.files(stage)), stage
