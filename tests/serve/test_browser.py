"""The pages in a real browser: they answer, they sort, and their console stays silent."""

import subprocess

import pytest
from helpers import SHARED, run_main, start_main

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(params=[(1200, 900, "light"), (360, 740, "dark")], ids=["desktop", "phone"])
def tab(request, browser):
    """A tab, and what its console and its network say of mistakes."""
    width, height, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    yield page
    assert page.problems == []
    page.close()


def is_wider_than_the_screen(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.fixture(scope="module")
def report(workdir):
    """The report's address, written by the command line."""
    run_main("--mode", "evaluate", "--workdir", workdir, check=True)
    return (workdir / "report.html").as_uri()


def test_a_table_of_the_report_sorts_by_a_click(tab, report):
    tab.goto(report)
    assert not is_wider_than_the_screen(tab)

    def column(k):
        return tab.locator(f"#class-table tbody td:nth-child({k})").all_inner_texts()

    assert column(4) == sorted(column(4), reverse=True)  # F-score, as it comes
    tab.click("#class-table th:nth-child(1) button")
    assert column(1) == ["bars", "cross", "ring"]
    tab.click("#class-table th:nth-child(1) button")
    assert column(1) == ["ring", "cross", "bars"]
    recall = [float(x) for x in column(3)]
    tab.click("#class-table th:nth-child(3) button")
    assert [float(x) for x in column(3)] == sorted(recall, reverse=True)
    tab.click("#layer-table th:nth-child(4) button")
    counts = [
        int(x.replace(",", "") or -1) for x in tab.locator("#layer-table tbody td:nth-child(4)").all_inner_texts()
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 999
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if tab.viewport_size["width"] == 1200 else "rgb(20, 23, 27)")


@pytest.fixture(scope="module")
def address(workdir):
    server = start_main("--mode", "serve", "--workdir", workdir, "--port", 0, stdout=subprocess.PIPE)
    line = server.stdout.readline()
    yield line.split(" at ")[1].split(" ")[0]
    server.terminate()
    server.wait(30)


def photograph(workdir):
    """A real photograph where there is one, else a drawn one."""
    real = sorted((SHARED / "food-101-originals" / "images").glob("*/*.jpg"))
    return (real or sorted((workdir.parent / "food-101" / "images").glob("*/*.jpg")))[0]


def test_a_photograph_is_uploaded_and_named(tab, address, workdir, tmp_path):
    tab.goto(address)
    tab.set_input_files("#file", photograph(workdir))
    tab.wait_for_selector("#top li")
    names = tab.locator("#top .class").all_inner_texts()
    percents = [float(x.split()[0]) for x in tab.locator("#top li span:last-child").all_inner_texts()]
    assert sorted(names) == ["bars", "cross", "ring"]  # the three classes that it knows
    assert percents == sorted(percents, reverse=True)
    assert sum(percents) == pytest.approx(100, abs=0.2)
    assert names[0] in tab.inner_text("#status")
    assert tab.locator("#cams img").count() >= 2
    assert tab.locator("#maps img").count() == 2
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert not is_wider_than_the_screen(tab)


def test_what_is_no_photograph_is_told_on_the_page(tab, address, tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    tab.goto(address)
    tab.set_input_files("#file", tmp_path / "text.jpg")
    tab.wait_for_selector("#status.wrong")
    assert "not a usable photograph" in tab.inner_text("#status")
    assert tab.locator("#result").is_hidden()
    # The browser itself notes a reply of 422; that alone is expected.
    assert all("422" in problem for problem in tab.problems)
    tab.problems.clear()
