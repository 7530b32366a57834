"""Colours of pages and charts, and the marks that differ where colours do not.

`COLOURS` are those of the light page; templates/style.css has the dark ones too. A reader who sees no colours needs a
second difference: lines have dashes, points have shapes, bars have hatches.
"""

from typing import NamedTuple

# Name -> colour of the light page, a variable in style.css. Text has 4.5:1 on the page, graphics 3:1 (WCAG 2.2, AA).
# "over" is text on a cell that is pale on a light page: a renderer of SVG leaves out pure black.
COLOURS = {
    "paper": "#fffffe", "ink": "#1c1e21", "muted": "#667080", "grid": "#dfe3e8", "first": "#2f6db5",
    "second": "#c8611a", "over": "#000001",
}  # fmt: skip
# Of lines and points on any page: each has 3:1 on white and on the dark paper.
_SERIES = ("#2f7fd0", "#c9601b", "#23894f", "#b655c2", "#d0485c", "#8a7a1c", "#1f8a99")
_DASHES = ((), (6, 2), (2, 1.6), (7, 2, 1.5, 2))  # lengths of line and gap, in line widths
_MARKERS = ("o", "s", "^", "D")
_BLACK_OR_WHITE = 0.179  # luminance at which black and white have the same contrast, 4.58:1


class Look(NamedTuple):
    """How one of several lines is drawn, and its points.

    Attributes:
        colour: as #rrggbb.
        dashes: lengths of lines and gaps, in line widths; () for a solid line.
        marker: of matplotlib, a circle, square, triangle or diamond.
    """

    colour: str
    dashes: tuple[float, ...]
    marker: str


def looks(count: int) -> list[Look]:
    """Returns a look for each of `count` variants; the first, the baseline, has the colour of the text.

    Neighbours differ in both colour and mark, and 28 variants are distinct.
    """
    others = [
        Look(_SERIES[k % len(_SERIES)], _DASHES[(k + 1) % len(_DASHES)], _MARKERS[(k + 1) % len(_MARKERS)])
        for k in range(count - 1)
    ]
    return [Look(COLOURS["ink"], (), "o"), *others][:count]


def luminance(colour: tuple[float, ...]) -> float:
    """Returns the relative luminance of red, green and blue in 0..1 (WCAG 2.2), 0 for black and 1 for white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_over(colour: tuple[float, ...]) -> str:
    """Returns the colour of text over a cell that has this colour on a white page, red, green and blue in 0..1.

    On a dark page such a cell is darker still: there the text is white, whichever it is here.
    """
    return "#ffffff" if luminance(colour) < _BLACK_OR_WHITE else COLOURS["over"]
