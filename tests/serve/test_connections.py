"""The page under idle and slow connections and large uploads, from a process of its own."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from helpers import encode, start_main
from PIL import Image

HEADER = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: 100000\r\n\r\n"
)


@pytest.fixture
def server(workdir):
    """Returns a process that serves, and its port."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start_main("serve", "--workdir", workdir, "--port", 0, **options) as process:
        try:
            line = next(line for line in process.stdout if line.startswith("serving"))
            yield process, int(line.split("127.0.0.1:")[1].split("/")[0])
        finally:
            process.kill()


def ask(port, photo, seconds=10):
    """Returns the status of the answer to a photograph; URLError after so many seconds without one."""
    headers = {"content-type": "application/octet-stream"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", data=photo, headers=headers)
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        return answer.status


def open_many(port, number, begin=b""):
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
    for one in opened:
        one.sendall(begin)
    return opened


@pytest.mark.slow
def test_idle_and_slow_connections_keep_nobody_out_and_nothing_keeps_the_end_away(server):
    process, port = server
    photo = encode(Image.new("RGB", (40, 30), "red"))
    opened = open_many(port, 400) + open_many(port, 20, HEADER + b"abc") + open_many(port, 20, b"POST /pre")
    assert ask(port, photo) == 200
    for one in opened[400:405]:  # in the middle of their uploads
        one.close()
    time.sleep(0.5)
    assert ask(port, photo) == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert process.stderr.read() == ""
    assert process.stdout.read().splitlines()[-1] == "the server has ended"
    for one in opened:
        one.close()


@pytest.mark.slow
def test_a_header_that_does_not_end_is_cut_off(server):
    from foodjax.serve.connections import SECONDS

    _, port = server
    for begin in (b"", b"GET / HTTP/1.1\r\n"):
        (one,) = open_many(port, 1, begin)
        one.settimeout(3 * SECONDS)
        try:
            assert one.recv(10) == b""
        except ConnectionResetError:
            pass


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems' malloc is left as it is")
def test_the_memory_of_large_uploads_is_given_back(server):
    process, port = server
    assert ask(port, encode(Image.new("RGB", (40, 30), "red"))) == 200
    memory = psutil.Process(process.pid).memory_info
    idle = memory().rss
    clear = encode(Image.new("RGBA", (7000, 7000), (200, 30, 30, 128)), compress_level=1)
    deep = encode(Image.fromarray(np.full((7000, 7000), 40000, np.uint16)), compress_level=1)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda photo: ask(port, photo, 100), [clear, clear, deep, deep] * 2)) == [200] * 8
    assert memory().rss - idle < 300 * 10**6


@pytest.mark.slow
def test_bytes_that_are_no_http_close_the_connection_without_a_word(server):
    process, port = server
    for path, begun in (("POST /", b"HTTP/1.1 405 "), ("POST /predict", b""), ("HEAD /predict", b"HTTP/1.1 405 ")):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            kind = "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n"
            one.sendall(f"{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\n3\r\nabc\r\n".encode())
            assert not begun or one.recv(4096).startswith(begun)
            one.sendall(b"no chunk\r\n")
            while one.recv(4096):
                pass
    assert ask(port, encode(Image.new("RGB", (40, 30), "red"))) == 200
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert process.stderr.read() == ""
