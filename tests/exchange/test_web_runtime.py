"""The runtime for browsers: from a registry on this machine, from the cache, from a file of the user."""

import base64
import hashlib
import http.server
import io
import tarfile
import threading

import pytest

from foodjax.exchange import web_runtime
from foodjax.system.errors import UserError

NAME = "onnxruntime-web/-/onnxruntime-web-1.30.0.tgz"


def tarball():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in ((web_runtime._CODE, b"code"), ("package/README.md", b"-"), (web_runtime._WASM, b"wasm")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(autouse=True)
def content(monkeypatch, own_cache):
    """A small tarball in the place of npm's."""
    content = tarball()
    monkeypatch.setattr(web_runtime, "BYTES", len(content))
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    monkeypatch.setattr(web_runtime, "INTEGRITY", f"sha512-{digest}")
    return content


@pytest.fixture
def registry(content, monkeypatch):
    """A registry on this machine, which lists what it was asked for; npm's variable names it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            registry.asked.append(self.path)
            self.send_response(registry.status)
            self.end_headers()
            self.wfile.write(registry.reply)

        def log_message(self, *_):
            pass

    registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.asked, registry.reply, registry.status = [], content, 200
    registry.host = f"127.0.0.1:{registry.server_port}"
    threading.Thread(target=registry.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://{registry.host}/npm/")
    yield registry
    registry.shutdown()
    registry.server_close()


def test_it_is_downloaded_once(registry, tmp_path, capsys):
    assert web_runtime.load() == (b"code", b"wasm")
    assert capsys.readouterr().out == f"downloading onnxruntime-web 1.30.0 (0 MB) from {registry.host}, once\n"
    assert web_runtime.load() == (b"code", b"wasm")
    assert registry.asked == [f"/npm/{NAME}"]
    kept = tmp_path / "cache" / "foodjax" / "npm" / "onnxruntime-web-1.30.0.tgz"
    kept.write_bytes(b"damaged")
    assert web_runtime.load() == (b"code", b"wasm")
    assert len(registry.asked) == 2
    assert kept.read_bytes() == registry.reply


def test_a_cache_that_cannot_be_written_is_told(registry, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    assert web_runtime.load() == (b"code", b"wasm")
    assert "(Not a directory): the next export downloads it again" in capsys.readouterr().out


def refused(match, *arguments):
    with pytest.raises(UserError, match=match) as caught:
        web_runtime.load(*arguments)
    assert "\n" not in str(caught.value)
    assert "npm pack onnxruntime-web@1.30.0" in str(caught.value)


def test_what_a_registry_sends_is_checked(registry, tmp_path):
    right = registry.reply
    for wrong in (right[:-1] + b"?", right[:20], right + b"more", b""):
        registry.reply = wrong
        refused(
            f"from {registry.host}: what came, [0-9]+ bytes, is another file, by its SHA-512: needs the network once"
        )
    registry.status = 404
    refused(
        f"cannot download onnxruntime-web 1.30.0 from {registry.host}: HTTP Error 404: Not Found: needs the network"
    )
    assert not (tmp_path / "cache" / "foodjax" / "npm").exists()


def test_without_a_network_a_line_says_what_to_do(registry, monkeypatch):
    registry.shutdown()
    registry.server_close()
    refused(f"from {registry.host}: .*Connection refused: needs the network once, or --runtime FILE")


@pytest.mark.parametrize("address", ["http://someone:secret@127.0.0.1:1/", "file:///etc/", "127.0.0.1"])
def test_an_address_that_is_none_is_told(monkeypatch, address):
    monkeypatch.setenv("npm_config_registry", address)
    refused("npm_config_registry in the environment is no address of http or https, or has a password in it: needs one")


def test_npm_names_the_registry(monkeypatch):
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "")
    assert web_runtime.registry() == web_runtime._REGISTRY
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://npm.example/all/")
    assert web_runtime.registry() == "https://npm.example/all"


def test_a_file_of_the_user_needs_no_network(content, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
    path = tmp_path / "mine.tgz"
    path.write_bytes(content)
    assert web_runtime.load(path) == (b"code", b"wasm")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert web_runtime.load("~/mine.tgz") == (b"code", b"wasm")
    refused("cannot read --runtime .*none.tgz: .*No such file.*: needs the file that", tmp_path / "none.tgz")
    refused("cannot read --runtime .*: (not a regular file|Is a directory): needs the file", tmp_path)
    for other in (content[:-1], content + b"more"):
        path.write_bytes(other)
        refused("mine.tgz is another file, by its SHA-512: needs the file that `npm pack", path)
