"""How a stage ends: one sentence, and nothing half-written."""

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


def test_a_signal_ends_it_in_silence_and_nothing_is_left(tmp_path):
    for how in ("SIGTERM", "SIGINT"):
        ended = run(how, tmp_path / "a.csv")
        assert ended.returncode == 128 + getattr(signal, how)
        assert ended.stdout == ended.stderr == ""
        assert list(tmp_path.iterdir()) == []
