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


def test_interval_and_kind_of_test_stand_under_the_numbers_and_a_failed_seed_is_marked():
    base = [fake_run("baseline", k, [1, 1, 0, 0] * 90) for k in range(3)]
    other = [fake_run("x", k, right * 90) for k, right in enumerate(([1, 1, 1, 0], [1, 1, 1, 0], [0, 1, 0, 0]))]
    rows = compare([base, other])
    text = page.to_page([base, other], rows, [])
    low, high = (100 * end for end in rows[1].interval)
    assert f'+8.3 <span class="note">{low:+.1f} to {high:+.1f}</span>' in text
    assert f'>{rows[1].p_holm:.3f} <span class="note">seeds</span>' in text
    assert re.search(r'>67 <span class="note">\d+ to \d+</span>', text)
    assert '<span class="note">seed 2 stands apart (25.0 %, its siblings 75.0 %)</span>' in text
    (axes,) = page._accuracy([base, other], rows).axes
    crosses = [line.get_xdata() for line in axes.lines if line.get_marker() == "x"]
    assert [list(x) for x in crosses] == [[], [25.0]]
