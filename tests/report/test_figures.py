from concurrent.futures import ThreadPoolExecutor

import matplotlib

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
