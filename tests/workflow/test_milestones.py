"""Each milestone of dvc.yaml depends on the files that its jobs run, and on no others."""

import re

import pytest
import yaml

CHAPTERS = {
    "data": ["data"],
    "checkpoints": ["training"],
    "maps": ["detection"],
    "tables": ["evaluation"],
    "figures": ["figures", "pages"],
    "exports": ["export"],
}
"""Milestone -> the files of workflow/rules whose rules are run for it, beside those of the milestones before."""
RULE = re.compile(r"^(?:rule|use rule \w+ as) (\w+)", re.MULTILINE)


def covered(files: set[str], whole: set[str]) -> list[str]:
    """Files, but of the folders whose modules are jobs all: a new detector or figure belongs there too."""
    return sorted({next((folder for folder in whole if file.startswith(f"{folder}/")), file) for file in files})


@pytest.mark.parametrize("milestone", CHAPTERS)
def test_a_milestone_depends_on_what_it_runs(milestone, every_job, root):
    rules = [f"workflow/rules/{chapter}.smk" for chapter in CHAPTERS[milestone]]
    names = {name for path in rules for name in RULE.findall((root / path).read_text())}
    jobs = [job for job in every_job if job.rule in names]
    code = {path for job in jobs for path in job.input if path.startswith("stages/")}
    folders = {job.module.rpartition(".")[0].replace(".", "/") for job in jobs}
    assert len(code) > 5
    deps = yaml.safe_load((root / "dvc.yaml").read_text())["stages"][milestone]["do"]["deps"]
    written = [path for path in deps if not path.startswith(("results/", "workflow/splits"))]
    assert written == [*rules, *covered(code, folders)]
