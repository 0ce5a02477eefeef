"""Change files at random and read them: each is accepted or refused by an InputError of one line.

Anything else is a finding: another exception, more than --seconds, more than --megabytes beyond what the process had
at the start, a file opened outside the folder, a program started. Prints a JSON object a target; exits 1 on a finding.
"""

import argparse
import json
import logging
import os
import re
import resource
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from stages.errors import InputError
from tests.fuzz import shared, targets, written
from tests.fuzz.targets import ROOT, Target

TARGETS = targets.TARGETS | written.TARGETS | shared.TARGETS
EVERY = list(HealthCheck)
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")


@st.composite
def changed(draw: st.DrawFn, target: Target) -> bytes:
    """A file with up to four changes: bytes, truncation, a piece of it or a word spliced in."""
    content = bytearray(draw(st.sampled_from(target.seeds)))
    for _ in range(draw(st.integers(0, 4))):
        # Headers are where a byte says most.
        at = draw(st.one_of(st.integers(0, 400), st.integers(0, len(content)))) % (len(content) + 1)
        change = draw(st.sampled_from(("flip", "cut", "copy", "word", "word over")))
        if change == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del content[at : at + draw(st.sampled_from((1, 4, 64, len(content))))]
        elif change == "copy":
            start = draw(st.integers(0, len(content)))
            content[at:at] = content[start : start + draw(st.integers(1, 200))]
        elif target.words:
            word = draw(st.sampled_from(target.words))
            content[at : at + len(word) * (change == "word over")] = word
    return bytes(content)


class Watch:
    """What a read does besides reading, by Python's audit events: files opened outside of `inside`, files written.

    Code may be read, from where Python finds modules. What a library opens without Python (torch's and safetensors'
    own code) raises no event.
    """

    def __init__(self, inside: Path) -> None:
        self.on, self.seen = False, list[str]()
        self.readable = [str(path) for path in (inside.resolve(), ROOT, Path(sys.prefix), Path(sys.base_prefix))]
        self.readable += [os.path.abspath(path) for path in sys.path if path]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, values: tuple) -> None:
        if not self.on:
            return
        if event in FORBIDDEN:
            self.seen.append(event)
        elif event == "open" and isinstance(values[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(values[0]))
            if values[2] & (os.O_WRONLY | os.O_RDWR):
                self.seen.append(f"written: {path}")
            elif not any(path == one or path.startswith(one + os.sep) for one in self.readable):
                self.seen.append(f"opened outside: {path}")


def fuzz(name: str, folder: Path, count: int, number: int, seconds: float, watch: Watch) -> dict:
    """Try `count` changed files of a target; what was accepted, refused and found, by signature."""
    folder.mkdir()
    target = TARGETS[name](folder)
    path = folder / target.file
    for valid in target.seeds:  # unwatched: libraries look around once, when they are first used
        path.write_bytes(valid)
        target.prepare(path)
        with suppress(Exception):  # what it raises, it raises again below
            target.read(path)
    tried, accepted, findings = 0, 0, dict[str, int]()

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(target))
    def read(content: bytes) -> None:
        nonlocal tried, accepted
        tried += 1
        path.write_bytes(content)
        target.prepare(path)
        watch.seen.clear()
        found = None
        signal.setitimer(signal.ITIMER_REAL, seconds)
        watch.on = True
        try:
            target.read(path)
            accepted += 1
        except InputError as error:
            if "\n" in str(error) or not str(error):
                found = f"not one line: {error}"
        except BaseException as error:
            found = f"{type(error).__name__}: {re.sub('[0-9]+', '#', str(error))[:100]}"
        finally:
            watch.on = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        found = found or next(iter(watch.seen), None)
        if found:
            findings[found] = findings.get(found, 0) + 1
            (folder / f"finding-{len(findings)}").write_bytes(content)

    read()
    return {"target": name, "tried": tried, "accepted": accepted, "findings": findings}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)} (default: all)")
    parser.add_argument("--count", type=int, default=1000, help="files a target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10, help="for each file (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=1024, help="of memory (default: %(default)s)")
    options = parser.parse_args()

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{options.seconds:g} s")

    logging.getLogger("nibabel").setLevel(logging.CRITICAL)  # tells each repair of a header
    signal.signal(signal.SIGALRM, too_long)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + options.megabytes * 2**20,) * 2)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(Path(folder))
        for name in options.targets or TARGETS:
            result = fuzz(name, Path(folder) / name, options.count, options.seed, options.seconds, watch)
            failed |= bool(result["findings"])
            print(json.dumps(result), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
