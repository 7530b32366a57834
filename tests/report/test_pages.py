"""Every page in a real browser: from 400 pixels on, light, dark and printed, its text can be read."""

import numpy as np
import pytest
from helpers import fake_run, inspect_page, suspected

from foodjax.config.check import checked
from foodjax.report import run_report, templating
from foodjax.run import evaluate
from foodjax.study import page
from foodjax.study.compare import compare

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Of every text that is seen: its words, its contrast with what is painted behind it, and the contrast it needs. Text in
# SVG has the colour of its fill. A background that is not opaque is none here.
CONTRASTS = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const rgb = channels(getComputedStyle(e).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
    if (!words || !element.checkVisibility() || element.closest("script, style, title, .unseen")) continue;
    const style = getComputedStyle(element), svg = element.closest("svg");
    if (svg && svg.parentElement.closest(".wide")) continue;  // a confusion matrix: its cells are an image
    const colour = channels(svg ? style.fill : style.color);
    const pair = [luminance(colour), luminance(ground(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    found.push([words, (pair[0] + 0.05) / (pair[1] + 0.05), large ? 3 : 4.5]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def report(workdir):
    evaluated = evaluate.evaluate_workdir(None, workdir)
    return run_report.to_page(evaluated, workdir)


@pytest.fixture
def inspect(tiny_config):
    from foodjax.data.sets import load_data

    tiny_config.augment.cutmix = 0.5
    config = checked(tiny_config)
    return inspect_page(config, load_data(config))


@pytest.fixture
def labels(tiny_config):
    from foodjax.data.sets import load_data
    from foodjax.report import labels

    config = checked(tiny_config)
    found = suspected(load_data(config))
    return labels.to_page(found, config, labels.listed(found), "The probabilities are made up.")


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    labels = ["baseline", "pooling=average,hidden=256,dropout=0.3", *(f"norm=group,norm_groups={k}" for k in range(9))]
    groups = [[fake_run(label, k, list(rng.random(60) < 0.6)) for k in range(3)] for label in labels]
    groups += [[fake_run("size=96", 0, [1, 0] * 30, pixels="q", data__image_size=96, train__epochs=20)]]
    groups += [[fake_run("other", 0, [1, 0] * 30, ids=[f"b/{k}" for k in range(60)])]]
    return page.to_page(groups, compare(groups), ["workdir y holds no finished run"])


@pytest.fixture
def serve():
    from foodjax.report import pictures

    text = templating.render(
        "serve.html.j2", title="demo: predict a photograph", nonce="n", megabytes=20, max_bytes=2**20, num_classes=10,
        scales=pictures.scales(),
    )  # fmt: skip
    return text.replace(" hidden>", ">")


@pytest.fixture
def web():
    from markupsafe import Markup

    names = ["apple_pie", "a_class_with_a_name_of_the_length_that_some_have", *(f"class {k}" for k in range(101))]
    text = templating.render(
        "web.html.j2", facts={"name": "food101_transfer", "class_names": names, "loading": "loading the network …"},
        shown={"test accuracy": "86.2%", "95 % interval": "85.8% to 86.6%", "run by": "onnxruntime-web 1.30.0"},
        packed={}, script=Markup(""), script_hash="",
    )  # fmt: skip
    item = "<li><span class=class>{}</span><progress max=1 value=.5 aria-label=x></progress><span>100.0 %</span></li>"
    top = "".join(map(item.format, names[:5]))
    text = text.replace(" hidden>", ">").replace('<ol id="top">', f'<ol id="top">{top}')
    return text.replace("<details>", "<details open>")


PAGES = ["report", "inspect", "labels", "comparison", "serve", "web"]


@pytest.fixture
def open_page(request, browser, tmp_path):
    """Returns a function that opens one of PAGES in a tab of some width and colours."""

    def open_one(name, width, scheme="light"):
        path = tmp_path / f"{name}.html"
        path.write_text(request.getfixturevalue(name))
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        request.addfinalizer(tab.close)
        tab.goto(path.as_uri())
        return tab

    return open_one


@pytest.mark.parametrize("width", [320, 400, 800, 1200, 1920])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_wider_than_the_screen(open_page, name, width):
    tab = open_page(name, width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("document.querySelector('main').scrollWidth") <= width


def test_the_table_of_a_comparison_fits_from_1200_pixels(open_page):
    tab = open_page("comparison", 1200)
    assert (
        tab.evaluate("(() => { const e = document.querySelector('.table'); return e.scrollWidth - e.clientWidth })()")
        <= 0
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_can_be_read_on_every_page(open_page, name, scheme):
    tab = open_page(name, 800, scheme)
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 5
    assert [words for words, contrast, needed in found if contrast < needed] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_printed_on_white(open_page, name):
    tab = open_page(name, 800, "dark")
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert [words for words, contrast, needed in tab.evaluate(CONTRASTS) if contrast < needed] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_screen_reader_gets_all_of_a_page(open_page, name):
    tab = open_page(name, 800)
    assert tab.evaluate("[...document.images].every((image) => image.alt)")
    assert tab.evaluate(
        "[...document.querySelectorAll('figure svg')].every((svg) => svg.ariaLabel && svg.role === 'img')"
    )
    assert tab.evaluate("document.documentElement.lang") == "en"
    assert tab.locator("main h1").count() == 1
    levels = tab.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
    assert all(below - above <= 1 for above, below in zip(levels, levels[1:], strict=False))
    # What scrolls can be reached by the keyboard.
    scrolling = "[...document.querySelectorAll('.table, .wide')].filter((e) => e.tabIndex < 0 || !e.ariaLabel).length"
    assert tab.evaluate(scrolling) == 0


def test_right_and_wrong_have_a_mark_and_a_word(open_page):
    tab = open_page("report", 800)
    captions = tab.locator("#photographs ~ .photos figcaption").all_text_contents()
    assert {caption.split(":")[0] for caption in captions} <= {"✓right", "✗wrong"}
    assert len(captions) >= 20


def test_a_remark_is_sorted_with_its_variant(open_page):
    tab = open_page("comparison", 1200)
    tab.click("#run-table th:nth-child(1) button")
    first = tab.locator("#run-table tbody td:nth-child(1)").all_text_contents()
    assert [text.split()[0] for text in first[-2:]] == ["pooling=average,hidden=256,dropout=0.3", "size=96"]
    assert "other input size (train, validation, test)" in first[-1]
