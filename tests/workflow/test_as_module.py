"""The workflow run from workflow/Snakefile, and as a module of someone else's workflow."""

import re

SMOKE = ("--config", "run=smoke")
OTHER = """
workdir: "{folder}"


configfile: "params.yaml"


module benchmark:
    snakefile:
        "{folder}/workflow/Snakefile"
    config:
        config


use rule * from benchmark as benchmark_*


rule ranking:
    default_target: True
    input:
        "results/smoke/tables/comparison.csv",
    output:
        "{folder}/ranking.csv",
    shell:
        "cp {{input}} {{output}}"
"""


def planned(project, *arguments: str) -> dict[str, int]:
    """Rule -> jobs, from the table that a dry run prints."""
    printed = project.snakemake("-n", "--workflow-profile", "profiles/test", *SMOKE, *arguments)
    assert printed.returncode == 0, printed.stdout
    table = printed.stdout.partition("Job stats:")[2].partition("total")[0]
    return {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def test_the_workflow_runs_from_elsewhere(project, tmp_path):
    jobs = planned(project)
    assert (jobs["all"], jobs["scores"]) == (1, 10)
    assert planned(project, "-s", "workflow/Snakefile") == jobs
    # Someone else's workflow, which needs the tables alone.
    (tmp_path / "Snakefile").write_text(OTHER.format(folder=project.folder))
    theirs = planned(project, "-s", str(tmp_path / "Snakefile"))
    tables = ("phantom", "extract", "split", "train", "latents", "detect", "scores", "comparison_tables")
    assert theirs == {"ranking": 1} | {f"benchmark_{rule}": jobs[rule] for rule in tables}


def test_a_failed_job_is_named_at_the_end_from_there_too(project):
    project.write_test_profile()
    (project.folder / "data/raw").mkdir(parents=True)
    project.set_parameters({"benchmarks.smoke.phantom": None, "benchmarks.smoke.data.folder": "data/raw"})
    run = project.snakemake("-s", "workflow/Snakefile", "--workflow-profile", "profiles/test", *SMOKE, "--", "data")
    assert run.returncode == 1
    assert "\nresults/smoke/logs/extract.log: error: the raw data folder data/raw holds no case" in run.stdout, (
        run.stdout
    )
