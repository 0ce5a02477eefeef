"""How a stage ends: one sentence, and nothing half-written."""

import signal
import subprocess
import sys

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


def test_a_signal_ends_it_in_silence_and_nothing_is_left(tmp_path):
    for how in ("SIGTERM", "SIGINT"):
        ended = run(how, tmp_path / "a.csv")
        assert ended.returncode == 128 + getattr(signal, how)
        assert ended.stdout == ended.stderr == ""
        assert list(tmp_path.iterdir()) == []
