"""The page of labels: what it says without a script, and the list that is made on it."""

from dataclasses import replace

import pytest
from helpers import Page, suspected

from foodjax.config.check import checked
from foodjax.data import exclude
from foodjax.data.sets import load_data
from foodjax.report import labels

AWKWARD = ('a "quoted", one.png', "=1+1.png", "caf\udce9.png", "<b>.png")


@pytest.fixture
def page(tiny_config):
    """The page of twelve suspects, four of which have awkward names, and their names."""
    config = checked(tiny_config)
    data = load_data(config)
    files = [f"train/{example}" for example in data.train.ids]
    for row, name in zip(data.parts.train, AWKWARD, strict=False):
        files[row] = name
    train = replace(data.train, found=data.train.found._replace(files=tuple(files)))
    found = suspected(data._replace(train=train))
    listed = labels.listed(found)
    return labels.to_page(found, config, listed, "The probabilities are made up."), [one.file for one in listed]


def test_it_has_every_photograph_and_fetches_nothing(page):
    text, names = page
    read = Page(text)
    assert (read.images, read.fetched, read.silent, read.open) == (12, [], [], [])
    assert sorted(names)[:4] == sorted(AWKWARD)
    assert "Of 110 photographs, 12 likely have a wrong label (10.9%)" in text
    assert "&lt;b&gt;.png" in text


@pytest.mark.slow
@pytest.mark.browser
def test_what_is_ticked_is_saved_as_a_list_for_data_exclude(page, browser, tmp_path):
    text, names = page
    (tmp_path / "labels.html").write_text(text)
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.goto((tmp_path / "labels.html").as_uri())
    assert tab.inner_text("#chosen p") == "0 of 12 ticked"
    assert tab.is_disabled("#save")
    ticked = [names.index(name) for name in AWKWARD]
    for number in ticked:
        tab.locator(".suspects input").nth(number).check()
    assert tab.inner_text("#chosen p") == "4 of 12 ticked"
    with tab.expect_download() as download:
        tab.click("#save")
    assert download.value.suggested_filename == "exclude.csv"
    download.value.save_as(tmp_path / "exclude.csv")
    assert exclude.read(str(tmp_path / "exclude.csv")) == [names[number] for number in ticked]
    tab.click("#all")
    assert tab.inner_text("#chosen p") == "12 of 12 ticked"
    tab.click("#none")
    assert tab.is_disabled("#save")
    tab.close()
