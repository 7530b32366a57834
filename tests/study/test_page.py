from helpers import fake_run

from foodjax.study import page
from foodjax.study.compare import compare


def test_the_page_holds_every_run_and_its_figures(tmp_path):
    groups = [[fake_run("baseline", k, [1, 1, 0, 0] * 9) for k in (0, 1)], [fake_run("<b>&x", 0, [1, 0, 1, 1] * 9)]]
    text = page.to_page(groups, compare(groups), ["workdir y holds no finished run"])
    assert "3 runs of 2 variants" in text
    assert "Left out: workdir y" in text
    assert "<b>&x" not in text
    assert text.count('<g id="variant0"><title>baseline</title>') == 3  # two curves and a point
    assert text.count('<g id="variant1"><title>&lt;b&gt;&amp;x</title>') == 2
