"""Whose images they may be, by their names: what is asked about, with which pattern, and what is not."""

import re
import shutil

import pandas as pd
import pytest
from test_images import extract, parameters, picture

from stages.data import images
from stages.data.image_patients import APART, doubt
from stages.data.image_tree import find_images
from stages.data.split import split
from stages.errors import InputError


def named(raw, names):
    """What the reader would ask about images of these names, which need not hold anything."""
    for name in names:
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return doubt(find_images(raw, {}))


PNEUMONIA = [
    *(
        f"train/PNEUMONIA/person{n}_{kind}_{k}.jpeg"
        for n in range(1, 5)
        for kind in ("bacteria", "virus")
        for k in (1, 2)
    ),
    *(f"train/NORMAL/IM-{n:04d}-0001.jpeg" for n in (115, 117)),
    "test/NORMAL/NORMAL2-IM-1427-0001.jpeg",
    "test/PNEUMONIA/person1_virus_6.jpeg",
]
BREASTS = [
    (f"{'normal' if n < 4 else 'mass'}", f"{n:03d}", f"{s}_{v}") for n in range(7) for s in "LR" for v in ("CC", "MLO")
]


VIEWS = "(?i)(?:^|_)(?:(?:{0})[-_. ]+)*([^_]+?)(?:[-_. ]+(?:{0}))*$"
LAST = "(?:^|_)([0-9]+)[^0-9]*$"
PATIENTS = sorted({(kind, n) for kind, n, _ in BREASTS})
CASES = {
    "pneumonia": (PNEUMONIA, "((?:person|IM-)[0-9]+)", 7),
    "mammograms": ([f"{kind}/P{n}_{view}.png" for kind, n, view in BREASTS], "(P[0-9]+)", 7),
    "view first": ([f"{kind}/{view}_P{n}.png" for kind, n, view in BREASTS], "(P[0-9]+)", 7),
    "slice first": ([f"{kind}/slice{k}_patient{n}.png" for kind, n in PATIENTS for k in (1, 2)], "(patient[0-9]+)", 7),
    "two numbers": (
        [f"{kind}/{n}_{k}.png" for kind, n in PATIENTS for k in (1, 2)],
        "(?:^|_)([0-9]+)[^0-9]+[0-9]+$",
        7,
    ),
    "eyes": ([f"{kind}/{n}_{k}.png" for kind, n in PATIENTS for k in ("left", "right")], "(?:^|_)([0-9]+)_[^_]*$", 7),
    "across classes": ([f"{k}/P{n}_{k[n % 2]}.png" for k in ("normal", "mass") for n in range(4)], "(P[0-9]+)", 4),
    "folders": (
        [f"{n}/{k}/{n}_x{x}_class{k}.png" for n in (8863, 1025) for k in "01" for x in (1, 51)],
        "^([0-9]+)",
        2,
    ),
    "a name without a number": (
        [f"train/Set2021_{n:05d}_flair_{z}.png" for n in range(3) for z in (60, 61)] + ["test/bad/x.png"],
        "(Set2021_[0-9]+|^(?!.*Set2021_[0-9]).+)",
        4,
    ),
    "visits": (["good/visit1_001.png", "good/visit2_001.png", "bad/visit1_002.png"], LAST, 2),
    "counted visits": (["good/visit_1_01.png", "good/visit_2_01.png", "bad/visit_1_02.png"], LAST, 2),
    "visits last": (["good/P1_week0.png", "good/P1_week12.png", "bad/P2_week0.png"], "(P[0-9]+)", 2),
    "follow-up": (["good/img_baseline_7.png", "good/img_followup_7.png", "bad/img_baseline_8.png"], LAST, 2),
    "folders of visits": (
        [f"{t}/good/00{n}.png" for t in ("before", "after") for n in (1, 2)] + ["x/bad/003.png"],
        LAST,
        3,
    ),
    "folders of sides": (["left/good/001.png", "right/good/001.png", "left/bad/002.png"], LAST, 2),
    "classes are visits": ([f"{t}/00{n}.png" for t in ("normal", "after", "before") for n in (1, 2)], LAST, 2),
    "sides by class": (
        ["good/P1_left.png", "bad/P1_right.png", "good/P2_left.png", "bad/P3_right.png"],
        "(P[0-9]+)",
        3,
    ),
    "sides of names": (["good/anna_L.png", "good/anna_R.png", "bad/bob_L.png"], VIEWS.format("l|r"), 2),
    "breasts of names": (["good/anna_LCC.png", "good/anna_RMLO.png", "bad/eva-rmlo.png"], VIEWS.format("lcc|rmlo"), 2),
    "views first": (["good/CC_anna.png", "good/MLO_anna.png", "bad/CC_eva.png"], VIEWS.format("cc|mlo"), 2),
    "pre and post": (["good/a-pre-op.png", "good/a-post-op.png", "bad/b.png"], VIEWS.format("post-op|pre-op"), 2),
    "names as folders": (
        [f"{n}/{k}/left.png" for n, k in (("anna", "good"), ("eva", "good"), ("bob", "bad"))] + ["anna/good/right.png"],
        "^([^_]+)",
        3,
    ),
    "two names as folders": (["anna/good/left.png", "anna/good/right.png", "bob/bad/left.png"], "^([^_]+)", 2),
    "a copy": (["good/a (1).png", "good/a (1)_flipped.png", "bad/a (2).png"], "(a [(][0-9]+)", 2),
}


@pytest.mark.parametrize(("names", "pattern", "patients"), CASES.values(), ids=CASES)
def test_images_that_may_be_of_one_patient(tmp_path, names, pattern, patients):
    found = named(tmp_path, names)
    assert found.pattern == pattern
    whose = {item.slice_id: re.search(pattern, item.slice_id)[1] for item in find_images(tmp_path, {})}
    assert len(set(whose.values())) == patients
    one, other = (name.rsplit(".", 1)[0].replace("/", "_") for name in (found.one, found.other))
    assert one != other
    assert whose[one] == whose[other]
    assert len({item.subject for item in find_images(tmp_path, {"subject": pattern})}) == patients
    assert len({item.subject for item in find_images(tmp_path, {"subject": APART})}) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        [f"{place}/{n:03d}.png" for place in ("train/good", "test/good", "test/crack", "test/hole") for n in range(4)],
        [f"{place}/img_{n}.png" for place in ("normal", "mass") for n in range(4)],
        [f"{place}/{place} ({n}).png" for place in ("normal", "benign") for n in range(12)],
        [f"ill/COVID-19 ({n}).png" for n in range(4)] + [f"normal/Normal-{n}.png" for n in range(4)],
        [f"{place}/{n:03d}_{place}.png" for place in ("good", "crack") for n in range(4)],
        [f"{place}/{word}_case_{n}.png" for place, word in (("normal", "normal"), ("mass", "bad")) for n in range(4)],
        [f"bad/grade{k}_{n:03d}.png" for k in (1, 2) for n in range(3)] + ["good/1.png"],
        [f"good/IMG_2020010{d}_12{n:02d}11.jpg" for d in (1, 2) for n in range(3)] + ["bad/2020-01-05 12.31.11.jpg"],
        [f"{place}/{year}_{n:06d}.jpg" for place in ("good", "bad") for year in (2007, 2008) for n in range(3)],
        [f"good/IM-{n:04d}-0001.jpeg" for n in range(4)] + [f"bad/Tr-gl_{n:04d}.jpg" for n in range(4)],
        [f"good/{n * 0x9E3779B97F4A7C15 % 2**64:016x}.png" for n in range(1, 60)] + ["bad/a.png"],
        [f"good/1.2.840.{k}.{n}.dcm" for k in range(2) for n in range(3)] + ["bad/1.2.840.3.1.dcm"],
        [f"{place}/{view}.png" for place in ("good", "bad") for view in ("left", "right")],
        [f"{place}/scan_{view}.png" for place in ("good", "bad") for view in ("left", "right")],
        [f"good/{name}_left.png" for name in ("anna", "eva")] + ["bad/bob_left.png", "bad/anna_left.png"],
        [f"good/{n}_256x256.png" for n in range(3)] + [f"bad/T{k}_{n:03d}.png" for k in (1, 2) for n in range(3)],
    ],
    ids=lambda names: names[0],
)
def test_numbers_that_tell_no_patient(tmp_path, names):
    assert named(tmp_path, names) is None


def written(raw, names):
    for number, name in enumerate(names):
        picture(raw / name, number)


def test_without_a_split_of_its_own_a_set_is_asked_about(tmp_path):
    raw, options = tmp_path / "raw", {}
    written(raw, [f"{kind}/P{n}_{side}.png" for kind, n in (("good", 1), ("good", 2), ("bad", 3)) for side in "LR"])
    sentence = (
        r"bad/P3_L\.png and bad/P3_R\.png may be of one patient, .*data\.images\.subject .*'\(P\[0-9\]\+\)' if they"
    )
    with pytest.raises(InputError, match=sentence):
        extract(raw, **options)
    assert not (tmp_path / "out/images.npy").exists()
    assert extract(raw, subject="(P[0-9]+)").manifest["subject_id"].nunique() == 3
    assert extract(raw, subject=APART).manifest["subject_id"].nunique() == 6
    rows = [f"{path.relative_to(raw)},{path.parent.name}," for path in sorted(raw.rglob("*.png"))]  # of no subject yet
    (raw / "t.csv").write_text("\n".join(["image,label,subject", *rows]))
    with pytest.raises(InputError, match="may be of one patient"):
        extract(raw, table="t.csv")
    (raw / "t.csv").write_text("\n".join(["image,label,subject", *(f"{row}{row.split('_')[0][-2:]}" for row in rows)]))
    assert extract(raw, table="t.csv").manifest["subject_id"].unique().tolist() == ["P3", "P1", "P2"]


@pytest.mark.parametrize(
    ("last", "warning"),
    [("train", "whom the data set's own split does not divide, but counts would"), ("test", "1 patients, it seems")],
)
def test_a_split_of_its_own_is_kept_and_counts_are_refused(tmp_path, last, warning):
    raw, out = tmp_path / "raw", tmp_path / "out"
    places = [("train/good", 1), ("train/good", 2), ("test/good", 3), ("test/bad", 4)]
    written(raw, [f"{place}/P{n}_{view}.png" for place, n in places for view in (1, 2)] + [f"{last}/good/P1_3.png"])
    lines = images.extract(parameters(), raw, out)
    assert [line for line in lines if line.startswith("warning: ") and warning in line and "'(P[0-9]+)' if" in line]
    if last == "test":
        assert "test/good/P1_3.png and train/good/P1_1.png" in lines[-1]
    data = {"reader": "images", "published_slices": None}
    found, _ = split({"seed": 0, "data": data | {"split": "raw"}}, out)
    assert len(found.split_of) == 9
    for counts in (
        {"train": 3, "validation": 1, "test": 2},
        {key: {"healthy": 1, "diseased": 0} for key in ("train", "validation", "test")},
    ):
        with pytest.raises(InputError, match=r"may be of one patient, whom counts in data\.split would divide"):
            split({"seed": 0, "data": data | {"split": counts}}, out)
    images.extract(parameters(subject=APART), raw, out)
    assert "patient" not in pd.read_csv(out / "subjects.csv")
    split({"seed": 0, "data": data | {"split": {"train": 3, "validation": 1, "test": 2}}}, out)


def test_one_image_in_two_places_is_said(tmp_path):
    raw = tmp_path / "raw"
    for n, name in enumerate(("train/good/1", "train/bad/2", "test/good/3", "test/bad/4")):
        picture(raw / f"{name}.png", seed=n)
    assert not [line for line in images.extract(parameters(), raw, tmp_path / "one") if "twice" in line]
    shutil.copy(raw / "train/good/1.png", raw / "test/good/5.png")
    (line,) = [line for line in images.extract(parameters(), raw, tmp_path / "two") if "twice" in line]
    assert line.startswith("warning: 1 image is there twice (")
    assert "1.png of" in line
    assert "5.png of" in line
