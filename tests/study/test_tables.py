import csv
import math

from foodjax.study import tables
from foodjax.study.compare import Row, Spread

NAN2 = (math.nan,) * 2
ROWS = [
    Row("baseline", 3, 10_588_458, 1_234_567_890, 36.94, 8.0, Spread(1.5, 0.01), Spread(0.4, 0.012),
        math.nan, NAN2, math.nan, math.nan, math.nan, NAN2, "", (), ()),
    Row("lr=3e-4_x", 3, 12, 999, 40.0, 7.5, Spread(1.6, 0.02), Spread(0.35, 0.02),
        -0.05, (-0.08, -0.02), 0.0003, 0.0006, 1 / 9, (0.02, 0.5), "seeds", (2,), ("other 100 %",)),
    Row("one", 1, 12, 999, 40.0, 7.5, Spread(1.6, math.nan), Spread(0.35, math.nan),
        -0.05, NAN2, math.nan, math.nan, math.nan, NAN2, "too few seeds", (), ()),
]  # fmt: skip


def test_the_table_in_each_form():
    markdown = tables.to_markdown(ROWS).splitlines()
    assert (
        markdown[2]
        == "| baseline | 3 | 40.0 ± 1.2 |  |  |  |  |  | 1.500 ± 0.010 | 8.0 | 10,588,458 | 1.23 G | 36.9 |  |"
    )
    assert "| 35.0 ± 2.0 | -5.0 | -8.0 to -2.0 | < 0.001 | 11 (2 to 50) | seeds | 1.600" in markdown[3]
    assert "| 35.0 | -5.0 |  |  |  | too few seeds | 1.600 |" in markdown[4]
    assert "| other 100 % |" in markdown[3]
    assert len({line.count("|") for line in markdown}) == 1
    text = tables.to_text(ROWS).splitlines()
    end = text[0].index("test accuracy (%)") + len("test accuracy (%)")
    assert [line[:end].split("  ")[-1].strip() for line in text[1:]] == ["40.0 ± 1.2", "35.0 ± 2.0", "35.0"]
    latex = tables.to_latex(ROWS)
    assert r"lr=3e-4\_x & 3 & 35.0 $\pm$ 2.0 & -5.0" in latex
    assert r"$<$ 0.001" in latex
    assert r"other 100 \%" in latex
    assert len({line.count(" & ") for line in latex.splitlines() if "&" in line}) == 1
    rows = list(csv.DictReader(tables.to_csv(ROWS).splitlines()))
    assert rows[1]["difference"] == "-0.05"
    assert (rows[1]["p"], rows[1]["p_holm"], rows[1]["tested_over"]) == ("0.0003", "0.0006", "seeds")
    assert (rows[1]["wins_low"], rows[1]["wins_high"], rows[1]["failed_seeds"]) == ("0.02", "0.5", "2")
    assert rows[0]["difference"] == ""
    assert rows[0]["accuracy"] == "0.4"
    assert "remarks" not in tables.to_markdown(ROWS[:1])  # a column that nobody needs


def test_notes_explain_the_columns_that_a_comparison_has():
    assert tables.notes(ROWS[:1]) == ["± is the standard deviation over seeds."]
    text = " ".join(tables.notes(ROWS))
    assert "Holm for 1 variant compared" in text
    assert "two are too few for a test" in text
    assert "Images alone" not in text
    alone = " ".join(tables.notes([ROWS[2]._replace(tested="images alone", p=0.1)]))
    assert "whether these two networks differ" in alone
    assert "new test images" not in alone


def test_a_remark_on_several_parts_is_one():
    flags = ("seeds 0, the baseline's are 1", "other geometry (train)", "other geometry (test)", "other test images")
    assert tables.remarks(flags) == "seeds 0, the baseline's are 1; other geometry (train, test); other test images"
    assert tables.remarks(()) == ""
