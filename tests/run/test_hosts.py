"""Several processes on loopback: the same numbers, continued by any number, and how all end when one does."""

import json
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from helpers import ROOT, run_main, start_main

from foodjax.workdir.metrics import read_metrics

TINY = Path(__file__).with_name("hosts_tiny.py")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]
LONG = ("--config.train.epochs=1000", "--config.train.patience=1000")
# Python before the program: a network that fails in process 1, or shorter waits.
FAILING = "from foodjax.run import loop\nloop.Loop._save = lambda *a: 1 / 0\n"
JOINS_AT_ONCE = "from foodjax.system import join\njoin.SECONDS = 5\n"
SHARES_AT_ONCE = "from foodjax.system import shared\nshared._SECONDS = 2\n"


class Group:
    """Processes that run one command together; `wait` returns their exit statuses."""

    def __init__(self, folder: Path, count: int, *arguments, of: int = 0, program=None, cwd=None):
        """Starts them.

        Args:
            folder: of their logs.
            count: number of processes.
            *arguments: of each.
            of: number that each is told; 0: as many as there are.
            program: Python that a process runs first, by its number.
            cwd: folder of each process.
        """
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.logs = [folder / f"{time.monotonic_ns()}-{process}.log" for process in range(count)]
        self.processes = []
        for process, log in enumerate(self.logs):
            words = ("train", "--config", TINY, *arguments, "--coordinator", f"127.0.0.1:{port}")
            words += ("--processes", of or count, "--process", process)
            before = (program or {}).get(process, "")
            start = ("-c", f"{before}\nfrom foodjax.__main__ import start\nstart()") if before else ("main.py",)
            options = {"cwd": cwd[process], "environment": {"PYTHONPATH": str(ROOT)}} if cwd else {}
            with log.open("w") as file:
                self.processes.append(start_main(*words, program=start, stdout=file, stderr=file, **options))

    def wait(self, seconds: float = 400) -> list[int]:
        deadline = time.monotonic() + seconds
        try:
            return [process.wait(deadline - time.monotonic()) for process in self.processes]
        finally:
            self.kill()

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def output(self, process: int) -> str:
        return self.logs[process].read_text()

    def wait_for(self, words: str, process: int = 0, seconds: float = 400) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.output(process):
            assert time.monotonic() < deadline, [self.output(i) for i in range(len(self.logs))]
            time.sleep(0.05)


@pytest.fixture
def start(tmp_path):
    """Starts a `Group`, whose processes end with the test."""
    groups = []

    def begin(count: int, *arguments, **options) -> Group:
        groups.append(Group(tmp_path, count, *arguments, **options))
        return groups[-1]

    yield begin
    for group in groups:
        group.kill()


def epoch(number: int) -> str:
    """Returns how the line of an epoch of a thousand begins."""
    return f"epoch {number:4}/1000"


def lines(text: str) -> list[str]:
    """Returns what a process itself prints; gloo prints a line too."""
    return [line for line in text.splitlines() if not line.startswith("[Gloo]")]


def numbers(workdir: Path) -> list[list[float]]:
    return [list(row.values()) for row in read_metrics(workdir / "metrics.jsonl")]


def test_two_processes_one_and_four_continue_each_other(tmp_path, start):
    assert run_main("train", "--config", TINY, "--workdir", tmp_path / "one", "--config.train.epochs=3").returncode == 0
    workdir = tmp_path / "many"
    two = start(2, "--workdir", workdir, "--config.train.epochs=1")
    assert two.wait() == [0, 0], two.output(0)
    assert lines(two.output(1)) == []  # the first one prints
    assert run_main("train", "--config", TINY, "--workdir", workdir).returncode == 0
    four = start(4, "--workdir", workdir, "--config.train.epochs=3")
    assert four.wait() == [0, 0, 0, 0], four.output(0)
    assert "continuing" in four.output(0)
    assert [one["processes"] for one in json.loads((workdir / "run.json").read_text())["sessions"]] == [2, 1, 4]
    for ours, theirs in zip(numbers(workdir), numbers(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    tables = [(folder / "evaluation/predictions.csv").read_text().split() for folder in (workdir, tmp_path / "one")]
    assert [row.rpartition(",")[0] for row in tables[0]] == [row.rpartition(",")[0] for row in tables[1]]
    assert (workdir / "report.html").is_file()
    assert not (workdir / ".lock.owner").exists()


def test_a_signal_to_one_process_ends_all_at_a_step_and_a_death_ends_the_others(tmp_path, start):
    workdir = tmp_path / "run"
    group = start(2, "--workdir", workdir, *LONG)
    group.wait_for(epoch(2))
    group.processes[1].send_signal(signal.SIGTERM)
    assert group.wait() == [0, 0], group.output(0)
    step = int(re.search(r"interrupted at step (\d+)", group.output(0))[1])  # type: ignore[index]
    assert max(int(path.name) for path in (workdir / "checkpoints").iterdir()) == step
    group = start(2, "--workdir", workdir, *LONG)
    group.wait_for(epoch(step // 4 + 2))
    begin = time.monotonic()
    group.processes[0].kill()  # where JAX' coordination service usually is
    assert group.wait() == [-signal.SIGKILL, 1], group.output(1)
    assert time.monotonic() - begin < 30
    assert re.fullmatch(r"process 1 of 2: process 0 of 2 \(.+\) has died: .+ continues", lines(group.output(1))[-1])
    done = len(read_metrics(workdir / "metrics.jsonl"))
    last = run_main("train", "--config", TINY, "--workdir", workdir, f"--config.train.epochs={done + 1}", LONG[1])
    assert last.returncode == 0, last.stderr


def test_a_process_that_raises_ends_the_others_with_its_status(tmp_path, start):
    group = start(2, "--workdir", tmp_path / "run", program={1: FAILING})
    assert group.wait() == [1, 1], group.output(0)
    assert "ZeroDivisionError" in group.output(1)
    line = r"process 0 of 2: process 1 of 2 \(.+\) has ended \(division by zero\); the same command continues"
    assert re.fullmatch(line, lines(group.output(0))[-1])


def test_processes_that_do_not_fit_together_end_with_a_line(tmp_path, start):
    for process in (0, 1):
        (tmp_path / str(process)).mkdir()
    hasty = {0: SHARES_AT_ONCE, 1: SHARES_AT_ONCE}
    apart = start(2, "--workdir", "run", program=hasty, cwd=[tmp_path / "0", tmp_path / "1"])
    assert apart.wait() == [2, 2], apart.output(0)
    for process in (0, 1):
        assert "run of process 0 is not there in process 1: needs a --workdir on a file system" in apart.output(process)
    alone = start(1, "--workdir", tmp_path / "run", of=3, program={0: JOINS_AT_ONCE})
    assert alone.wait() == [2]
    assert lines(alone.output(0))[0].startswith("error: of 3 processes number 1, 2 did not come within 5 s: needs each")
    assert not (tmp_path / "run").exists()
