# How a run ends before its time: asked to by a signal, or killed.

import atexit
import threading
from collections import deque

from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler

from stages import at_work

# Snakemake's lock knows no owner. What a killed run left is removed, if no run and no job is at work here any more.
if at_work.join(
    Path(".snakemake/at_work"),
    Path(".snakemake/locks") if workflow.is_main_process else None,
):
    logger.warning("The last run in this folder was killed: its lock is removed.")
os.environ[at_work.VARIABLE] = os.path.abspath(".snakemake/at_work")


def in_a_thread(answer):
    """The same answer to a signal, from a thread of its own."""
    return lambda *what: threading.Thread(target=answer, args=what).start()


# Snakemake 9.27 answers SIGTERM in the middle of whatever its main thread does, and waits there for a lock that this very
# thread may hold (while its solver selects jobs, or a job's end is noted): for ever. From a thread of its own, it gets it.
JobScheduler.exit_gracefully = in_a_thread(JobScheduler.exit_gracefully)


def said_at(log):
    """When a log was last written to; None where there is none, or it is no file."""
    return log.stat().st_mtime_ns if log.is_file() else None


SAID_BEFORE = {}


# What a failed job has said is all that hangs on hooks: `--no-hooks` takes nothing else away.
onstart:
    for job in workflow.dag.jobs:
        SAID_BEFORE.update({log: said_at(Path(log)) for log in job.log})


def failures():
    """What the logs of this run's failed jobs end in, where that is an error's sentence.

    A job that never began, as one that a cluster refused, has not written its log: what stands there is of an earlier run.
    """
    for log in sorted({log for job in workflow.scheduler.failed for log in job.log}):
        if said_at(Path(log)) != SAID_BEFORE.get(log):
            with open(log, errors="replace") as lines:
                last = "".join(deque(lines, maxlen=1)).rstrip()
            if last.startswith("error: "):
                yield f"{log}: {last}"


# Snakemake prints a failed job's command and inputs below what the job said, which is the last that a user should read,
# and after this handler where its log lies and that a job failed: so the sentences wait for the end of the process.
onerror:
    for sentence in [*failures()][::-1]:
        atexit.register(print, sentence, file=sys.stderr)
