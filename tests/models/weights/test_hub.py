"""Weights from a hub: a small one on 127.0.0.1 that answers as the real one does; processes find it by HF_ENDPOINT."""

import hashlib
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from typing import NamedTuple

import numpy as np
import pytest
from helpers import NO_ACCOUNT, ROOT, one_device_environment
from models.weights.torch_files import legacy_file, tensors, zip_file
from safetensors.numpy import save

from foodjax.models.weights import hub
from foodjax.models.weights.unreadable import Unreadable

if not importlib.util.find_spec("huggingface_hub"):
    pytest.skip("huggingface_hub is not installed: pip install 'foodjax[pretrained]'", allow_module_level=True)

COMMIT, OLD = "c0ffee" + "0" * 34, "0dd" + "0" * 37
ARRAYS = {"fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
SAFETENSORS, TORCH, LEGACY = save(ARRAYS), zip_file(tensors(ARRAYS)), legacy_file(tensors(ARRAYS))
CARD = b"---\nlanguage: en\nlicense: apache-2.0\ntags:\n- vision\n---\n# A network\nlicense: none\n"


class File(NamedTuple):
    """A file of a repository: `hashed` gives the hash that the hub tells, `sent` what it sends in the place of it."""

    content: bytes
    large: bool = True  # in LFS: the hub's hash is SHA-256, and the answer a redirection
    sent: bytes | None = None
    etag: str = ""

    def told(self):
        sha1 = hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()
        return self.etag or (hashlib.sha256(self.content).hexdigest() if self.large else sha1)


REPOSITORIES = {
    "a/both": {"model.safetensors": File(SAFETENSORS), "pytorch_model.bin": File(b"never read")},
    "a/torch": {"pytorch_model.bin": File(TORCH), "README.md": File(CARD, large=False)},
    "a/small": {"model.safetensors": File(SAFETENSORS, large=False), "README.md": File(CARD, large=False)},
    "a/legacy": {"pytorch_model.bin": File(LEGACY)},
    "a/wrong": {"model.safetensors": File(SAFETENSORS, sent=SAFETENSORS[:-1] + b"\1")},
    "a/wrongsmall": {"model.safetensors": File(SAFETENSORS, large=False, sent=SAFETENSORS[:-1] + b"\1")},
    "a/short": {"model.safetensors": File(SAFETENSORS, sent=SAFETENSORS[:-5])},
    "a/nohash": {"model.safetensors": File(SAFETENSORS, etag="v1-main")},
    "a/none": {"config.json": File(b"{}", large=False)},
}
REFUSED = {"a/gated": (403, "GatedRepo"), "a/private": (401, "RepoNotFound"), "a/broken": (500, "")}


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers /OWNER/NAME/resolve/REVISION/FILE, and /blob/OWNER/NAME/FILE, to which large files are redirected."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def log_message(self, *_):
        self.server.asked.append(f"{self.command} {self.path}")  # pyright: ignore

    def answer(self):
        parts = urllib.parse.unquote(self.path).strip("/").split("/")
        if parts[0] == "blob":
            file = REPOSITORIES["/".join(parts[1:3])][parts[3]]
            return self.send(200, file.content if file.sent is None else file.sent, {"ETag": '"of the store"'})
        name, revision, path = "/".join(parts[:2]), "/".join(parts[3:-1]), parts[-1]
        if name in REFUSED:
            return self.refuse(*REFUSED[name])
        if name not in REPOSITORIES:
            return self.refuse(404, "RepoNotFound")
        commit = {"main": COMMIT, COMMIT: COMMIT, "v1": OLD, "refs/pr/1": OLD, OLD: OLD}.get(revision)
        if not commit:
            return self.refuse(404, "RevisionNotFound")
        if path not in REPOSITORIES[name]:
            return self.refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        file = REPOSITORIES[name][path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.told()}"'}
        if not file.large:
            return self.send(200, file.content if file.sent is None else file.sent, headers)
        headers |= {"X-Linked-Etag": f'"{file.told()}"', "X-Linked-Size": str(len(file.content)), "ETag": '"pointer"'}
        host = f"http://localhost:{self.server.server_address[1]}"  # another one: the package follows on its own host
        self.send(302, b"", headers | {"Location": f"{host}/blob/{name}/{path}"})

    def refuse(self, status, code, headers=None):
        self.send(status, b"", {"X-Error-Code": code, **(headers or {})})

    def send(self, status, content, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


class Running(NamedTuple):
    """A hub at `address`, and the requests that it got."""

    address: str
    asked: list[str]


@pytest.fixture(scope="module")
def running():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []  # pyright: ignore
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Running(f"http://127.0.0.1:{server.server_address[1]}", server.asked)  # pyright: ignore
    server.shutdown()
    server.server_close()


CODE = """
import json, sys
from foodjax.models.weights.source import load
from foodjax.system.errors import UserError
for source in sys.argv[1:]:
    try:
        found = load(source, "model.init_from")
        arrays = {name: array.tolist() for name, array in found.arrays.items()}
        print(json.dumps([arrays, found.origin, found.sha256, found.licence]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


def load_all(folder, address, sources, without=(), **variables):
    """Loads weights in a new process; returns [arrays, origin, sha256, licence] or the line of an error, of each."""
    (folder / "cwd").mkdir(exist_ok=True)
    environment = one_device_environment() | {"HF_ENDPOINT": address, "HF_HOME": str(folder / "home")}
    environment |= {"NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": str(ROOT), **variables}
    environment = {name: value for name, value in environment.items() if name not in without}
    command = [sys.executable, "-c", CODE, *sources]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder / "cwd", timeout=200)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def ask(running, tmp_path):
    """Returns a function that loads weights in a new process, with a cache of this test."""

    def run(source, without=(), **variables):
        return load_all(tmp_path, running.address, [source], without, **variables)[0]

    return run


def refusal(line, source):
    assert "\n" not in line
    assert line.startswith(f"model.init_from={source} "), line
    return line.removeprefix(f"model.init_from={source} ")


LOADED = {name: array.tolist() for name, array in ARRAYS.items()}
FOUND = {
    "a/both": (SAFETENSORS, COMMIT, "unknown"),
    "a/torch": (TORCH, COMMIT, "apache-2.0"),
    "a/small": (SAFETENSORS, COMMIT, "apache-2.0"),
    "a/legacy": (LEGACY, COMMIT, "unknown"),
    "a/torch@v1": (TORCH, OLD, "apache-2.0"),
    "a/small@refs/pr/1": (SAFETENSORS, OLD, "apache-2.0"),
    f"a/torch@{OLD}": (TORCH, OLD, "apache-2.0"),
    "a/legacy@main": (LEGACY, COMMIT, "unknown"),
}
FORM = "is no name of weights on the hub: needs hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
ABSENT = "is not on the hub, or private: needs another name, or the right to read it (hf auth login, or HF_TOKEN)"
LINES = {
    "a/none": "has neither model.safetensors nor pytorch_model.bin: needs a repository with one of them",
    "a/absent": ABSENT,
    "a/private": ABSENT,
    "a/gated": "is gated: accept its terms on the hub's page of a/gated, then log in: hf auth login, or HF_TOKEN",
    "a/both@v9": "is not on the hub: the repository has no revision v9",
    "a/wrong": "is damaged: its hash is ",
    "a/wrongsmall": "is damaged: its hash is ",
    "a/nohash": "has no hash on the hub, but v1-main: needs a hub that gives one",
    "a/short": "cannot be downloaded: Consistency check failed: file should be of size ",
    "a--b/c": "cannot be downloaded: ",
    "a": FORM,
    "a/b/c": FORM,
    "a/b@": FORM,
}


@pytest.fixture(scope="module")
def answers(running, tmp_path_factory):
    """What comes of every name of FOUND and LINES, loaded one after the other in one process."""
    sources = [f"hf://{name}" for name in (*FOUND, *LINES)]
    return dict(zip(sources, load_all(tmp_path_factory.mktemp("hub"), running.address, sources), strict=True))


@pytest.mark.parametrize("name", FOUND)
def test_weights_are_downloaded_and_checked(answers, name):
    content, commit, licence = FOUND[name]
    origin = f"hf://{name.split('@')[0]}@{commit}"
    assert answers[f"hf://{name}"] == [LOADED, origin, hashlib.sha256(content).hexdigest(), licence]


@pytest.mark.parametrize("name", LINES)
def test_what_cannot_be_had_is_refused_in_one_line(answers, name):
    assert refusal(answers[f"hf://{name}"], f"hf://{name}").startswith(LINES[name])


def test_on_a_disk_without_links_the_hub_is_asked_for_the_hash(running, tmp_path):
    sources = ["hf://a/torch", "hf://a/wrong", "hf://a/wrongsmall"]
    found, *wrong = load_all(tmp_path, running.address, sources, HF_HUB_DISABLE_SYMLINKS="1")
    assert found == [LOADED, f"hf://a/torch@{COMMIT}", hashlib.sha256(TORCH).hexdigest(), "apache-2.0"]
    for source, line in zip(sources[1:], wrong, strict=True):
        assert refusal(line, source).startswith("is damaged: its hash is ")
    assert not list((tmp_path / "home/hub/models--a--torch/blobs").iterdir())


def test_a_commit_in_the_cache_needs_no_network(ask):
    first = ask(f"hf://a/torch@{COMMIT}")
    assert ask(f"hf://a/torch@{COMMIT}", HF_HUB_OFFLINE="1") == first
    assert ask(f"hf://a/torch@{COMMIT}", HF_ENDPOINT="http://127.0.0.1:9") == first


def test_a_branch_in_the_cache_is_read_offline(ask):
    first = ask("hf://a/torch")
    assert ask("hf://a/torch", HF_HUB_OFFLINE="1") == first


def test_nothing_is_downloaded_twice(ask, running):
    ask("hf://a/both")
    begin = len(running.asked)
    ask("hf://a/both")
    asked = [line for line in running.asked[begin:] if "/a/both/" in line]  # the package asks for files of its own too
    assert asked == ["HEAD /a/both/resolve/main/model.safetensors"]


def test_offline_without_a_cache_is_refused(ask):
    line = refusal(ask("hf://a/both", HF_HUB_OFFLINE="1"), "hf://a/both")
    assert line == "is not in the hub's cache, and HF_HUB_OFFLINE is set: needs one download with the network"


@pytest.mark.slow  # huggingface_hub tries five times
def test_without_a_network_it_is_refused(ask):
    line = refusal(ask("hf://a/both", HF_ENDPOINT="http://127.0.0.1:9"), "hf://a/both")
    assert line.startswith("is not in the hub's cache, and http://127.0.0.1:9 does not give it: ")
    assert "Connection refused" in line


@pytest.mark.slow
def test_a_hub_that_fails_is_told(ask, running):
    line = refusal(ask("hf://a/broken"), "hf://a/broken")
    assert line.startswith(f"is not in the hub's cache, and {running.address} does not give it: Server error '500 ")


def test_a_file_that_was_damaged_in_the_cache_is_refused(ask, tmp_path):
    ask("hf://a/both")
    (blob,) = (tmp_path / "home/hub/models--a--both/blobs").iterdir()
    blob.write_bytes(SAFETENSORS[:-1] + b"\1")
    line = refusal(ask("hf://a/both"), "hf://a/both")
    assert line.endswith(f"...: delete {blob} and try again")
    blob.unlink()
    assert ask("hf://a/both")[0] == LOADED


@pytest.mark.parametrize(
    "card,licence",
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("\ufeff---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("---\nlanguage:\n- en\nlicense:\n- mit\n- apache-2.0\ntags: [x]\n---\n", "mit, apache-2.0"),
        ("---\nlicense: [mit, cc0-1.0]\n---\n", "mit, cc0-1.0"),
        ('---\nlicense: other\nlicense_name: "of the lab"\n---\n', "of the lab"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: mit  # as the paper\n---\n", "mit"),
        ("---\nlicense: a\x1b[2J\n---\n", r"a\x1b[2J"),
        ("---\nlicense:\n---\n", "unknown"),
        ("---\nlanguage: en\n---\nlicense: mit\n", "unknown"),
        ("# A network\n\n---\nlicense: mit\n---\n", "unknown"),
        ("---\nmodel:\n  license: mit\n---\n", "unknown"),
        ("---\nlicense: mit\n", "unknown"),
        ("---\n- a\n---\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_licence_is_read_from_a_card(card, licence):
    assert hub.parse_licence(card) == licence


@pytest.mark.parametrize(
    "text", ["hf:a/b", "hf://a/b c", "hf://a/b@r\n", "hf://a/b@r?x", "hf:///b", "hf://a/", "HF://a/b"]
)
def test_another_form_of_name_is_refused(text):
    with pytest.raises(Unreadable, match="is no name of weights on the hub"):
        hub.parse(text)


def test_without_a_home_no_folder_of_that_name_is_made(ask, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(NO_ACCOUNT)
    without = ("HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")
    path = f"{tmp_path / 'site'}{os.pathsep}{ROOT}"
    assert ask("hf://a/both", without, PYTHONPATH=path, TMPDIR=str(tmp_path))[0] == LOADED
    assert list((tmp_path / "cwd").iterdir()) == []
    assert list(tmp_path.glob("foodjax-*/hub/models--a--both"))


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        Unreadable, match=r"needs the package huggingface_hub \(.*\): pip install 'foodjax\[pretrained\]'"
    ):
        hub.fetch("a/b", None)
