import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from stages.evaluation import documents, lesion_size, paired, summary


def comparison(**columns):
    rows = pd.DataFrame({"method": ["guided-ddim", "vae", "a_b"], "setting": ["L500_s100", "default", "default"]})
    rows = rows.assign(settings=rows["setting"], chosen_on="params.yaml", subjects=5, folds=1, seeds=1)
    rows = rows.assign(trained_on=columns.get("trained_on", "image labels"))
    rows = rows.assign(slices=40, diseased=30, scored=20, average_otsu=0.2, setting_by_masks="", gap=np.nan)
    rows = rows.assign(dice_average_otsu_by_masks=np.nan, auroc_by_masks=np.nan)
    for metric in summary.EVERY_METRIC:
        rows[metric] = columns.get(metric, [0.25, 0.5, 0.75])
        rows[f"{metric}_low"], rows[f"{metric}_high"] = rows[metric] - 0.125, rows[metric] + 0.125
    return rows.assign(body_share=columns.get("body_share", 0.3))


def sizes():
    rows = [
        {"method": method, "setting": "x", "group": group, "from_pixels": 10 * group, "to_pixels": 10 * group + 5}
        | {"slices": 7, "subjects": 5}
        | {f"{metric}{end}": 0.1 * group for metric in lesion_size.METRICS for end in ("", "_low", "_high")}
        for method in ("guided-ddim", "vae", "a_b")
        for group in (1, 2)
    ]
    return pd.DataFrame(rows)


def pairs(smallest=0.0002, **columns):
    rows = [
        {"metric": "auroc", "method": "guided-ddim", "other": other, "value": 0.9, "other_value": value}
        | {"difference": 0.9 - value, "low": 0.01, "high": 0.2, "subjects": 5, "seeds": 1}
        | {"p_subjects": 0.0004, "p_seeds": np.nan, "p": 0.0004, "p_holm": 0.0312}
        for other, value in (("vae", 0.7), ("a_b", 0.6))
    ]
    return pd.DataFrame(rows).assign(smallest_p=smallest, **columns)


def empty():
    return pd.DataFrame(columns=lesion_size.COLUMNS), pd.DataFrame(columns=paired.COLUMNS)


def markdown(*tables):
    """The document without the blanks that align its tables' columns."""
    return re.sub(" +", " ", documents.markdown(*tables))


def test_what_trained_a_method_is_said_and_an_upper_bound_is_never_best():
    rows = comparison(trained_on=["image labels", "healthy images", "masks"])  # by rising value
    text = markdown(rows, sizes(), pairs())
    headline, *others = text.split("\n## ")
    assert "| a_b | masks |" in headline
    assert "| vae | healthy images |" in headline
    assert headline.count("Trained on healthy images: ") == headline.count("Trained on masks: ") == 1
    *tables, tested = (part for part in others if "|" in part)
    for table in tables:
        assert "| vae (healthy images) |" in table
        assert not re.search(r"\| a_b \(masks\) \|.*\*\*0\.[57]", table)
    assert "guided-ddim | a_b (masks) |" in tested
    best = pairs().assign(value=0.5, method="vae", other=["guided-ddim", "a_b"], other_value=[0.4, 0.9])
    assert "| vae (healthy images) | a_b (masks) |" in markdown(rows, sizes(), best)
    assert "**0.500**" in headline
    assert "**0.750**" not in headline
    assert "Trained on" not in markdown(comparison(), sizes(), pairs())


def test_all_tables_stand_in_the_document_in_order():
    text = markdown(comparison(), sizes(), pairs())
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        "A threshold without masks, lesions found, and the price",
        "Beyond the paper",
        "By lesion size",
        "The best method against each other one",
    ]
    assert text.startswith("| method | trained on | setting | chosen on | Dice (average Otsu) |")
    assert "| a_b | default | **0.750** [0.625, 0.875] |" in text
    assert "best achievable Dice (pooled)" in text
    assert "peak memory (MB) of the process" in text
    assert "Seconds: of detection, an image, detection.batch images at a time" in text
    assert (
        "Dice, 10 to 15 px (7 slices, 5 subjects) | Dice, 20 to 25 px (7 slices, 5 subjects) | AUROC, 10 to 15 px"
        in text
    )
    assert "| AUROC | guided-ddim | vae | +0.200 [+0.010, +0.200] | < 0.001 | 0.031 |" in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_what_has_no_value_is_left_out_with_its_heading():
    nothing = {metric: [np.nan] * 3 for metric in (*summary.FIELD_TITLES, *summary.USE_TITLES)}
    for text in (markdown(comparison(**nothing), *empty()), documents.latex(comparison(**nothing), *empty())):
        for heading in ("Beyond the paper", "By lesion size", "against each other", "the price", "by masks"):
            assert heading not in text
    without_masks = nothing | {"image_auroc_max": [0.5, 0.6, 0.7], "body_share": np.nan}
    text = markdown(comparison(**without_masks), *empty())
    assert "| method | setting | image AUROC (maximum) |" in text
    assert "average precision" not in text
    assert "body" not in text


@pytest.mark.parametrize(("share", "says"), [(0.3, "here 30 % of a slice, so the empty"), (0.99, "nearly the whole")])
def test_the_notes_say_how_much_of_the_image_is_body(share, says):
    assert says in markdown(comparison(body_share=share), sizes(), pairs())


def test_the_notes_say_what_so_few_subjects_can_show():
    text = markdown(comparison(), sizes(), pairs(smallest=0.0625))
    assert "5 subjects, at least 0.0625" in text
    assert "can be below 0.05" in text
    assert "no adjusted p" not in markdown(comparison(), sizes(), pairs())
    without = markdown(comparison(), sizes(), pairs(metric="image_auroc", p=np.nan, p_holm=np.nan))
    assert "There is no p: all slices are of one class" in without
    assert "| image AUROC | guided-ddim | vae | +0.200 [+0.010, +0.200] | - | - |" in without


@pytest.mark.parametrize(("subjects", "warned"), [(9, True), (10, False)])
def test_intervals_of_few_subjects_are_called_too_narrow(subjects, warned):
    text = markdown(comparison().assign(subjects=subjects), sizes(), pairs(subjects=subjects))
    assert ("it covers the truth in 75 % of cases with 3" in text) == warned
    assert ("where they and p disagree, go by p" in text) == warned


def test_the_notes_say_over_what_the_numbers_are_taken():
    text = markdown(comparison(), sizes(), pairs())
    assert "5 subjects, 40 slices, 30 of them diseased" in text
    assert "over the 20 scored slices" in text
    assert "no masks" not in text
    notes = documents.headline_notes(comparison())
    assert all(note in text and f"% {note}\n" in documents.latex(comparison(), sizes(), pairs()) for note in notes)


def test_the_tabulars_of_latex_are_sound():
    text = documents.latex(comparison(), sizes(), pairs())
    assert re.findall(r"\\(begin|end){tabular}", text) == ["begin", "end"] * 5
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    columns = None
    for line in lines:
        if found := re.match(r"\\begin{tabular}{(\w+)}", line):
            columns = len(found.group(1))
        elif line.endswith(r"\\"):
            assert len(re.split(r"(?<!\\)&", line.removesuffix(r"\\"))) == columns
    body = re.sub(r"\$[-<]\$|\\[&%$#_{}\\]", "", "\n".join(lines))
    assert not re.findall(r"[%$#_~^<>]", body), "a special character stands unescaped"
    assert r"AUROC & guided-ddim & a\_b & +0.300 & $<$ 0.001 & 0.031 \\" in text
    assert r"{\scriptsize [+0.010, +0.200]}" in text


def chosen():
    """The first two methods' settings were chosen on validation subjects."""
    rows = comparison()
    rows.loc[:1, "chosen_on"] = "image labels of validation subjects"
    rows.loc[0, "settings"] = "L500_s100 (2 folds), L250_s20 (1 fold)"
    rows.loc[:1, "setting_by_masks"] = "L250_s0"
    return rows.assign(dice_average_otsu_by_masks=[0.3, 0.45, np.nan], auroc_by_masks=0.9, gap=[0.05, -0.05, np.nan])


def test_the_choice_by_masks_stands_beside_that_by_labels():
    text = markdown(chosen(), sizes(), pairs())
    assert "| guided-ddim | image labels | L500_s100 (2 folds), L250_s20 (1 fold) | validation labels |" in text
    assert "saw their image labels and no mask" in text
    block = text[text.index("## Chosen by labels, and by masks") :].split("\n\n")[1].splitlines()
    assert block[0].startswith("| method | by labels | by masks | Dice by labels | Dice by masks |")
    assert block[2:] == [
        "| guided-ddim | L500_s100 (2 folds), L250_s20 (1 fold) | L250_s0 | 0.250 | 0.300 | 0.250 | 0.900 | +0.050 |",
        "| vae | default | L250_s0 | 0.500 | 0.450 | 0.500 | 0.900 | -0.050 |",
    ]
    assert "masks choose the test slices" in text, "what else saw masks"
    assert "saw their image labels" not in markdown(comparison(), sizes(), pairs())


def test_the_notes_say_what_seeds_and_folds_there_are():
    text = markdown(comparison(), sizes(), pairs())
    assert "bootstrap over subjects]." in text
    assert "One seed: what another training would have given is in no interval" in text
    assert "One seed, so p is over subjects alone." in text
    text = markdown(comparison().assign(seeds=2, folds=5), sizes(), pairs(seeds=2))
    assert "Mean ± standard deviation over seeds [95 % interval, bootstrap over subjects and seeds]." in text
    assert "Test subjects of 5 folds together" in text
    assert "over two seeds can hardly reject" in text
    text = markdown(comparison().assign(seeds=3), sizes(), pairs(seeds=3))
    assert "a t-test over the 3 seeds" in text
    assert "hardly" not in text


def test_missing_repeats_are_named_first():
    tables = comparison(), sizes(), pairs()
    notes = documents.markdown(*tables, missing=["Missing of 2 repeats: fold2-seed0."]).split("\n\n")[1]
    assert notes.startswith("Missing of 2 repeats: fold2-seed0.\nTest split: 5 subjects")
    assert "% Missing of 2 repeats: fold2-seed0.\n" in documents.latex(
        *tables, missing=["Missing of 2 repeats: fold2-seed0."]
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_compiles(tmp_path):
    seeds = {f"{metric}_seed_sd": 0.01 for metric in summary.TITLES}
    (tmp_path / "comparison.tex").write_text(documents.latex(chosen().assign(**seeds), sizes(), pairs(difference=-0.1)))
    packages = r"\usepackage[landscape,margin=1cm]{geometry}\usepackage{booktabs}"
    text = rf"\documentclass{{article}}{packages}\begin{{document}}\small\input{{comparison}}\end{{document}}"
    (tmp_path / "paper.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
