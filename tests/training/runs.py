"""Training runs as tests make them: a stage's command line, a run in this process, and one that is killed."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def command(stage: str, parameters: dict, store: Path, out: Path) -> list[str]:
    """The arguments of a stage; the split list lies beside the store."""
    return [
        *("--parameters", json.dumps(parameters), "--threads", "1"),
        *("--data", str(store), "--split-list", str(store.with_name("split.csv"))),
        *("--checkpoint", str(out / f"{stage}.safetensors"), "--log", str(out / "log"), "--state", str(out / "state")),
    ]


def train(stage: str, parameters: dict, store: Path, out: Path) -> bytes:
    """Train here; the checkpoint's bytes."""
    module = importlib.import_module(f"stages.training.{stage}")
    module.main(module.arguments().parse_args(command(stage, parameters, store, out)))
    return (out / f"{stage}.safetensors").read_bytes()


def kill(stage: str, parameters: dict, store: Path, out: Path, how: signal.Signals, saves: int) -> None:
    """Train in another process, and kill it after its state was saved `saves` times more."""
    state = out / "state/state.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.training.{stage}", *command(stage, parameters, store, out)],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while saves and process.poll() is None and time.monotonic() < deadline:
        if state.exists() and (now := state.stat().st_mtime_ns) != before:
            before, saves = now, saves - 1
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, how)
    assert process.wait() != 0
    assert state.exists()
    assert not (out / f"{stage}.safetensors").exists()
