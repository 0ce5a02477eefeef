"""What Snakemake would run in a folder, asked of its own API: each job with its files and its command.

As a script, in a process of its own (Snakemake's API changes folder, PATH and sys.path): options as JSON in its one
argument, jobs as JSON on stdout; what Snakemake says, and why it refuses, on stderr.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One job, wildcards filled in; files relative to the folder.

    `named` are the inputs that the rule names, `resources` what it declares of threads, gpu, mem_mb, runtime (minutes).
    """

    rule: str
    wildcards: dict[str, str]
    input: list[str]
    named: dict[str, list[str]]
    output: list[str]
    log: list[str]
    command: str
    resources: dict[str, int]

    @property
    def benchmark(self) -> str | None:
        """Whose it is; None of `all` and the milestones, which are of all benchmarks that are run."""
        return self.wildcards.get("benchmark")

    @property
    def module(self) -> str:
        """The module that its command runs."""
        python, minus_m, module, *_ = shlex.split(self.command)
        assert (python, minus_m) == ("python", "-m"), self.command
        return module


@dataclass(frozen=True)
class Options:
    """Of `snakemake -n`. `forced`: with every job that leads to the targets, done or not."""

    run: str | None = None
    records: str | None = None
    targets: tuple[str, ...] = ()
    cores: int = 2
    gpu: int = 2
    triggers: tuple[str, ...] = ()
    forced: bool = False


def jobs_in(folder: Path, environment: Mapping[str, str], options: Options) -> list[Job]:
    """The jobs that Snakemake would run in a folder, in no particular order."""
    command = [sys.executable, __file__, json.dumps(asdict(options))]
    asked = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    return [Job(**job) for job in json.loads(asked.stdout)]


def main(options: Options) -> None:
    from snakemake.api import SnakemakeApi
    from snakemake.settings import types

    output = types.OutputSettings(dryrun=True, nocolor=True, quiet={types.Quietness.ALL}, enable_file_logging=False)
    dag = types.DAGSettings(targets=frozenset(options.targets), forceall=options.forced)
    if options.triggers:
        dag.rerun_triggers = types.RerunTrigger.parse_choices_set(options.triggers)
    with SnakemakeApi(output) as api:
        try:
            workflow_api = api.workflow(
                types.ResourceSettings(cores=options.cores, resources={"gpu": options.gpu}),
                types.ConfigSettings(
                    config={key: value for key in ("run", "records") if (value := getattr(options, key))}
                ),
            )
            workflow_api.dag(dag).execute_workflow(executor="dryrun")
        except Exception as error:
            api.print_exception(error)
            sys.exit(1)
        graph = workflow_api._workflow.dag  # the API prints a graph, but does not give it
        jobs = [described(job) for job in graph.needrun_jobs(exclude_finished=False)]
    print(json.dumps(jobs))


def described(job: Any) -> dict:
    """One of Snakemake's jobs as plain values."""
    named = {name: job.input.get(name) for name, _ in job.input._allitems() if name}
    return {
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards.items()),
        "input": list(map(str, job.input)),
        "named": {name: [files] if isinstance(files, str) else list(files) for name, files in named.items()},
        "output": list(map(str, job.output)),
        "log": list(map(str, job.log)),
        "command": job.shellcmd or "",
        "resources": {"threads": job.threads}
        | {name: value for name in ("gpu", "mem_mb", "runtime") if (value := job.resources.get(name)) is not None},
    }


if __name__ == "__main__":
    main(Options(**json.loads(sys.argv[1])))
