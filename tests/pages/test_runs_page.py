"""Several people's runs on one page: ranked only where they can be compared, and every kind of damage named."""

import argparse
import copy
import csv
import dataclasses
import hashlib
import itertools
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_benchmark import Benchmark

from stages import digests, provenance
from stages.data.store import open_split
from stages.errors import InputError
from stages.evaluation import between_runs, comparison_tables, paired, records
from stages.pages import crates, runs_page
from stages.pages.ro_crate import FILE


def finish(one, device="Some card"):
    """Scores, tables and the notes of provenance, as the rules leave them."""
    maps = one.root / "maps"
    options = argparse.Namespace(parameters=one.parameters, data=one.root / "data")
    with provenance.job("stages.detection.vae", options):
        provenance.note(maps, devices=[device])
    one.score_all()
    one.tabulate()
    with provenance.job("stages.evaluation.comparison_tables", argparse.Namespace(parameters=one.parameters)):
        provenance.note(one.root / "tables", made_from=[maps])
    with provenance.job("stages.pages.tables_page", argparse.Namespace(parameters=one.parameters)):
        provenance.note(one.root / "tables.html")
    return one


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`ours` of one seed, and `theirs` of two whose ready-made maps show the lesions best, on the same slices."""
    root = tmp_path_factory.mktemp("made")
    found = {"ours": Benchmark(root / "ours/b"), "theirs": Benchmark(root / "theirs/b", seeds=(0, 1))}
    for one in found.values():  # an order that is not the alphabet's
        one.parameters["methods"] = dict(reversed(one.parameters["methods"].items()))
    for one in found.values():
        for path in (one.root / "maps").rglob("guided-ddim/**/maps.npy"):
            np.save(path, np.load(path) % 1)
    for path in (root / "theirs/b/maps").rglob("ready-made/**/maps.npy"):
        masks = np.asarray(found["theirs"].store(path.parent.name).masks)
        np.save(path, np.load(path) + 2 * masks.astype(np.float16))
    finish(found["ours"])
    finish(found["theirs"], "Another card")
    return found


@pytest.fixture
def two(made, tmp_path, monkeypatch):
    """Copies of `made`, one test's own."""
    monkeypatch.chdir(tmp_path)
    found = {label: copy.deepcopy(one) for label, one in made.items()}
    for label, one in found.items():
        one.root = shutil.copytree(one.root, tmp_path / label / "b")
    return found


def run(*arguments):
    runs_page.main(runs_page.arguments().parse_args([*map(str, arguments), "--output", "page/runs.html"]))
    return Path("page/runs.html").read_text()


def read(name):
    return pd.read_csv(f"page/runs/{name}.csv")


def labelled(found):
    return [f"{label}={one.root}" for label, one in found.items()]


def test_comparable_runs_stand_in_one_table_with_the_numbers_of_their_own(two):
    page = run(*labelled(two))
    table = read("comparison-1").set_index(["run", "method"])
    for label, one in two.items():
        own = pd.read_csv(one.root / "tables/comparison.csv").set_index("method")
        assert table.loc[label].index.tolist() == ["ready-made", "guided-ddim"], "in the order of params.yaml"
        for metric in ("dice_average_otsu", "auroc", "image_auroc"):
            assert table.loc[label, metric].tolist() == pytest.approx(own[metric].tolist())
    assert "<title>Runs side by side</title>" in page
    assert "Group 1: ours, theirs" in page
    assert "Group 2" not in page
    assert "Paired over the first 1 of the seeds, which every run has; theirs has 2." in page


def test_the_best_is_tested_against_every_method_of_every_run(two):
    run(*labelled(two))
    rows = read("paired-1")
    auroc = rows[rows["metric"] == "auroc"]
    assert set(auroc["method"]) == {"theirs: ready-made"}, "its lesions are brighter"
    assert set(auroc["other"]) == {"ours: guided-ddim", "ours: ready-made", "theirs: guided-ddim"}
    frames = {label: between_runs.read_run(label, one.root).test_slices("ready-made")[:1] for label, one in two.items()}
    expected = paired.compare_pairs(frames, 200, 3).set_index("metric")
    row = auroc.set_index("other").loc["ours: ready-made"]
    assert row["difference"] == pytest.approx(-expected.loc["auroc", "difference"])
    assert row["p"] == pytest.approx(expected.loc["auroc", "p"])


def test_the_page_says_what_each_run_came_from(two):
    page = run(*labelled(two))
    rows = read("runs").set_index("run")
    hashed = provenance.sha256(digests.read(two["ours"].root / "data"))
    assert rows["data"].tolist() == [hashed, hashed]
    assert rows["devices"].to_dict() == {"ours": "Some card", "theirs": "Another card"}
    assert rows.loc["ours", "code"] == provenance.Code.of_now().sha256
    assert rows.loc["theirs", "repeats"] == "fold1-seed0, fold1-seed1"
    assert "Another card" in page


def test_what_differs_in_the_parameters_is_listed(two):
    run(*labelled(two))
    rows = read("parameters-1").set_index("key")
    assert rows.loc["repeats.seeds"].to_dict() == {"ours": "[0]", "theirs": "[0, 1]"}
    assert len(rows) == 1


def test_a_copy_is_said_to_be_the_same_run(two, tmp_path):
    """The same folder named twice, and a clone that has what git tracks and tables of its own."""
    clone = shutil.copytree(two["ours"].root, tmp_path / "clone/b", ignore=shutil.ignore_patterns("maps", "scores"))
    page = run(*labelled(two), f"clone={clone}", f"again={two['ours'].root}")
    for label in ("clone", "again"):
        assert f"ours and {label}: records are byte-identical, the same run; {label} is left out of the tables" in page
    assert read("comparison-1")["run"].tolist() == ["ours"] * 2 + ["theirs"] * 2
    assert read("runs").set_index("run")["group"].to_dict() == {"ours": 1, "theirs": 1, "clone": 1, "again": 1}
    page = run(f"ours={two['ours'].root}", f"clone={clone}")
    assert runs_page.ONE in page


def test_what_two_runs_share_is_said_to_be_one(two):
    """As of a clone to whose records a method was added: here the four settings of guided-ddim of the first seed."""
    page = run(*labelled(two))
    assert (
        "ours and theirs: 4 of their records are byte-identical, of the same run (guided-ddim); that they agree "
        in page
    )
    record = records.read_record(two["theirs"].record("guided-ddim", "L10_s0"))
    record.slices["test"]["auroc"] += 1e-3
    records.write_record(two["theirs"].record("guided-ddim", "L10_s0"), record)
    runs = [between_runs.read_run(label, one.root) for label, one in two.items()]
    stands, (said,) = between_runs.distinct(runs)
    assert stands == {"ours": runs[0], "theirs": runs[1]}
    assert "ours and theirs: 3 of their records" in said
    assert between_runs.distinct(runs[:1])[1] == []


def test_an_upper_bound_is_never_the_best(two):
    two["theirs"].parameters["trained_on"]["ready-made"] = "masks"
    finish(two["theirs"])
    page = run(*labelled(two))
    rows = read("paired-1")
    assert "theirs: ready-made" not in set(rows["method"])
    assert "Trained on masks: an upper bound" in page


def test_runs_of_other_data_are_not_ranked(two, tmp_path):
    other = Benchmark(tmp_path / "other/b")
    images = np.load(tmp_path / "other/b/data/images.npy")
    np.save(tmp_path / "other/b/data/images.npy", images * np.float16(0.5))
    digests.write(tmp_path / "other/b/data")
    page = run(*labelled(two), f"other={finish(other).root}")
    assert re.search(
        r"other is not ranked with ours, because their slice stores differ \(SHA-256 \w{12} and \w{12}\)\.", page
    )
    assert read("runs")["group"].tolist() == [1, 1, 2]
    assert not Path("page/runs/paired-2.csv").exists()
    assert runs_page.ONE in page


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: one.parameters["evaluation"].update(healthy_quantile=0.9), "evaluation.healthy_quantile is 0.98"),
        (lambda one: (one.root / "split/fold1.csv").write_text(
            (one.root / "split/fold1.csv").read_text().replace("T3,test", "T3,unused")),
         r"their test slices differ \(18 and 12, 12 in both\)"),
    ],
)  # fmt: skip
def test_runs_scored_otherwise_or_on_other_slices_are_not_ranked(two, tmp_path, change, why):
    other = Benchmark(tmp_path / "other/b")
    change(other)
    for path in (tmp_path / "other/b/maps").rglob("test/maps.npy"):
        count = len(open_split(other.root / "data", other.root / "split/fold1.csv", "test").manifest)
        np.save(path, np.load(path)[:count])
    finish(other)
    assert re.search(f"other is not ranked with ours, because .*{why}", run(*labelled(two), f"other={other.root}"))


def test_without_a_hash_the_slices_decide(two):
    """Records alone name no data; each slice's label, lesion area and share of the body still tell them apart."""
    for one in two.values():
        (one.root / "tables/provenance.json").unlink()
    runs = [between_runs.read_run(label, one.root) for label, one in two.items()]
    assert runs[0].data_sha256 is None
    assert between_runs.why_not(*runs) is None
    for path in (two["theirs"].root / "record").rglob("*.csv"):
        record = records.read_record(path)
        record.slices["test"].loc[4, "body_share"] += 1e-3
        records.write_record(path, record)
    other = between_runs.read_run("theirs", two["theirs"].root)
    slices = runs[0].test_slices("ready-made")[0]
    assert between_runs.why_not(runs[0], other) == (
        f"their images differ (body_share of 1 test slices, {slices['slice_id'][4]} the first)"
    )


def of_store(one, label, noted):
    """A run whose slice store has this hash (None: it is not noted), and whose scores no other run has."""
    run = between_runs.read_run(label, one.root)
    made_by = dataclasses.replace(run.made_by, data_sha256=noted)
    return dataclasses.replace(run, made_by=made_by, digests={name: label for name in run.digests})


def in_every_order(runs):
    """The groups as labels, which must not depend on the order of the runs; and the sentences of the first order."""
    orders = [between_runs.groups(list(order)) for order in itertools.permutations(runs)]
    found = [{"".join(sorted(run.label for run in group)) for group in groups} for groups, _ in orders]
    assert all(one == found[0] for one in found), found
    return found[0], orders[0][1]


def test_a_run_without_a_hash_joins_no_two_stores(two):
    """`a` and `b` are records alone, which fit the slices of `x`, `y` and `z` alike."""
    x, y, z = (of_store(two["ours"], *pair) for pair in [("x", "1" * 64), ("y", "2" * 64), ("z", "1" * 64)])
    a, b = (of_store(two["ours"], label, None) for label in "ab")
    stores_differ = "y is not ranked with x, because their slice stores differ (SHA-256 111111111111 and 222222222222)."
    unclear = "because one of them notes no slice store and fits runs of different stores alike."
    assert in_every_order([x, y]) == ({"x", "y"}, [stores_differ])
    assert in_every_order([a, x]) == ({"ax"}, [])
    assert in_every_order([a, x, z]) == ({"axz"}, [])
    assert in_every_order([x, y, z]) == ({"xz", "y"}, [stores_differ])
    expected = [f"x is not ranked with a, {unclear}", f"y is not ranked with a, {unclear}", stores_differ]
    assert in_every_order([a, x, y]) == ({"a", "x", "y"}, expected)
    assert in_every_order([a, x, b, y])[0] == {"ab", "x", "y"}


def test_a_run_joins_where_nothing_speaks_against_it_with_every_member(two):
    """`a`, of records alone, was scored as `x` was: `y` is of another store, and `z`, records alone, unlike both."""
    x, y = of_store(two["ours"], "x", "1" * 64), of_store(two["ours"], "y", "2" * 64)
    a, z = (of_store(two["ours"], label, None) for label in "az")
    for run in (y, z):
        evaluation = run.parameters["evaluation"] | {"healthy_quantile": 0.5}
        run.parameters["evaluation"] = evaluation
    found, sentences = in_every_order([a, y, x, z])
    assert found == {"ax", "yz"}
    assert sentences == [
        "y is not ranked with a, because they were scored differently (evaluation.healthy_quantile is 0.98 and 0.5)."
    ]


def test_of_byte_identical_records_the_run_whose_store_is_noted_stands_for_all(two):
    """Otherwise a clone's records, named first, would hide whose store they are of."""
    x, y = of_store(two["ours"], "x", "1" * 64), of_store(two["ours"], "y", "2" * 64)
    clone = dataclasses.replace(of_store(two["ours"], "clone", None), digests=x.digests)
    for runs in itertools.permutations([clone, x, y]):
        stands, sentences = between_runs.distinct(list(runs))
        assert {label: run.label for label, run in stands.items()} == {"clone": "x", "x": "x", "y": "y"}
        assert [sentence[:52] for sentence in sentences] == ["x and clone: records are byte-identical, the same ru"]


def test_records_alone_are_those_of_the_benchmark_of_their_name(two, monkeypatch):
    """As git has them: the parameters are those of params.yaml, if they made the records."""
    folder = two["ours"].root
    (folder / "tables.provenance.json").unlink()
    shutil.rmtree(folder / "tables")
    monkeypatch.setattr(between_runs.reading, "load", lambda _: {})
    monkeypatch.setattr(between_runs.reading, "benchmark", lambda _, name: {"b": two["ours"].parameters}[name])
    monkeypatch.setattr(between_runs, "trained_on", lambda *_: "unknown")
    monkeypatch.setattr(comparison_tables.sections, "identity", lambda *_: "0123abcd")
    assert between_runs.read_run("ours", folder).made_by is None
    monkeypatch.setattr(comparison_tables.sections, "identity", lambda *_: "other")
    refused = r"no repeat of ours is finished: .* made with other parameters"
    with pytest.raises(InputError, match=refused):
        between_runs.read_run("ours", folder)
    with provenance.job("stages.pages.tables_page", argparse.Namespace(parameters={"seed": 0})):
        provenance.note(folder / "tables.html")  # a note without methods says no more than none
    with pytest.raises(InputError, match=refused):
        between_runs.read_run("ours", folder)


def test_a_method_that_was_added_here_is_none_of_a_copy_with_its_tables(two, monkeypatch):
    """Without the note beside tables.html the parameters are those of now, and the tables' note names the methods."""
    theirs = two["ours"]
    (theirs.root / "tables.provenance.json").unlink()
    note = provenance.of(theirs.root / "tables")
    noted = dataclasses.replace(note, parameters={"trained_on": {"guided-ddim": "labels", "ready-made": "unknown"}})
    monkeypatch.setattr(between_runs.provenance, "of", lambda path: noted if path.name == "tables" else None)
    mine = theirs.parameters | {"methods": theirs.parameters["methods"] | {"added": {"grid": [{}], "setting": {}}}}
    monkeypatch.setattr(between_runs.reading, "load", lambda _: {})
    monkeypatch.setattr(between_runs.reading, "benchmark", lambda *_: mine)
    monkeypatch.setattr(comparison_tables.sections, "identity", lambda *_: "0123abcd")
    run = between_runs.read_run("theirs", theirs.root)
    assert run.trained_on == {"ready-made": "unknown", "guided-ddim": "labels"}
    assert not run.notes


def test_methods_that_are_not_finished_are_left_out_with_a_word(two):
    two["ours"].record("ready-made", "default").unlink()
    table = two["ours"].root / "tables/comparison.csv"
    rows = list(csv.reader(table.open()))
    table.write_text("".join(",".join(row) + "\n" for row in rows if row[0] != "ready-made"))
    page = run(*labelled(two))
    assert "ours: Left out, with so many of 1 repeats finished: ready-made (0)." in page
    assert read("comparison-1")["method"].tolist() == ["guided-ddim", "ready-made", "guided-ddim"]


def test_tables_that_are_not_of_the_records_are_refused(two):
    path = two["ours"].record("ready-made", "default")
    record = records.read_record(path)
    record.slices["test"]["auroc"] = 1.0
    records.write_record(path, record)
    with pytest.raises(InputError, match=r"comparison\.csv is not what the records of .* give"):
        run(*labelled(two))


def crate(one, path, top="b/"):
    """A zipped crate of a run: what lies in its folder, with the metadata that list its records and tables."""
    wanted = [file for file in one.root.rglob("*") if crates.WANTED.fullmatch(file.relative_to(one.root).as_posix())]
    entries = [
        {"@id": file.relative_to(one.root).as_posix(), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in wanted
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file in wanted:
            archive.write(file, top + file.relative_to(one.root).as_posix())
        archive.writestr(top + FILE, json.dumps({"@graph": [{"@id": "./"}, *entries]}))
        archive.writestr(top + "figures/figure.png", b"not looked at")
    return path


def test_a_zipped_crate_gives_what_its_folder_gives(two, tmp_path):
    run(*labelled(two))
    before = Path("page/runs/comparison-1.csv").read_bytes()
    run(f"ours={two['ours'].root}", f"theirs={crate(two['theirs'], tmp_path / 'theirs.zip')}")
    assert Path("page/runs/comparison-1.csv").read_bytes() == before


def test_a_crate_whose_files_were_changed_is_refused(two, tmp_path):
    path = crate(two["ours"], tmp_path / "b.zip")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "changed.zip", "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            changed.writestr(name, content + b"\n" if name.endswith("comparison.csv") else content)
    with pytest.raises(InputError, match=r"changed\.zip: tables/comparison\.csv is not what ro-crate-metadata\.json"):
        run(f"a={tmp_path / 'changed.zip'}")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "short.zip", "w") as short:
        for name in archive.namelist():
            if "ready-made" not in name:
                short.writestr(name, archive.read(name))
    with pytest.raises(InputError, match=r"short\.zip lacks record/fold1-seed0/ready-made/default\.csv, which its"):
        run(f"a={tmp_path / 'short.zip'}")


def test_what_is_no_run_is_refused(two, tmp_path, monkeypatch):
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("../record/fold1-seed0/vae/default.csv", "x")
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("a/record/fold1-seed0/vae/default.csv", "x")
        archive.writestr("b/record/fold1-seed0/vae/default.csv", "x")
    for argument, message in {
        "gone": "gone is not there",
        "text.zip": r"text\.zip is no folder and no \.zip of one",
        "empty": "empty has no folder record",
        "out.zip": "holds no records of results",
        "both.zip": r"holds several runs \(a, b\)",
    }.items():
        with pytest.raises(InputError, match=message):
            run(argument)
    monkeypatch.setattr(crates, "MOST", 100)
    with pytest.raises(InputError, match="would unpack to more than"):
        run(crate(two["ours"], tmp_path / "large.zip"))
    with pytest.raises(InputError, match="b is the name of two runs: call them otherwise"):
        run(*(one.root for one in two.values()))
    assert not Path("page").exists(), "nothing is written"


def test_parameters_that_are_none_are_refused(two):
    path = two["ours"].root / "tables.provenance.json"
    noted = json.loads(path.read_text())
    for wrong in ({"methods": 3}, {"methods": {"vae": {}}}, {"methods": {"vae": {"grid": [{}]}}, "repeats": []}):
        path.write_text(json.dumps(noted | {"parameters": wrong}))
        with pytest.raises(InputError, match="does not note the parameters of a benchmark"):
            between_runs.read_run("ours", two["ours"].root)
