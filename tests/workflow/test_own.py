"""What docs/ tells users to write is written, to the letter, and goes through to the tables and figures."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from stages.data.store import open_split
from stages.parameters.reading import deep_merge

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def follow(project, page: str, root) -> None:
    """Write every file that a page shows; what it shows of params.yaml is merged into it."""
    blocks = BLOCK.findall((root / "docs" / page).read_text())
    assert len(blocks) >= 2
    assert not [name for name, _ in blocks if name.startswith(("Snakefile", "workflow"))], "no rule is edited"
    params = project.folder / "params.yaml"
    for name, text in blocks:
        path = project.folder / name
        if path == params:
            merged = deep_merge_keeping_nulls(yaml.safe_load(params.read_text()), yaml.safe_load(text))
            params.write_text(yaml.safe_dump(merged, sort_keys=False))
        else:
            assert not path.exists(), f"{name} is there already"
            path.write_text(text)


def deep_merge_keeping_nulls(base: dict, added: dict) -> dict:
    """As a user who types it in would: in a benchmark, null is a value."""
    result = deep_merge(base, {})
    for key, value in added.items():
        below = result.get(key)
        result[key] = deep_merge_keeping_nulls(below, value) if isinstance(below, dict) else value
    return result


def test_add_your_method(finished, root):
    follow(finished, "add-your-method.md", root)
    results = finished.folder / "results/smoke"
    for split in ("validation", "test"):  # the method that runs elsewhere
        shape = open_split(results / "data", results / "split/fold1.csv", split).masks.shape
        path = results / f"maps/fold1-seed0/elsewhere/default/{split}/maps.npy"
        path.parent.mkdir(parents=True)
        np.save(path, np.random.default_rng(0).random(shape).astype(np.float16))
    jobs = finished.jobs(run="smoke")
    assert {rule: jobs.get(rule, 0) for rule in ("train", "detect", "scores")} == {"train": 2, "detect": 4, "scores": 5}
    run = finished.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke")
    assert run.returncode == 0, run.stdout
    table = pd.read_csv(results / "tables/comparison.csv").set_index("method")
    assert table.loc["local-contrast", "setting"] in ("k1", "k2")
    assert table.loc[["local-contrast", "bottleneck", "pca", "elsewhere"], "auroc"].between(0, 1).all()
    assert "bottleneck" in (results / "tables/comparison.tex").read_text()
    assert finished.jobs(run="smoke") == {}
    a_fitted_model_is_tracked(finished)


def a_fitted_model_is_tracked(project) -> None:
    """Its changed keys rerun what they change; it has its card, is verified, shared and received as a network is."""
    project.set_parameters({"benchmarks.smoke.pca.components": 3})
    changed = project.jobs(run="smoke")
    assert (changed["train"], changed["detect"], changed["scores"]) == (1, 1, 1)
    project.set_parameters({"benchmarks.smoke.pca.components": 4})
    results = project.folder / "results/smoke"
    metrics = pd.read_csv(results / "training/fold1-seed0/pca/metrics.csv")
    assert metrics.columns.tolist() == ["slices", "explained_variance"]
    assert 0 < metrics["explained_variance"].item() < 1
    assert sorted(path.name for path in (results / "training/fold1-seed0/pca").iterdir()) == ["metrics.csv"]
    card = (results / "checkpoints/fold1-seed0/pca.md").read_text()
    assert "in the arrays `components` (4 x 1024), `mean` (1024)." in card
    assert "| budget | fitted at once |" in card
    model = results / "checkpoints/fold1-seed0/pca.safetensors"
    written = model.read_bytes()
    for command in (["verify", "smoke"], ["sharing.share", "smoke"], ["sharing.receive", "share/smoke"]):
        model.unlink() if command[0] == "sharing.receive" else None
        run = project.run(sys.executable, "-m", f"stages.{command[0]}", *command[1:])
        assert run.returncode == 0, run.stdout
    assert model.read_bytes() == written
    assert "pca.safetensors" in run.stdout


SENTENCES = {
    "benchmarks.smoke.pca": {
        None: "pca is missing: the keys by which the model is fitted, {} where there are none",
        5: "pca must be a section of keys ({} where there are none), not 5",
    },
    "benchmarks.smoke.pca.components": {None: "pca.components is missing"},
    "benchmarks.smoke.pca.training": {1: "pca.training is not a known key; known here: components"},
    "benchmarks.smoke.bottleneck.training": {
        "{batch: 3}": "bottleneck.training.accumulate is missing, and so are gpus, learning_rate, betas, warmup, "
        "schedule, weight_decay, ema, mirror, jitter, precision, log_every, sheet_every, save_minutes, "
        "epochs (or iterations)"
    },
}
"""Key -> what it is set to (text: YAML) -> what is then said."""


def test_what_a_section_of_ones_own_lacks_is_said_at_once(project, root):
    follow(project, "add-your-method.md", root)
    params = project.folder / "params.yaml"
    written = params.read_text()
    for key, values in SENTENCES.items():
        for value, sentence in values.items():
            params.write_text(written)
            project.set_parameters({key: yaml.safe_load(str(value)) if value is not None else None})
            said = project.run(sys.executable, "-m", "stages.parameters", "smoke").stdout
            assert said == f"error: params.yaml: benchmarks.smoke.{sentence}\n"


def test_a_folder_of_images(project, root):
    project.write_test_profile()
    follow(project, "add-your-data-set.md", root)
    rng = np.random.default_rng(0)
    for place, count in (("train/good", 8), ("test/good", 3), ("test/crack", 3)):
        for number in range(count):
            path = project.folder / f"data/my-images/{place}/{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels, mask = rng.integers(60, 90, (20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)
            if place == "test/crack":
                mask[5:12, 5:12] = 255
                pixels[mask > 0] = (250, 20, 20)
                truth = project.folder / f"data/my-images/ground_truth/crack/{number:03d}_mask.png"
                truth.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(truth)
            Image.fromarray(pixels).save(path)
    run = project.snakemake("--workflow-profile", "profiles/test", "--config", "run=my-images")
    assert run.returncode == 0, run.stdout
    results = project.folder / "results/my-images"
    table = pd.read_csv(results / "tables/comparison.csv").set_index("method")
    assert table.loc["intensity", "auroc"] == 1
    figure = np.asarray(Image.open(results / "figures/figure-2-methods.png").convert("RGB")).astype(int)
    assert (figure[..., 0] - figure[..., 1:].max(-1) > 200).sum() > 100, "the cracks are red"
    assert '"name":"colour","title":"colour","planes":[0,1,2]' in (results / "explorer.html").read_text()


def test_add_your_data_set(project, root):
    project.write_test_profile()
    follow(project, "add-your-data-set.md", root)
    missing = project.snakemake("-n", "--config", "run=my-data")
    assert "data/my-data is not there" in missing.stdout
    assert "one .npz file a subject" in missing.stdout
    rng = np.random.default_rng(0)
    folder = project.folder / "data/my-data"
    folder.mkdir(parents=True)
    for subject in range(9):
        images, masks = rng.uniform(0.2, 0.4, (6, 1, 16, 16)), np.zeros((6, 16, 16), np.uint8)
        masks[3:, 4:9, 5:10] = 1
        images[:, 0][masks == 1] = 0.9
        np.savez(folder / f"subject{subject}.npz", images=images, masks=masks)
    shown = re.findall(r"^snakemake (.*run=my-data.*)$", (root / "docs/add-your-data-set.md").read_text(), re.MULTILINE)
    assert [command.rpartition(" -- ")[2] for command in shown][:2] == ["data", "tables"]
    results = project.folder / "results/my-data"
    made = [results / "data/images.npy", results / "tables/comparison.csv", results / "explorer.html"]
    for position, (command, file) in enumerate(zip(shown, made, strict=True)):
        run = project.snakemake("--workflow-profile", "profiles/test", *command.split())
        assert run.returncode == 0, run.stdout
        assert [path.exists() for path in made] == [True] * (position + 1) + [False] * (2 - position), file
    table = pd.read_csv(project.folder / "results/my-data/tables/comparison.csv").set_index("method")
    assert table.index.tolist() == ["vae", "intensity"]
    assert table.loc["intensity", "setting"] == "view-plain"
    assert table.loc["intensity", "auroc"] == 1
    results = project.folder / "results/my-data"
    assert (results / "figures/figure-2-methods.png").stat().st_size > 1000
    assert not (results / "figures/figure-4-sensitivity.png").exists(), "no method with L and s"
    assert (results / "explorer.html").stat().st_size > 1000
    assert list((results / "export/vae").glob("*_map.png")), "no NIfTI to go back to"
