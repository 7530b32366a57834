"""Load figures of the page: requests per second, latency, errors and memory of `foodjax serve`.

    python benchmarks/serve_load.py --data ../food-101 [--seconds 600]

The program trains the demo for one epoch and serves it, each in a process of its own. --clients senders post
photographs one after the other, each in a connection of its own for --requests of them; one in twenty is broken and
one in fifty hangs up. Beside them 500 connections stay idle and 20 send slowly, and every ten seconds four pictures of
49 million pixels in RGBA and 16 bits arrive at once. Then SIGTERM ends the server. Writes
benchmarks/results/serve_load.json.
"""

import argparse
import collections
import contextlib
import http.client
import io
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from step import food101, machine

HERE = Path(__file__).parent
MAIN = HERE.parent / "main.py"
KIND = {"Content-Type": "application/octet-stream"}
SIDE = 7000  # of a large picture: 49 million pixels
SLOW = (
    b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Length: 99999\r\n\r\n"
)


class Load:
    """What clients send to a port, and what they got: latencies in seconds by status."""

    def __init__(self, port: int, photos: list[bytes], large: list[bytes], seed: int = 0):
        self.port, self.photos, self.large, self.random = port, photos, large, random.Random(seed)
        self.end = threading.Event()
        self.latencies: dict[str, list[float]] = collections.defaultdict(list)
        self.opened: list[socket.socket] = []  # idle and slow ones, kept open until the server has ended

    def post(self, connection: http.client.HTTPConnection, content: bytes, what: str) -> None:
        """Sends one photograph and notes the time of the answer under "what status"."""
        start = time.perf_counter()
        try:
            connection.request("POST", "/predict", content, KIND)
            answer = connection.getresponse()
            answer.read()
            status = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
            connection.close()
        self.latencies[f"{what} {status}"].append(time.perf_counter() - start)

    def client(self, requests: int) -> None:
        """Posts photographs until the end; a new connection after each `requests`."""
        while not self.end.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for _ in range(requests):
                if self.end.is_set():
                    break
                photo, chance = self.random.choice(self.photos), self.random.random()
                if chance < 0.05:
                    self.post(connection, photo[: len(photo) // 2], "broken")
                elif chance < 0.07:
                    with contextlib.suppress(OSError):
                        connection.request("POST", "/predict", photo, KIND)
                    break  # hangs up before the answer
                else:
                    self.post(connection, photo, "photograph")
            connection.close()

    def large_uploads(self) -> None:
        """Every ten seconds four large pictures at once."""
        while not self.end.wait(10):
            threads = []
            for content in self.large:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
                threads.append(threading.Thread(target=self.post, args=(connection, content, "large")))
                threads[-1].start()
            for thread in threads:
                thread.join()

    def hold(self) -> None:
        """Keeps 500 connections idle and 20 slow; those that the server closes are opened again."""

        def connect(begin: bytes) -> socket.socket:
            one = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            one.sendall(begin)
            one.setblocking(False)
            return one

        wanted = [b""] * 500 + [SLOW] * 20
        held: list[socket.socket | None] = [None] * len(wanted)
        while not self.end.is_set():
            for k, begin in enumerate(wanted):
                try:
                    if held[k] is None or held[k].recv(1, socket.MSG_PEEK) == b"":
                        raise ConnectionError
                except BlockingIOError:
                    continue
                except OSError:
                    if held[k] is not None:
                        held[k].close()
                    try:
                        held[k] = connect(begin)
                    except OSError:
                        held[k] = None
            self.end.wait(1)
        self.opened = [one for one in held if one is not None]


def large_pictures() -> list[bytes]:
    """Returns two RGBA PNGs and two of 16 bits, of SIDE x SIDE pixels."""
    found = []
    for picture in (Image.new("RGBA", (SIDE, SIDE), (200, 30, 30, 128)),
                    Image.fromarray(np.full((SIDE, SIDE), 40000, np.uint16))):  # fmt: skip
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1)
        found += [buffer.getvalue()] * 2
    return found


def serve(workdir: Path) -> tuple[subprocess.Popen, int]:
    """Starts the server; returns its process and port."""
    command = [sys.executable, str(MAIN), "serve", "--workdir", str(workdir), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    line = next(line for line in process.stdout if line.startswith("serving"))
    return process, int(line.split("127.0.0.1:")[1].split("/")[0])


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Returns count, p50, p99 and the longest time, in ms."""
    ordered = sorted(seconds)
    return {
        "count": len(ordered), "p50_ms": 1000 * statistics.median(ordered),
        "p99_ms": 1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], "longest_ms": 1000 * ordered[-1],
    }  # fmt: skip


def measure(process: subprocess.Popen, port: int, photos: list[bytes], args: argparse.Namespace) -> dict:
    """Loads the server for args.seconds; returns the figures."""
    server = psutil.Process(process.pid)
    load = Load(port, photos, large_pictures())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for photo in photos[:20]:
        load.post(connection, photo, "alone")
    connection.close()
    time.sleep(2)
    idle, memory = server.memory_info().rss, []
    threads = [threading.Thread(target=load.client, args=(args.requests,)) for _ in range(args.clients)]
    threads += [threading.Thread(target=load.large_uploads), threading.Thread(target=load.hold)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    while time.perf_counter() - start < args.seconds:
        time.sleep(0.1)
        memory.append(server.memory_info().rss)
    load.end.set()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    time.sleep(2)
    after = server.memory_info().rss
    start = time.perf_counter()
    process.send_signal(signal.SIGTERM)  # with the idle and slow connections still open
    status = process.wait(60)
    ended = time.perf_counter() - start
    assert process.stderr
    counts = {name: quantiles(found) for name, found in sorted(load.latencies.items())}
    answered = sum(len(found) for name, found in load.latencies.items() if name.endswith((" 200", " 422")))
    return {
        "seconds": seconds, "requests_per_s": answered / seconds, "requests": counts, "idle_mib": idle / 2**20,
        "peak_mib": max(memory) / 2**20, "after_mib": after / 2**20, "sigterm_s": ended, "status": status,
        "stderr": process.stderr.read(),
    }  # fmt: skip


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=food101, required=True, help="an extracted food-101/")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=25, help="of one connection")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "serve_load.json")
    args = parser.parse_args()
    photos = [path.read_bytes() for path in sorted((args.data / "images").glob("*/*.jpg"))[::100]]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train = ["train", "--config", "demo", "--config.train.epochs=1", "--workdir", str(run)]
        subprocess.run([sys.executable, str(MAIN), *train], check=True, stdout=subprocess.DEVNULL)
        process, port = serve(run)
        try:
            found = {"machine": machine(), "clients": args.clients, "photographs": len(photos)}
            found |= measure(process, port, photos, args)
        finally:
            process.kill()
    args.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
