"""What every detector owes the workflow, for each module of stages/detection that defines one."""

import ast
import importlib
import inspect
import runpy
import sys
from pathlib import Path

import pytest

from stages import detection
from stages.detection.detector import Detector


def modules() -> list[str]:
    """Names of the modules with a subclass of Detector, found by reading, not importing."""
    found = []
    for path in sorted(Path(detection.__path__[0]).glob("*.py")):
        classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        if any(ast.unparse(base).split(".")[-1] == "Detector" for one in classes for base in one.bases):
            found.append(path.stem)
    return found


def test_the_methods_of_this_project_are_found():
    assert {"guided_ddim", "guided_ddpm", "classifier_free", "fixed_point_gan", "intensity", "vae"} <= set(modules())


@pytest.mark.parametrize("name", modules())
def test_networks_are_a_literal_that_the_workflow_can_read(name):
    path = Path(detection.__path__[0]) / f"{name}.py"
    literals = [
        ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NETWORKS"]
    ]
    assert len(literals) == 1
    assert isinstance(literals[0], tuple)
    assert all(importlib.util.find_spec(f"stages.training.{network}") for network in literals[0])


@pytest.mark.parametrize("name", modules())
def test_a_module_holds_one_detector_and_says_what_it_does(name):
    module = importlib.import_module(f"stages.detection.{name}")
    own = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, Detector) and one.__module__ == module.__name__
    ]
    assert len(own) == 1
    assert not inspect.isabstract(own[0])
    assert len(module.__doc__.strip().splitlines()[0]) > 30
    assert own[0].__doc__


@pytest.mark.parametrize("name", modules())
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_command_line_explains_itself(name, monkeypatch, capsys):
    module = f"stages.detection.{name}"
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert importlib.import_module(module).__doc__.strip() in shown
    assert all(option in shown for option in ("--parameters", "--networks", "--latents", "--state"))
