"""Contrast of every colour with the page, in both modes, after WCAG 2.2: 4.5:1 for text, 3:1 for graphics."""

import itertools
import re
from importlib import resources

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from foodjax.report import palette

STYLE = (resources.files("foodjax.report") / "templates" / "style.css").read_text()
VARIABLES = [
    dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)
]
MODES = dict(zip(("light", "dark"), VARIABLES, strict=True))


def contrast(one, other):
    """The contrast ratio of two colours as the standard defines it, here with numpy."""

    def luminance(colour):
        c = np.array(to_rgb(colour))
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_ratio_is_the_standards():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(
        4.54, abs=0.005
    )  # the lightest grey that passes, of its guide
    assert palette.luminance(to_rgb("#767676")) == pytest.approx(1.05 / 4.5415 - 0.05, abs=1e-4)


def test_the_dark_colours_are_for_screens_alone():
    assert len(VARIABLES) == 2
    assert VARIABLES[0].keys() == VARIABLES[1].keys()
    assert "@media screen and (prefers-color-scheme: dark) {\n  :root" in STYLE
    assert "@media print" in STYLE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ground", ["paper", "raised"])
@pytest.mark.parametrize("name", ["ink", "muted", "first", "good", "bad"])
def test_text_can_be_read(mode, ground, name):
    assert contrast(MODES[mode][name], MODES[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_a_button_s_text_can_be_read(mode):
    assert contrast(MODES[mode]["paper"], MODES[mode]["first"]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["first", "second", "muted"])
def test_graphics_can_be_seen(mode, name):
    assert contrast(MODES[mode][name], MODES[mode]["paper"]) >= 3


def test_a_chart_has_the_colours_of_the_page():
    of_page = {name: colour for name, colour in MODES["light"].items() if name in palette.COLOURS}
    assert of_page.keys() == palette.COLOURS.keys()
    for name, colour in of_page.items():  # two are not quite white and black, to be told from these
        np.testing.assert_allclose(to_rgb(palette.COLOURS[name]), to_rgb(colour), atol=1.01 / 255)


@pytest.mark.parametrize("mode", MODES)
def test_every_variant_of_a_comparison_can_be_seen(mode):
    for look in palette.looks(28)[1:]:
        assert contrast(look.colour, MODES[mode]["paper"]) >= 3


def test_variants_differ_in_more_than_their_colour():
    found = palette.looks(29)
    assert len(set(found)) == 29
    for one, other in itertools.pairwise(found):
        assert one.colour != other.colour
        assert one.marker != other.marker or one.dashes != other.dashes
    assert len(palette.looks(1)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_numbers_in_a_confusion_matrix_can_be_read(mode):
    """A cell is the chart's blue over the page, as opaque as its share of the row is large."""
    paper, blue, white = (np.array(to_rgb(c)) for c in (MODES[mode]["paper"], palette.COLOURS["first"], "white"))
    for share in np.linspace(0, 1, 101):
        text = palette.text_over(tuple(white + share * (blue - white)))
        text = MODES[mode]["over"] if text == palette.COLOURS["over"] else text
        assert contrast(text, paper + share * (blue - paper)) >= 4.5
