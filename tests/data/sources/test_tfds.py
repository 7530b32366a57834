"""The real TFDS download path against a local stand-in for the server and the archive."""

import functools
import http.server
import json
import shutil
import sys
import tarfile
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from helpers import make_food_root

from experiments import food10
from foodjax.config.check import checked
from foodjax.data import prepare
from foodjax.data.sources import find
from foodjax.system.errors import UserError

CLASSES = ("apple_pie", "baby_back_ribs", "baklava", "cheesecake")


class Server(NamedTuple):
    """Where the archive is offered, and the folder that it was made of."""

    url: str
    root: Path


@pytest.fixture
def server(tmp_path):
    """A server on loopback that offers food-101.tar.gz with four of the real class names."""
    root = make_food_root(tmp_path / "food-101", CLASSES, num_train=4, num_test=2)
    (tmp_path / "www").mkdir()
    with tarfile.open(tmp_path / "www" / "food-101.tar.gz", "w:gz") as tar:
        tar.add(root, arcname="food-101")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield Server(f"http://127.0.0.1:{httpd.server_address[1]}/food-101.tar.gz", root)
        httpd.shutdown()


@pytest.mark.parametrize("missing", ["tensorflow", "tensorflow_datasets"])
def test_a_source_without_tfds_says_what_to_install_or_set(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        UserError, match=f"import of {missing} .*: install tensorflow and tensorflow-datasets, or set data.dir"
    ):
        find.create_source(checked(food10.get_config()))


@pytest.mark.slow
def test_tfds_downloads_prepares_and_gives_the_archives_photographs(server, tmp_path, monkeypatch):
    from tensorflow_datasets.image_classification import food101

    from foodjax.data.sources import tfds

    monkeypatch.setattr(food101, "_BASE_URL", server.url)
    monkeypatch.setattr(tfds, "URL", server.url)
    config = food10.get_config()
    config.data.update(tfds_dir=str(tmp_path / "tfds"), cache_dir=str(tmp_path / "cache"), image_size=16, num_classes=3)

    def prepared(part):
        typed = checked(config)
        return prepare.prepare(find.create_source(typed), part, typed, lambda *a: a[2])

    ours = {part: prepared(part) for part in ("train", "test")}
    assert (len(ours["train"].ids), len(ours["test"].ids)) == (12, 6)
    config.data.dir = str(server.root)
    for part, data in ours.items():
        theirs = prepared(part)
        assert data.ids == theirs.ids
        assert data.class_names == theirs.class_names == CLASSES[:3]
        np.testing.assert_array_equal(data.images, theirs.images)
    assert set(json.loads((server.root / "meta" / "train.json").read_text())) == set(CLASSES)
    # Once prepared, neither the server nor TFDS's own files are needed to train.
    config.data.dir = ""
    shutil.rmtree(tmp_path / "tfds" / "downloads")
    monkeypatch.setattr(tfds, "URL", "http://127.0.0.1:9/")
    again = prepared("train")
    np.testing.assert_array_equal(again.images, ours["train"].images)
