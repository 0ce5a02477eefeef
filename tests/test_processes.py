"""Several processes of one stage end together, in silence, when they are asked to."""

import os
import signal
import subprocess
import sys

import pytest

STAGE = """
import signal, sys, time
from pathlib import Path
from stages import command
from stages.processes import in_order

def slow(path):
    path.touch()
    time.sleep(3 * (path.name == "1"))

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it

def main(options):
    list(in_order(slow, [Path(sys.argv[1]) / str(i) for i in range(2)], processes=2))

if __name__ == "__main__":
    parser = command.parser("", required=False)
    parser.add_argument("folder")
    print("started", flush=True)
    command.run(main, parser)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_them_ends_all_of_them(tmp_path, number):
    (tmp_path / "work").mkdir()
    (tmp_path / "stage.py").write_text(STAGE)
    command = [sys.executable, str(tmp_path / "stage.py"), str(tmp_path / "work")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as stage:
        while len(list((tmp_path / "work").iterdir())) < 2:  # one process works on, the other has nothing to do
            assert stage.poll() is None
        os.killpg(stage.pid, number)
        _, said = stage.communicate(timeout=60)
    assert stage.returncode == 128 + number
    assert said == ""
