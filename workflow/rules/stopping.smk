# How a run ends before its time: asked to by a signal, or killed.

import atexit
import signal
import threading

from snakemake.logging import logger

from stages import at_work

# Snakemake's lock knows no owner. What a killed run left is removed, if no run and no job is at work here any more.
if at_work.join(
    Path(".snakemake/at_work"),
    Path(".snakemake/locks") if workflow.is_main_process else None,
):
    logger.warning("The last run in this folder was killed: its lock is removed.")
os.environ[at_work.VARIABLE] = os.path.abspath(".snakemake/at_work")


# Snakemake 9.27 answers SIGTERM in the middle of whatever its main thread does, and waits there for a lock that this very
# thread may hold (while its solver selects jobs, or a job's end is noted): for ever. From a thread of its own, it gets it.
onstart:
    answer = signal.getsignal(signal.SIGTERM)
    signal.signal(
        signal.SIGTERM,
        lambda *what: threading.Thread(target=answer, args=what).start(),
    )


def failures(since):
    """What logs that were written since then end in, where that is an error's sentence."""
    for log in sorted(Path("results").glob("*/logs/**/*.log")):
        *_, last = log.read_text(errors="replace").splitlines() or [""]
        if log.stat().st_mtime >= since and last.startswith("error: "):
            yield f"{log}: {last}"


BEGUN = time.time()


# Snakemake prints a failed job's command and inputs below what the job said, which is the last that a user should read,
# and after this handler where its log lies and that a job failed: so the sentences wait for the end of the process.
onerror:
    for sentence in [*failures(BEGUN)][::-1]:
        atexit.register(print, sentence, file=sys.stderr)
