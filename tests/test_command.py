"""How a stage ends: one sentence, and nothing half-written."""

import os
import signal
import subprocess
import sys

import pytest

STAGE = """
import os, signal, sys, time
from pathlib import Path
from stages import command
from stages.writing import replacing

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it

def main(options):
    with replacing(options.output) as partial:
        if options.how == "full":
            partial.symlink_to("/dev/full")
        with partial.open("w") as file:
            file.write("half")
            file.flush()
            os.kill(os.getpid(), getattr(signal, options.how))
            time.sleep(60)

parser = command.parser("", required=False)
parser.add_argument("how")
parser.add_argument("--output", type=Path)
command.run(main, parser)
"""


def run(how, output):
    command = [sys.executable, "-c", STAGE, how, "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_full_disk_is_one_sentence_and_nothing_is_left(tmp_path):
    ended = run("full", tmp_path / "tables/a.csv")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"error: no space is left in {tmp_path / 'tables'} (No space left on device; ")
    assert list((tmp_path / "tables").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    ended = run("SIGTERM", tmp_path / "file/a.csv")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {tmp_path}/file cannot be read or written (")
    assert ended.stderr.endswith("): name another place\n")
    assert ended.stderr.count("\n") == 1


ASKING = """
import sys
import numpy as np, torch
from stages import command

def main(options):
    {"numpy": np.ones, "torch": torch.empty}[options.how](2**50)

parser = command.parser("", required=False)
parser.add_argument("how")
command.run(main, parser)
"""


@pytest.mark.parametrize("how", ["numpy", "torch"])
def test_an_array_that_memory_does_not_hold_is_one_sentence(how):
    ended = subprocess.run([sys.executable, "-c", ASKING, how], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: memory does not hold what is asked for (")
    assert ended.stderr.endswith("data.size in params.yaml, or take a larger machine or card\n")


NAMING = """
from pathlib import Path
from stages import command

parser = command.parser("", required=False)
parser.add_argument("path", type=Path)
command.run(lambda options: print(f"\\u00b1 {options.path}"), parser)
"""
LATIN = b"caf\xe9"


def naming(name, **environment):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    command = [sys.executable, "-c", NAMING, name]
    return subprocess.run(command, env={**inherited, **environment}, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}, {"PYTHONIOENCODING": "ascii:strict"}])
def test_names_of_any_bytes_are_printed_in_any_locale(locale):
    for name in (LATIN, "café".encode()):
        ended = naming(name, **locale)
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_process_that_misreads_names_does_not_begin():
    ended = naming("café".encode(), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert ended.returncode == 1
    assert ended.stderr == b"error: file names are read as ascii here: set PYTHONUTF8=1 and start again\n"


def test_a_signal_ends_it_in_silence_and_nothing_is_left(tmp_path):
    for how in ("SIGTERM", "SIGINT"):
        ended = run(how, tmp_path / "a.csv")
        assert ended.returncode == 128 + getattr(signal, how)
        assert ended.stdout == ended.stderr == ""
        assert list(tmp_path.iterdir()) == []
