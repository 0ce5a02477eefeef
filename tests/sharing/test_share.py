"""What is in a shared folder, and what is not shared."""

import json
import os
import re
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from shared_checkpoint import METRICS, SMOKE, VAE

from stages import provenance
from stages.errors import InputError
from stages.evaluation import records
from stages.parameters import sections
from stages.sharing import share

ROOT = Path(__file__).parents[2]


def test_the_card_says_data_budget_seed_losses_limits_and_licence(shared):
    card = (shared / VAE).with_suffix(".md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["license"], head["library_name"]) == ("mit", "pytorch")
    for words in ("# vae of smoke, fold1-seed0", "| budget | 1 steps |", "| seed | 0 |", "1 slices of 1 subjects"):
        assert words in card
    for words in (
        "metrics.csv | 0.25 |",
        "no medical device",
        "made-up images alone",
        "no patient is in it",
        "\n11,264 param",
    ):
        assert words in card
    assert yaml.safe_load((shared / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_what_nobody_has_licensed_is_not_shared(results, tmp_path):
    own = {key: value for key, value in SMOKE.items() if key != "phantom"}
    with pytest.raises(InputError, match=r"benchmarks.smoke.data.licence does not say under which terms"):
        share.share("smoke", own, results, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_brats_the_terms_are_said_and_no_image_is_shared(results, tmp_path):
    brats = {**SMOKE, "data": SMOKE["data"] | {"licence": "brats"}}
    del brats["phantom"]
    share.share("smoke", brats, results, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.npy"))
    for card in ("README.md", VAE.replace("safetensors", "md")):
        text = (tmp_path / "out" / card).read_text()
        assert "license: other" in text
        assert "register with its organisers" in text
        assert "Menze et al." in text


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        (
            "share",
            "BENCHMARK=-x $(shell touch made)`touch made`'",
            "benchmarks has no '-x $(shell touch made)`touch made`''",
        ),
        (
            "checkpoints",
            "FROM=-x $(shell touch made)`touch made`'",
            "-x $(shell touch made)`touch made`'/SHA256SUMS cannot be read",
        ),
    ],
)
def test_make_takes_names_as_they_are(tmp_path, target, given, said):
    for name in ("Makefile", "pyproject.toml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    command = ["make", "--old-file=env", target, given]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert said in run.stderr, run.stderr
    assert not (tmp_path / "made").exists()


def test_a_place_that_cannot_be_made_is_one_sentence(results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/file is no folder to write to \(File exists\): name another"):
        share.share("smoke", SMOKE, results, tmp_path / "file/out")


def test_sharing_leaves_alone_what_lies_beside(results, tmp_path):
    mine = tmp_path / "out.partial/mine"
    mine.parent.mkdir()
    mine.write_text("kept")
    share.share("smoke", SMOKE, results, tmp_path / "out")
    (results / METRICS).write_text("junk")
    with pytest.raises(InputError, match=r"metrics\.csv is no table"):
        share.share("smoke", SMOKE, results, tmp_path / "second")
    assert mine.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.partial", "results"]
    assert (tmp_path / "out").stat().st_mode == mine.parent.stat().st_mode, "as the umask has it"


def note(at, parameters=None, ended="2026-01-02T00:00:00+00:00"):
    """Provenance beside a file or in a folder, as its rule leaves it."""
    with provenance.job("stages.x", Namespace(parameters=parameters or {})):
        provenance.note(at)
    place = provenance.beside(at)
    place.write_text(json.dumps(json.loads(place.read_text()) | {"ended": ended}))


def tables(results, ended):
    """A comparison that two methods are in, made at a time; the vae was trained on the second of January."""
    (results / "tables").mkdir()
    rows = [
        {"method": "vae", "settings": "default", "dice_average_otsu": 0.12345, "auroc": 0.9, "image_auroc": np.nan},
        {
            "method": "guided-ddim",
            "settings": "L20_s5 (1 fold), L10_s0 (2 folds)",
            "dice_average_otsu": 0.5,
            "auroc": 0.75,
            "image_auroc": 0.25,
        },
    ]
    records.write_csv(results / "tables/comparison.csv", pd.DataFrame(rows))
    (results / "tables/comparison.md").write_text("all of it\n")
    note(results / "tables", sections.section(SMOKE, "comparison_tables"), ended)
    note(results / VAE)


def test_cards_hold_the_scores_of_the_methods_that_use_the_network(results, tmp_path):
    tables(results, ended="2026-01-03T00:00:00+00:00")
    share.share("smoke", SMOKE, results, tmp_path / "out")
    own = (tmp_path / "out" / VAE).with_suffix(".md").read_text()
    of_all = (tmp_path / "out/README.md").read_text()
    head = "| method | setting | Dice (average Otsu) | AUROC | image AUROC |"
    vae, guided = (
        "| vae | default | 0.123 | 0.900 | |",
        "| guided-ddim | L20_s5 (1 fold), L10_s0 (2 folds) | 0.500 | 0.750 | 0.250 |",
    )
    for text, rows in ((own, [head, vae]), (of_all, [head, vae, guided])):
        found = [re.sub(" +", " ", line) for line in text.splitlines() if line.startswith("|")]
        assert [row for row in found if row in (head, vae, guided)] == rows
    assert (tmp_path / "out/tables/comparison.md").read_text() == "all of it\n"
    assert (tmp_path / "out/tables/comparison.csv").exists()


def test_scores_of_earlier_checkpoints_are_left_out(results, tmp_path):
    tables(results, ended="2026-01-01T00:00:00+00:00")
    share.share("smoke", SMOKE, results, tmp_path / "out")
    assert "No tables of these checkpoints were there" in (tmp_path / "out/README.md").read_text()
    assert not (tmp_path / "out/tables").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("0.9", "x", "comparison.csv holds no number in column 'auroc'"),
        ("vae,", "theirs,", "comparison.csv has methods that params.yaml has not"),
        ("auroc", "area", "comparison.csv lacks the column 'auroc'"),
    ],
)
def test_a_table_of_junk_is_one_sentence(results, tmp_path, old, new, sentence):
    tables(results, ended="2026-01-03T00:00:00+00:00")
    path = results / "tables/comparison.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError) as refused:
        share.share("smoke", SMOKE, results, tmp_path / "out")
    assert sentence in str(refused.value)
    assert not (tmp_path / "out").exists()
