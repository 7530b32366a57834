from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from foodjax.evaluation.calibration import Calibration
from foodjax.report import figures


def test_drawing_in_threads_leaves_matplotlib_s_settings_alone():
    def draw(_):
        figure, (axes,) = figures.plain_axes(2, 2)
        axes.set_title("a title")
        return figures.to_svg(figure, "a figure")

    before = dict(dict.items(matplotlib.rcParams))
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(draw, range(8)))
    assert dict(dict.items(matplotlib.rcParams)) == before
    assert all(">a title</text>" in svg for svg in drawn)


@pytest.fixture
def reliability():
    """The diagram of bins of 3, 1 and 480 images, drawn."""
    accuracy, confidence = np.array([1 / 3, 1, 0.8, np.nan]), np.array([0.2, 0.3, 0.7, np.nan])
    figure = figures.reliability(Calibration(np.array([3.0, 1, 480, 0]), confidence, accuracy, 0.1))
    figure.draw_without_rendering()
    return figure


def test_few_images_look_less_sure_than_many(reliability):
    hatched = {round(bar.get_x() + bar.get_width() / 2, 3): bar.get_hatch() for bar in reliability.axes[0].patches}
    assert hatched == {0.125: "////", 0.375: "////", 0.625: None}
    lengths = [line[1, 1] - line[0, 1] for line in reliability.axes[0].collections[0].get_segments()]
    # Wilson 1927, worked out by hand: 1 of 3, 1 of 1, 384 of 480.
    np.testing.assert_allclose(lengths, [0.7309, 0.7935, 0.0715], atol=2e-4)
    assert [text.get_text() for text in reliability.axes[1].texts] == ["3", "1", "480"]


def test_legends_cover_nothing(reliability):
    counts = {"train": np.array([1, 2]), "test": np.array([3, 4])}
    rows = [dict(epoch=k, loss=1.0, val_loss=1.1, accuracy=0.2, val_accuracy=0.2) for k in (1, 2)]
    drawn = [
        reliability,
        figures.class_counts(("a", "b"), counts),
        figures.curves(rows, 1),
        figures.curve(rows, "loss", 2),
    ]
    for figure in drawn:
        figure.draw_without_rendering()
        for ax in filter(lambda ax: ax.get_legend(), figure.axes):
            legend, edge = ax.get_legend().get_window_extent(), figure.bbox
            assert legend.y0 >= ax.bbox.y1
            assert legend.y1 <= edge.y1
            assert edge.x0 <= legend.x0
            assert legend.x1 <= edge.x1


def test_nothing_differs_in_colour_alone():
    counts = {name: np.array([1, 2]) for name in ("train", "validation", "test")}
    bars = figures.class_counts(("a", "b"), counts).axes[0].containers
    assert len({bar.patches[0].get_hatch() for bar in bars}) == 3
    rows = [dict(epoch=k, loss=1.0, val_loss=1.1, accuracy=0.2, val_accuracy=0.2) for k in (1, 2)]
    train, validation, _ = figures.curve(rows, "loss", 1).axes[0].lines
    assert (train.get_linestyle(), validation.get_linestyle()) == ("--", "-")


def test_numbers_of_the_confusion_matrix_are_black_or_white():
    texts = figures.confusion(np.array([[10, 0], [5, 5]]), ("a", "b")).axes[0].texts
    assert [sum(to_rgb(text.get_color())) < 0.1 for text in texts] == [False, True, True]


def test_a_title_has_lines_and_a_picture_may_be_a_map():
    images = [np.zeros((4, 4, 3), np.uint8), np.arange(6.0).reshape(2, 3)]
    first, second = figures.photo_grid(images, [("ring", "(st\nar)"), "$a$"], 2).axes
    assert first.get_title(loc="left") == "ring\n(st\\nar)"  # a class's own line end is none of the title's
    assert second.get_title(loc="left") == r"\$a\$"
    assert second.images[0].get_clim() == (0, 5)
