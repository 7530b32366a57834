import re

from helpers import fake_run

from foodjax.study import page
from foodjax.study.compare import compare


def test_a_variant_whose_name_begins_with_an_underscore_is_in_the_legend():
    groups = [[fake_run(label, 0, right * 9)] for label, right in (("_baseline", [1, 0]), ("_wide$x$", [1, 1]))]
    text = page.to_page(groups, compare(groups), [])
    (legend,) = re.findall('<ul class="legend">(.*?)</ul>', text, re.S)
    assert re.findall("</svg>([^<]+)</li>", legend) == ["_baseline", "_wide$x$"]
    assert text.count("<title>_wide$x$</title>") == 2


def test_the_page_holds_every_run_and_its_figures(tmp_path):
    groups = [[fake_run("baseline", k, [1, 1, 0, 0] * 9) for k in (0, 1)], [fake_run("<b>&x", 0, [1, 0, 1, 1] * 9)]]
    text = page.to_page(groups, compare(groups), ["workdir y holds no finished run"])
    assert "3 runs of 2 variants" in text
    alone = groups[1][:1]
    assert "1 run of 1 variant<" in page.to_page([alone], compare([alone]), [])
    assert "Left out: workdir y" in text
    assert "<b>&x" not in text
    assert text.count('<g id="variant0"><title>baseline</title>') == 3  # two curves and a point
    assert text.count('<g id="variant1"><title>&lt;b&gt;&amp;x</title>') == 2
