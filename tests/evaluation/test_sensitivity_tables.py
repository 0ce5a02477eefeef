import re

import numpy as np
import pandas as pd
import pytest

from stages.evaluation import sensitivity
from stages.methods import settings

METHODS = {
    "guided-ddim": {"grid": [{"L": [250, 500], "s": [0, 100]}, {"L": [500], "s": [20]}]},
    "classifier-free": {"grid": [{"L": [500], "w": [2, 1]}]},
    "intensity": {"grid": [{"view": ["plain", "equalised"]}]},
    "vae": {"grid": [{}]},
}
REPORTED = {
    "guided-ddim": ["L500_s20"],
    "classifier-free": ["L500_w1"],
    "intensity": ["view-plain"],
    "vae": ["default"],
}


def scores(methods=METHODS, **columns):
    rows = []
    for name, method in methods.items():
        for number, setting in enumerate(settings(method)):
            for split, offset in (("validation", 0.5), ("test", 0)):
                row = {"method": name, "setting": setting.name, "split": split}
                rows.append(
                    row
                    | {
                        "dice_average_otsu": offset + number / 10,
                        "dice_own_otsu": 0.7,
                        "auroc": 0.9,
                        "image_auroc": 0.8,
                    }
                )
    return pd.DataFrame(rows).assign(**columns)


def markdown(methods, table):
    """The document without the blanks that align its tables' columns."""
    return re.sub(" +", " ", sensitivity.markdown(methods, table))


def test_rows_are_s_or_w_and_columns_are_levels():
    assert sensitivity.axes(METHODS["guided-ddim"]) == ("s", "L")
    assert sensitivity.axes(METHODS["classifier-free"]) == ("w", "L")
    assert sensitivity.axes({"grid": [{"k": [1], "r": [2]}]}) == ("r", "k")
    for grid in ([{"view": ["plain"]}], [{}], [{"k": [1, 2]}], [{"view": ["plain"], "k": [1]}]):
        assert sensitivity.axes({"grid": grid}) is None


def test_the_csv_has_the_grids_of_two_numbers_on_test():
    table = sensitivity.over_grid(METHODS, scores(), REPORTED)
    assert table["method"].unique().tolist() == ["guided-ddim", "classifier-free"]
    assert table["setting"].tolist()[:5] == ["L250_s0", "L250_s100", "L500_s0", "L500_s100", "L500_s20"]
    assert table.columns.tolist() == ["method", "setting", "L", "s", "w", *sensitivity.COLUMNS, "reported"]
    assert (table["dice_own_otsu"] == 0.7).all()
    assert table["dice_average_otsu"].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0, 0.1])
    assert table[["L", "s", "w"]].iloc[-1].tolist()[::2] == [500, 1]
    assert table.loc[table["reported"] == 1, "setting"].tolist() == ["L500_s20", "L500_w1"]


def test_each_setting_that_a_fold_chose_is_reported():
    chosen = REPORTED | {"guided-ddim": ["L500_s20", "L250_s0"]}
    table = sensitivity.over_grid(METHODS, scores(), chosen)
    assert table.loc[table["reported"] == 1, "setting"].tolist() == ["L250_s0", "L500_s20", "L500_w1"]
    assert markdown(METHODS, table).count("**0.") == 3 * 3, "of three metrics"


def test_there_is_a_table_a_method_and_metric_with_the_reported_setting_bold():
    text = markdown(METHODS, sensitivity.over_grid(METHODS, scores(), REPORTED))
    block = text[text.index("## guided-ddim") : text.index("## classifier-free")].splitlines()
    assert [block[2], *block[4:7]] == [
        "| Dice (average Otsu) | L = 250 | L = 500 |",
        "| s = 0 | 0.000 | 0.200 |",
        "| s = 20 | - | **0.400** |",
        "| s = 100 | 0.100 | 0.300 |",
    ]
    assert [line.split(" |")[0] for line in block if "L = 250" in line] == [
        "| Dice (average Otsu)",
        "| Dice (own Otsu)",
        "| AUROC",
    ]
    assert "| s = 20 | - | **0.700** |" in block, "own Otsu"
    assert "| w = 1 | **0.100** |\n| w = 2 | 0.000 |" in text, "ascending"
    assert "vae" not in text


def test_without_masks_the_image_auroc_takes_their_place():
    nothing = dict.fromkeys(("dice_average_otsu", "dice_own_otsu", "auroc"), np.nan)
    text = markdown(METHODS, sensitivity.over_grid(METHODS, scores(**nothing), REPORTED))
    assert "| image AUROC | L = 250 | L = 500 |" in text
    assert "Dice" not in text


def test_a_further_key_has_tables_of_its_own():
    methods = {"mine": {"grid": [{"L": [1, 2], "s": [3], "view": ["plain", "other"]}]}}
    table = sensitivity.over_grid(methods, scores(methods), {"mine": ["L2_s3_view-plain"]})
    text = markdown(methods, table)
    assert "## mine (view = plain)" in text
    assert "## mine (view = other)" in text
    assert text.count("**") == 3 * 2, "one setting in three metrics"


def test_grids_without_two_numbers_leave_a_sentence():
    methods = {"vae": METHODS["vae"]}
    table = sensitivity.over_grid(methods, scores(methods), REPORTED)
    assert len(table) == 0
    assert "No method has a grid of two numbers." in sensitivity.markdown(methods, table)
