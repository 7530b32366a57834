import csv
import math

from foodjax.study import tables
from foodjax.study.compare import Row, Spread

ROWS = [
    Row("baseline", 2, 10_588_458, 1_234_567_890, 36.94, 8.0, Spread(1.5, 0.01), Spread(0.4, 0.012),
        math.nan, (math.nan,) * 2, math.nan, ()),
    Row("lr=3e-4_x", 2, 12, 999, 40.0, 7.5, Spread(1.6, 0.02), Spread(0.35, 0.02),
        -0.05, (-0.08, -0.02), 0.0004, ("other 100 %",)),
]  # fmt: skip


def test_the_table_in_each_form():
    markdown = tables.to_markdown(ROWS).splitlines()
    assert markdown[2] == "| baseline | 2 | 40.0 ± 1.2 |  |  |  | 1.500 ± 0.010 | 8.0 | 10,588,458 | 1.23 G | 36.9 |  |"
    assert "| 35.0 ± 2.0 | -5.0 | -8.0 to -2.0 | < 0.001 | 1.600" in markdown[3]
    assert "| other 100 % |" in markdown[3]
    assert len({line.count("|") for line in markdown}) == 1
    text = tables.to_text(ROWS).splitlines()
    end = text[0].index("test accuracy (%)") + len("test accuracy (%)")
    assert [line[:end].split("  ")[-1].strip() for line in text[1:]] == ["40.0 ± 1.2", "35.0 ± 2.0"]
    latex = tables.to_latex(ROWS)
    assert r"lr=3e-4\_x & 2 & 35.0 $\pm$ 2.0 & -5.0" in latex
    assert r"$<$ 0.001" in latex
    assert r"other 100 \%" in latex
    assert len({line.count(" & ") for line in latex.splitlines() if "&" in line}) == 1
    rows = list(csv.DictReader(tables.to_csv(ROWS).splitlines()))
    assert rows[1]["difference"] == "-0.05"
    assert rows[0]["difference"] == ""
    assert rows[0]["accuracy"] == "0.4"
    assert "remarks" not in tables.to_markdown(ROWS[:1])  # a column that nobody needs


def test_a_remark_on_several_parts_is_one():
    flags = ("seeds 0, the baseline's are 1", "other geometry (train)", "other geometry (test)", "other test images")
    assert tables.remarks(flags) == "seeds 0, the baseline's are 1; other geometry (train, test); other test images"
    assert tables.remarks(()) == ""
