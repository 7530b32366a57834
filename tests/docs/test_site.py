"""The site of docs/: it is built without a warning and without the network, and refers to nothing outside it."""

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest
from helpers import ROOT, one_device_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (find_spec("furo") and find_spec("myst_nb")), reason="needs pip install -e '.[docs]'"),
]
# sphinx-build, in a process in which nothing opens a connection.
BUILD = """
import socket, sys
def refuse(*_):
    raise AssertionError("the build opens a connection")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""
LOADED = {"link": "href", "object": "data", "use": "href"}  # attributes by which a browser loads; of all others src


class Loaded(HTMLParser):
    """Collects the addresses that a browser loads with a page; links that a reader may follow are none."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "poster", LOADED.get(tag)) if given.get(name)]
        self.addresses += [part.split()[0] for part in (given.get("srcset") or "").split(",") if part.strip()]
        self.addresses += in_css(given.get("style") or "")


def in_css(text):
    """Returns the addresses that a style sheet loads."""
    return re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)


def loaded(path):
    """Returns the addresses that a file of the site loads."""
    text = path.read_text()
    if path.suffix == ".css":
        return in_css(text)
    page = Loaded()
    page.feed(text)
    return page.addresses + in_css("\n".join(re.findall(r"<style.*?</style>", text, re.S)))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built by the command of CONTRIBUTING.md."""
    (line,) = re.findall(r"`(sphinx-build [^`]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    *words, place = shlex.split(line)[1:]
    assert place == "build/docs"
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-c", BUILD, *words, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=one_device_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built(site):
    pages = [path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")]
    assert {"index.html", "api.html"} <= set(pages)
    for name in pages:
        assert (site / name).is_file(), name


def test_nothing_outside_the_site_is_loaded(site):
    count = 0
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        for address in loaded(path):
            count += 1
            if not address.startswith(("data:", "#")):
                assert not re.match(r"[a-z]+:|//", address), f"{path.name} loads {address}"
                assert (path.parent / re.split("[?#]", address)[0]).is_file(), f"{path.name} loads {address}"
    assert count > 100


def test_an_address_outside_is_found(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="stylesheet" href="https://a/1"><script src="//a/2"></script><img srcset="https://a/3 2x">'
        "<style>@import 'https://a/4'; b { background: url(https://a/5) }</style><a href='https://a/6'>a link</a>"
    )
    assert loaded(page) == ["https://a/1", "//a/2", "https://a/3", "https://a/5", "https://a/4"]


def test_the_reference_has_the_docstring_of_every_public_name(site):
    import foodjax

    text = (site / "api.html").read_text()
    for name in sorted(set(foodjax.__all__) - {"__version__", "figures", "variants"}):
        assert f'id="foodjax.{name}"' in text, name
    assert 'id="module-foodjax.config.variants"' in text
    assert 'id="module-foodjax.report.figures"' in text
