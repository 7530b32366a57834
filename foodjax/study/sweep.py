"""Runs a sweep: each run is the train command, in its own process and its own workdir.

The sweep stores no state: it reads from the workdirs which runs are finished. So the same command continues it after
any end, and an interrupted run continues exactly as with the train command. Several sweeps may work on one folder: each
run is trained by one of them, under a lock that the system releases when that sweep dies.
"""

import contextlib
import ctypes
import os
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from foodjax.config import values
from foodjax.study import claims
from foodjax.study.display import SweepDisplay
from foodjax.study.space import Trial, rungs
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.ownership import Owner
from foodjax.system.signals import Interrupt, Interrupted
from foodjax.workdir import run_record
from foodjax.workdir.description import IN_USE, read_finished
from foodjax.workdir.metrics import read_metrics

POLL_SECONDS = 0.5
MEMORY_SHARE = 0.9  # share of the available memory that one more run may take
GROWN_SECONDS = 60  # after this time, or an epoch, a run has allocated its memory


class TrialProcess(NamedTuple):
    """A run in progress.

    Attributes:
        trial: the trial that is trained.
        process: process of the train command.
        slot: its share of the cores, 0 to jobs - 1.
        log: file with the output.
        log_start: length of the log before the start, bytes.
        since: start on the monotonic clock, seconds.
        claim: lock on the trial, held until the process has ended.
    """

    trial: Trial
    process: subprocess.Popen
    slot: int
    log: Path
    log_start: int
    since: float
    claim: Owner


def sweep(trials: list[Trial], overrides: dict[str, Any], jobs: int, prune: int) -> str:
    """Runs the unfinished trials; returns a line about failed ones, "" if there are none.

    Args:
        trials: from `space.create_trials`.
        overrides: from --config.KEY=VALUE, passed on to every run.
        jobs: number of runs at once; each gets its share of the cores.
        prune: 0, or the eta of successive halving; the baseline is never pruned.

    Raises:
        Interrupted: a signal ended the sweep; the runs have saved their steps.
    """
    runner = Scheduler(overrides, jobs, SweepDisplay(trials))
    try:
        with Interrupt() as interrupt:
            for epoch, count in rungs(len({t.label for t in trials}), trials[0].config.train.num_epochs, prune):
                runner.run(trials, epoch, interrupt)
                trials = _promoted(trials, epoch, count)
            runner.run(trials, None, interrupt)
    finally:
        runner.display.close()
    if not runner.failed:
        return ""
    first, why = next(iter(runner.failed.items()))
    return (
        f"{len(runner.failed)} runs failed, first {first} ({why}); the others are finished, and the "
        "same command tries the failed ones again"
    )


def is_finished(trial: Trial) -> bool:
    """Returns whether the train command has trained and evaluated the run to the end."""
    has_result = run_record.read(trial.workdir)["result"] is not None
    return has_result and read_finished(trial.workdir, trial.config.train) is not None


def epochs_done(trial: Trial) -> int:
    """Returns the number of complete epochs of the run."""
    rows = read_metrics(trial.workdir / "metrics.jsonl")
    return rows[-1]["epoch"] if rows else 0


class Scheduler:
    """Starts the processes of runs, watches them, and reports their ends.

    Attributes:
        failed: folder name of each failed run of this command -> reason.
    """

    def __init__(self, overrides: dict[str, Any], jobs: int, display: SweepDisplay):
        self.overrides, self.jobs, self.display = overrides, jobs, display
        self.failed: dict[str, str] = {}
        self._largest = 0  # bytes, of the largest run so far

    def run(self, trials: list[Trial], until: int | None, interrupt: Interrupt) -> None:
        """Runs the unfinished trials to the end, or until the epoch `until`, `jobs` at a time."""
        waiting = [trial for trial in trials if not self._done(trial, until) and trial.workdir.name not in self.failed]
        running: list[TrialProcess] = []
        try:
            while waiting or running:
                interrupt.check()
                waiting = [trial for trial in waiting if not self._done(trial, until)]  # another sweep may run some
                slots = set(range(self.jobs)) - {one.slot for one in running}
                claimed = claims.first_free(waiting) if slots and (not running or self._fits(running)) else None
                if claimed is not None:
                    trial, claim = claimed
                    waiting.remove(trial)
                    running.append(self._start(trial, min(slots), claim))
                for one in list(running):
                    if one.process.poll() is not None:
                        running.remove(one)
                        if not self._ended(one, until):
                            waiting.append(one.trial)
                        one.claim.release()
                    elif until is not None and epochs_done(one.trial) >= until:
                        one.process.terminate()  # it saves its step, and continues from there if its variant is kept
                self.display.update(len(running))
                time.sleep(POLL_SECONDS)
        except (Interrupted, KeyboardInterrupt):
            for one in running:
                one.process.terminate()
            for one in running:
                one.process.wait()
            print("interrupted; the same command continues", flush=True)
            raise

    def _done(self, trial: Trial, until: int | None) -> bool:
        return is_finished(trial) or (until is not None and epochs_done(trial) >= until)

    def _fits(self, running: list[TrialProcess]) -> bool:
        """Returns whether the memory suffices for one more run as large as the largest so far."""
        for one in running:
            if time.monotonic() - one.since > GROWN_SECONDS or epochs_done(one.trial):
                with contextlib.suppress(psutil.Error):  # it has just ended
                    self._largest = max(self._largest, psutil.Process(one.process.pid).memory_info().rss)
        return 0 < self._largest < MEMORY_SHARE * psutil.virtual_memory().available

    def _start(self, trial: Trial, slot: int, claim: Owner) -> TrialProcess:
        log = trial.workdir.with_name(trial.workdir.name + ".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        command, environment = program()
        # One process, also where a launcher has started several sweeps: they share the trials.
        command += ["train", "--config", trial.argument, "--workdir", str(trial.workdir), "--processes", "1"]
        command += [f"--config.{key}={values.spell(value)}" for key, value in self.overrides.items()]
        if self.jobs > 1:  # share of an accelerator's memory; a CPU ignores it
            environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / self.jobs:.2f}")
        with files.open_at(log, os.O_CREAT | os.O_APPEND) as file:
            start = file.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which passes it on once
                preexec_fn=_in_child(slot, self.jobs),
            )  # fmt: skip
        return TrialProcess(trial, process, slot, log, start, time.monotonic(), claim)

    def _ended(self, one: TrialProcess, until: int | None) -> bool:
        """Tells how a run ended; returns False if it has to wait again, since another training had its workdir."""
        code, name = one.process.returncode, one.trial.workdir.name
        if self._done(one.trial, until):
            self.display.ended(one.trial, run_record.read(one.trial.workdir)["result"])
            return True
        lines = one.log.read_bytes()[one.log_start :].decode(errors="replace").splitlines()
        why = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")
        if IN_USE in why:
            return False
        why = why or (f"killed by signal {-code}" if code < 0 else f"exit status {code}")
        self.failed[name] = why
        self.display.failed(one.trial, f"{why}; see {one.log}")
        return True


def program() -> tuple[list[str], dict[str, str]]:
    """Returns the command `python -m foodjax` and an environment in which it is the foodjax of this process."""
    # -P: a file named random.py in the user's folder is nobody's random.
    command, environment = [sys.executable, "-P", "-m", "foodjax"], dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    if root not in [*site.getsitepackages(), site.getusersitepackages()]:  # a checkout, which may not be installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    return command, environment


def _in_child(slot: int, jobs: int) -> Callable[[], None] | None:
    """Returns a function that gives a child its cores, and SIGTERM when the sweep dies; None outside Linux."""
    if not sys.platform.startswith("linux"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    own = cores[slot % len(cores) :: jobs] if jobs > 1 else cores
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        os.sched_setaffinity(0, own)
        libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: the train command then saves and ends

    return prepare


def _promoted(trials: list[Trial], epoch: int, count: int) -> list[Trial]:
    """Returns the trials of `count` variants: the baseline and those with the lowest mean `_loss_until`."""
    baseline, losses = trials[0].label, {}
    for trial in trials:
        losses.setdefault(trial.label, []).append(_loss_until(trial, epoch))
    others = sorted(losses.keys() - {baseline}, key=lambda label: (sum(losses[label]) / len(losses[label]), label))
    kept = {baseline, *others[: max(1, count - 1)]}
    say(f"epoch {epoch}: pruned {', '.join(label for label in others if label not in kept) or 'nothing'}", flush=True)
    return [trial for trial in trials if trial.label in kept]


def _loss_until(trial: Trial, epoch: int) -> float:
    """Returns the lowest validation loss until `epoch`; infinity for a run without an epoch."""
    rows = [row["val_loss"] for row in read_metrics(trial.workdir / "metrics.jsonl") if row["epoch"] <= epoch]
    return min(rows, default=float("inf"))
