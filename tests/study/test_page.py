import re

from helpers import fake_run

from foodjax.study import page
from foodjax.study.compare import compare


def test_a_variant_whose_name_begins_with_an_underscore_is_in_the_legends():
    groups = [[fake_run(label, 0, right * 9)] for label, right in (("_baseline", [1, 0]), ("_wide$x$", [1, 1]))]
    text = page.to_page(groups, compare(groups), [])
    for part in ("validation loss of every run", "test accuracy of every variant by its multiply-adds"):
        (figure,) = re.findall(f'<svg role="img" aria-label="{part}.*?</svg>', text, re.S)
        legend = figure[figure.index('<g id="legend_1">') :]
        assert [name for name in re.findall(">([^<]+)</text>", legend)] == ["_baseline", "_wide$x$"]


def test_the_page_holds_every_run_and_its_figures(tmp_path):
    groups = [[fake_run("baseline", k, [1, 1, 0, 0] * 9) for k in (0, 1)], [fake_run("<b>&x", 0, [1, 0, 1, 1] * 9)]]
    text = page.to_page(groups, compare(groups), ["workdir y holds no finished run"])
    assert "3 runs of 2 variants" in text
    assert "Left out: workdir y" in text
    assert "<b>&x" not in text
    assert text.count('<g id="variant0"><title>baseline</title>') == 3  # two curves and a point
    assert text.count('<g id="variant1"><title>&lt;b&gt;&amp;x</title>') == 2
