"""Data sets as they are unpacked go through the workflow, whatever the names of their folders."""

import pandas as pd
import pytest
import synthetic_decathlon
from synthetic_chexpert import BATCHES, write_batches
from synthetic_nih import write_release

pytestmark = pytest.mark.slow

ONLY_DATA = {"methods": None, "trade_off": None}
IMAGES = {"train": {"healthy": 1, "diseased": 1}, "validation": {"healthy": 0, "diseased": 0}}
IMAGES["test"] = {"healthy": 1, "diseased": 1}


def test_releases_are_extracted_and_split(project):
    folders = {name: f"data/{name} (as unpacked) & linked" for name in ("batches", "nih", "msd")}
    raw = {name: project.folder / folder for name, folder in folders.items()}
    write_batches(raw["batches"])
    write_release(raw["nih"])
    synthetic_decathlon.write_task(raw["msd"])
    data = {name: {"folder": folder, "size": 16, "split": IMAGES} for name, folder in folders.items()}
    data["msd"] |= {
        "split": {"train": 2, "validation": 1, "test": 1},
        "brats": {"slices": [2, 7], "pad": 32},
    }
    parents = {"batches": "chexpert", "nih": "nih-chest-64", "msd": "msd-brain"}
    project.set_parameters(
        {f"benchmarks.{name}": {"inherits": parents[name], "data": data[name], **ONLY_DATA} for name in folders}
    )
    project.write_test_profile()
    profile = ("--workflow-profile", "profiles/test", "--config", f"run={','.join(folders)}", "--", "data")
    done = project.snakemake(*profile)
    assert done.returncode == 0, done.stdout
    found = {name: pd.read_csv(project.folder / "results" / name / "data/manifest.csv") for name in folders}
    assert {name: len(table) for name, table in found.items()} == {"batches": 19, "nih": 6, "msd": 4 * 5}
    assert set(found["batches"]["source"].str.split("/").str[0]) == set(BATCHES)
    for name, folder in raw.items():
        # The Decathlon's sources are cases, of which each file is named by its own ending.
        assert all(list(folder.glob(f"{source}*")) for source in found[name]["source"].unique()), name
    assert project.jobs("data", run=",".join(folders)) == {}, "nothing changed"
    (raw["batches"] / BATCHES[2]).rename(raw["batches"] / "elsewhere")
    assert project.jobs("data", run="batches")["extract"] == 1
