"""The files that a rule declares as its code are those that its stage runs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages import imports
from stages.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
BY_NAME = {  # the rules that run a module by the name of a reader, network or method: where those modules lie
    "phantom_module": [f"stages.phantoms.{name}" for name in ("brain", "chest")],
    "reader_module": [f"stages.data.{name}" for name in ("brats", "chexpert")],
    "detector_module": [
        f"stages.detection.{name}"
        for name in ("guided_ddim", "guided_ddpm", "classifier_free", "vae", "fixed_point_gan", "intensity")
    ],
    "stages.training.": [f"stages.training.{name}" for name in ("denoiser", "classifier", "vae", "fixed_point_gan")],
}
NAMED = set(re.findall(r"python -m (stages\.[a-z_.]*[a-z_])", RULES))
STAGES = sorted(NAMED - {"stages.training"} | {stage for stages in BY_NAME.values() for stage in stages})


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


def test_every_rule_declares_the_stage_that_it_runs():
    rules = re.split(r"^rule ", RULES, flags=re.MULTILINE)[1:]
    assert len(rules) == 21
    for rule in rules:
        module = re.search(r"python -m (\S+)", rule)[1]
        if module == "{params.module}":
            module = re.search(r"^        module=(\w+),$", rule, flags=re.MULTILINE)[1]
            assert module in BY_NAME
            assert f"code=lambda wildcards: code({module}(wildcards))," in rule, rule
        elif "{" in module:
            assert f'code=lambda wildcards: code(f"{module}"),' in rule, rule
        else:
            assert f'code=code("{module}"),' in rule, rule


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


@pytest.mark.parametrize("stage", STAGES)
def test_what_python_imports_is_declared(stage):
    program = (
        f"import sys, {stage}\n"
        "files = [module.__file__ for name, module in sys.modules.items() if name.split('.')[0] == 'stages']\n"
        "print('\\n'.join(file for file in files if file and not file.endswith('__init__.py')))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {str(Path(line).relative_to(ROOT)) for line in run.stdout.split()}
    assert imported <= set(imports.files(stage))
