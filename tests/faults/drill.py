"""The fault drill: breaks trainings in every way we know and shows what comes of it.

    python tests/faults/drill.py --kills 300 --data PATH/food-101 --folder DIR [--seconds 300]

Every trial ends as "continued" (and then equals an uninterrupted run to the bit), as "refused" (one line that says what
to do, nothing changed for the worse), as "evaluated" (with the same predictions) or as "lost". Some runs begin with
checkpoints of the older form, one item with one checksum. The table adds up over calls with the same --folder; the
status is 1 when anything was lost. `--data` may be left out: then the program draws its pictures.
"""

import argparse
import collections
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import older_form
import processes
from processes import Process

CONTINUED, REFUSED, EVALUATED, LOST = "continued", "refused", "evaluated", "lost"
OLDER = "older form, "  # begins the names of faults in runs that begin with such checkpoints


class Lost(Exception):
    """What was lost, and how."""


def must(holds: object, what: str) -> None:
    if not holds:
        raise Lost(what)


class Drill:
    """The trials of one folder, with the uninterrupted run that all others must equal."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random = folder, random.Random(seed)
        self.reference = folder / "reference"
        self.table: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self.path = folder / "outcomes.json"
        if self.path.exists():
            for fault, counts in json.loads(self.path.read_text()).items():
                self.table[fault].update(counts)
        self._names = itertools.count()

    def prepare(self) -> None:
        """Makes the uninterrupted run and, once everything is compiled, measures how long one takes."""
        if not (self.reference / "finished.json").exists():
            shutil.rmtree(self.reference, ignore_errors=True)
            must(Process(self.reference).wait(600) == 0, f"no reference: {self.reference}.log")
        again = Process(self.workdir("timed"))
        must(again.wait() == 0, again.output()[-2000:])
        self.seconds = time.monotonic() - again.started
        self.equal(self.folder / "timed")
        self.note("two uninterrupted runs", CONTINUED)
        self.stages()
        self.half_older = processes.copy(self.half, self.workdir("half_older"))
        found = processes.in_child(lambda: older_form.rewrite_run(self.half_older), self.folder / "older.log")
        must(not found, f"no checkpoints of the older form: {found}")

    def stages(self) -> None:
        """Makes `half`: a run that was killed after its best epoch, its newest checkpoint within an epoch."""
        for _ in range(20):
            workdir = self.workdir("half")
            process = Process(workdir)
            while process.poll() is None:
                found = processes.steps(workdir)
                if len(found) >= 3 and processes.best_step(workdir) not in found[-2:]:
                    process.send(signal.SIGKILL)
                    process.wait()
                time.sleep(0.002)
            found = processes.steps(workdir)
            if process.status == -signal.SIGKILL and processes.best_step(workdir) not in found[-2:]:
                self.half = workdir
                return
        raise Lost("no run was killed between its best and its latest checkpoint in 20 tries")

    def begun(self, older: bool) -> Path:
        """Returns a copy of `half`, with checkpoints of the older form if asked."""
        return processes.copy(self.half_older if older else self.half, self.workdir())

    def workdir(self, name: str = "") -> Path:
        path = self.folder / (name or f"run{next(self._names)}")
        shutil.rmtree(path, ignore_errors=True)
        return path

    def note(self, fault: str, outcome: str, times: int = 1) -> None:
        self.table[fault][outcome] += times
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.table, indent=1))
        temporary.replace(self.path)

    def trial(self, fault: str, function: Callable[[], str]) -> None:
        """Runs a trial that returns its outcome or raises Lost, and notes it."""
        try:
            outcome = function()
        except (Lost, TimeoutError) as lost:
            outcome = LOST
            print(f"LOST after {fault}: {lost}", flush=True)
        self.note(fault, outcome)

    def equal(self, workdir: Path, pictures: bool = True) -> None:
        """Raises Lost unless the finished run equals the reference to the bit, TensorBoard's pictures too if asked."""
        must(not (found := processes.differences(workdir, self.reference, pictures)), f"{workdir}: {found}")
        log = self.folder / "arrays.log"
        found = processes.in_child(lambda: processes.equal_arrays(workdir, self.reference), log)
        must(not found, f"{workdir}: {found}")

    def finish(self, workdir: Path, pictures: bool = True) -> str:
        """Runs the same command again; it must end well and equal the reference. Returns what it said."""
        process = Process(workdir)
        must(process.wait() == 0, f"{workdir} does not continue: {process.output()[-1500:]}")
        self.equal(workdir, pictures)
        return process.output()

    def refuses(self, workdir: Path, *words: str) -> str:
        """Runs the same command again; it must end with one line that has the words. Returns REFUSED."""
        process = Process(workdir)
        status, lines = process.wait(), process.errors()
        must(status == 2 and len(lines) == 1, f"{workdir}: status {status}, {process.output()[-1500:]}")
        must("Traceback" not in process.output(), process.output()[-1500:])
        must(all(word in lines[0] for word in words), f"{workdir}: says {lines[0]}")
        return REFUSED

    # Kills

    def kill_chain(self, most: int, older: bool = False) -> int:
        """Starts a run again and again, kills it at random moments, and lets it end; returns the number of kills.

        Args:
            most: kills.
            older: begins half-way, with checkpoints of the older form, and not anew.
        """
        workdir, kills, midsave = self.begun(older) if older else self.workdir(), 0, 0
        try:
            for _ in range(most):
                process = Process(workdir)
                saving = self.random.random() < 0.5
                if saving:
                    self._wait_for_save(process, workdir, self.random.randrange(1, 5))
                    time.sleep(self.random.uniform(0, 0.06))
                else:
                    self._sleep(process, self.random.uniform(0, 0.6 * self.seconds))
                process.send(signal.SIGKILL)
                status = process.wait()
                if status == 0:
                    break
                must(status == -signal.SIGKILL, f"{workdir}: status {status}, {process.output()[-1500:]}")
                kills += 1
                midsave += bool(list((workdir / "checkpoints").glob("*.orbax-checkpoint-tmp")))
                must(not (found := processes.best_is_kept(workdir)), f"{workdir}: {found}")
            self.finish(workdir)
            again = Process(workdir)
            must(again.wait() == 0 and "is finished" in again.output(), f"{workdir} does not say that it is finished")
            outcome = CONTINUED
        except (Lost, TimeoutError) as lost:
            print(f"LOST after {kills} kills: {lost}", flush=True)
            outcome = LOST
        else:
            shutil.rmtree(workdir)
        form = OLDER if older else ""
        self.note(f"{form}SIGKILL in mid-save", outcome, midsave)
        self.note(f"{form}SIGKILL at any other moment", outcome, kills - midsave)
        self.note(f"({form}chains of kills, each then equal to the bit)", outcome)
        return kills

    def _wait_for_save(self, process: Process, workdir: Path, number: int) -> None:
        seen: set[str] = set()
        while process.poll() is None and len(seen) < number:
            with contextlib.suppress(OSError):
                seen |= {p.name for p in (workdir / "checkpoints").glob("*.orbax-checkpoint-tmp")}
            time.sleep(0.001)

    def _sleep(self, process: Process, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)

    def signal(self, signum: int, expected: int) -> str:
        workdir = self.workdir()
        process = Process(workdir)
        self._sleep(process, self.random.uniform(0, self.seconds))
        process.send(signum)
        status = process.wait()
        ended = (self.reference / "finished.json").exists() and (workdir / "finished.json").exists()
        must(status == expected or (status == 0 and ended), f"{workdir}: status {status}, {process.output()[-1500:]}")
        must(ended or "the same command continues" in process.output(), f"{workdir}: {process.output()[-1500:]}")
        self.finish(workdir)
        shutil.rmtree(workdir)
        return CONTINUED

    def preparation(self) -> str:
        """Kills a run while it prepares its cache; the next one starts the preparation cleanly."""
        workdir, cache = self.workdir(), self.workdir("cache")
        option = f"--config.data.cache_dir={cache}"
        process = Process(workdir, option)
        while process.poll() is None and not cache.exists():
            time.sleep(0.001)
        time.sleep(self.random.uniform(0, 0.5))
        process.send(signal.SIGKILL)
        process.wait()
        again = Process(workdir, option)
        must(again.wait() == 0, again.output()[-1500:])
        self.equal(workdir)
        must(not (left := [p for p in cache.glob(".*") if p.is_dir()]), f"left behind: {left}")
        return CONTINUED

    # Damage

    def unharmed(self, older: bool) -> str:
        workdir = self.begun(older)
        must("after epoch" in self.finish(workdir), f"{workdir} began anew")
        shutil.rmtree(workdir)
        return CONTINUED

    def damaged_newest(self, damage: Callable[[Path], None], older: bool = False) -> str:
        workdir = self.begun(older)
        newest = processes.steps(workdir)[-1]
        files = sorted(p for p in (workdir / f"checkpoints/{newest}").rglob("*") if p.is_file() and p.stat().st_size)
        damage(self.random.choice(files))
        said = self.finish(workdir)  # a file that nobody reads may be damaged without notice
        must(said.count("moved to") <= 1, said)
        shutil.rmtree(workdir)
        return CONTINUED

    def damaged_best(self, item: str) -> str:
        workdir = self.begun(older=item == "state")
        folder = workdir / f"checkpoints/{processes.best_step(workdir)}/{item}"
        arrays = max(folder.rglob("d/*"), key=lambda p: p.stat().st_size)
        for _ in range(8):  # a tenth of the file is superseded nodes, which nobody reads: one bit may miss the arrays
            self.flip(arrays)
        return self.refuses(workdir, "best so far", "another --workdir")

    def evaluated_without(self, item: str) -> str:
        """Takes an item of all checkpoints away from a finished run, which is then evaluated."""
        workdir = processes.copy(self.reference, self.workdir())
        for folder in (workdir / "checkpoints").glob(f"*/{item}"):
            shutil.rmtree(folder)
        shutil.rmtree(workdir / "evaluation")
        process = Process(workdir, "--mode", "evaluate")
        must(process.wait() == 0, f"{workdir}: {process.output()[-1500:]}")
        ours, theirs = (path / "evaluation/predictions.csv" for path in (workdir, self.reference))
        must(ours.read_bytes() == theirs.read_bytes(), f"{ours} differs")
        shutil.rmtree(workdir)
        return EVALUATED

    def damaged_file(self, name: str, damage: Callable[[Path], None]) -> str:
        workdir = processes.copy(self.half, self.workdir())
        for path in workdir.glob(name):
            damage(path)
        # The weights that TensorBoard's pictures of earlier epochs were made with are gone; its curves come back.
        self.finish(workdir, pictures="tensorboard" not in name)
        shutil.rmtree(workdir)
        return CONTINUED

    def damaged_description(self, damage: Callable[[Path], None]) -> str:
        workdir = processes.copy(self.half, self.workdir())
        damage(workdir / self.random.choice(["config.json", "dataset.json"]))
        return self.refuses(workdir, str(workdir), "damaged")

    def damaged_cache(self, damage: Callable[[Path], None]) -> str:
        workdir, cache = processes.copy(self.half, self.workdir()), self.folder / "cache"
        option = f"--config.data.cache_dir={cache}"
        if not cache.exists():
            must(Process(processes.copy(self.half, self.workdir()), option).wait() == 0, "no cache")
        intact = processes.copy(cache, self.folder / "intact")
        damage(self.random.choice(sorted(p for p in cache.rglob("*") if p.is_file() and p.stat().st_size > 100)))
        process = Process(workdir, option)
        status = process.wait()
        processes.copy(intact, cache)
        if status == 0:  # prepared again
            self.equal(workdir)
            return CONTINUED
        raise Lost(f"{workdir}: status {status}, {process.output()[-1500:]}")

    def flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        path.write_bytes(content)

    def truncate(self, path: Path) -> None:
        os.truncate(path, self.random.randrange(path.stat().st_size))

    def delete(self, path: Path) -> None:
        path.unlink()

    # Disks and neighbours

    def full_disk(self) -> str:
        """Fills the disk at a random moment, then frees it."""
        with _tmpfs(self.folder / "disk") as disk:
            workdir, filler = disk / "run", disk / "filler"
            process = Process(workdir, log=self.folder / "disk.log")
            self._sleep(process, self.random.uniform(0, self.seconds))
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            return self._broken_then_mended(process, workdir, filler.unlink)

    def no_right_to_write(self) -> str:
        """Takes away the right to write checkpoints at a random moment (the immutable flag: it binds root too)."""
        workdir = self.workdir()
        process = Process(workdir)
        while process.poll() is None and not (workdir / "checkpoints").exists():
            time.sleep(0.002)
        self._sleep(process, self.random.uniform(0, self.seconds / 3))
        subprocess.run(["chattr", "+i", workdir / "checkpoints"], check=True)
        mend = ["chattr", "-i", workdir / "checkpoints"]
        try:
            return self._broken_then_mended(process, workdir, lambda: subprocess.run(mend, check=True))
        finally:
            subprocess.run(mend, check=True)

    def read_only_disk(self) -> str:
        with _tmpfs(self.folder / "disk") as disk:
            workdir = processes.copy(self.half, disk / "run")
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            process = Process(workdir, log=self.folder / "disk.log")
            mend = ["mount", "-o", "remount,rw", disk]
            return self._broken_then_mended(process, workdir, lambda: subprocess.run(mend, check=True))

    def _broken_then_mended(self, process: Process, workdir: Path, mend: Callable[[], object]) -> str:
        status, lines = process.wait(), process.errors()
        mend()
        must(not (found := processes.best_is_kept(workdir)), f"{workdir}: {found}")
        if status:
            must(status == 2 and len(lines) == 1, f"{workdir}: status {status}, {process.output()[-1500:]}")
            must("cannot write" in lines[0] and "Traceback" not in process.output(), process.output()[-1500:])
        self.finish(workdir)
        return f"{REFUSED}, then {CONTINUED}" if status else CONTINUED

    def two_processes(self) -> str:
        workdir = self.workdir()
        first = Process(workdir)
        while first.poll() is None and not processes.steps(workdir):
            time.sleep(0.002)
        second = Process(workdir, log=self.folder / "second.log")
        status, lines = second.wait(), second.errors()
        must(status == 2 and "in use by another training" in lines[0], f"{workdir}: {second.output()[-1500:]}")
        must(first.wait() == 0, first.output()[-1500:])
        self.equal(workdir)
        return REFUSED


@contextlib.contextmanager
def _tmpfs(folder: Path, size: str = "4m") -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount small disks and set the immutable flag (root, and a kernel that lets it)."""
    try:
        with _tmpfs(folder / "probe"):
            pass
        probe = folder / "probe.txt"
        probe.touch()
        for flag in ("+i", "-i"):
            subprocess.run(["chattr", flag, probe], check=True, capture_output=True)
        return True
    except (OSError, subprocess.CalledProcessError):
        return False


def trials(drill: Drill) -> dict[str, Callable[[], str]]:
    """Returns every fault but the kills, by name."""
    found: dict[str, Callable[[], str]] = {
        "SIGTERM": lambda: drill.signal(signal.SIGTERM, 0),
        "Ctrl-C": lambda: drill.signal(signal.SIGINT, 130),
        "SIGKILL while preparing the cache": drill.preparation,
        "two processes, one workdir": drill.two_processes,
        "best checkpoint: bits of the weights flipped": lambda: drill.damaged_best("weights"),
        "best checkpoint: bits of the training flipped": lambda: drill.damaged_best("training"),
        f"{OLDER}best checkpoint: bits flipped": lambda: drill.damaged_best("state"),
        f"{OLDER}no fault": lambda: drill.unharmed(older=True),
        "all checkpoints: the training deleted": lambda: drill.evaluated_without("training"),
    }
    for word, damage in (("a bit flipped", drill.flip), ("truncated", drill.truncate), ("deleted", drill.delete)):
        for form in ("", OLDER):
            found[f"{form}newest checkpoint: a file {word}"] = lambda damage=damage, form=form: drill.damaged_newest(
                damage, older=bool(form)
            )
        found[f"metrics.jsonl {word}"] = lambda damage=damage: drill.damaged_file("metrics.jsonl", damage)
        found[f"TensorBoard file {word}"] = lambda damage=damage: drill.damaged_file("tensorboard/**/events*", damage)
        if damage != drill.flip:
            found[f"config.json or dataset.json {word}"] = lambda damage=damage: drill.damaged_description(damage)
        found[f"prepared cache: a file {word}"] = lambda damage=damage: drill.damaged_cache(damage)
    if can_mount(drill.folder):
        found["disk full"] = drill.full_disk
        found["disk read-only"] = drill.read_only_disk
        found["no right to write"] = drill.no_right_to_write
    return found


def print_table(table: dict[str, collections.Counter]) -> None:
    """Prints fault, times tried, outcome as a Markdown table."""
    print("| fault | tried | outcome |\n|---|---|---|")
    for fault, counts in sorted(table.items()):
        outcome = ", ".join(f"{count} {name}" for name, count in counts.most_common() if count)
        print(f"| {fault} | {sum(counts.values())} | {outcome} |")
    print(f"lost: {sum(counts[LOST] for counts in table.values())}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="new or of an earlier call")
    parser.add_argument("--data", default="", help="a copy of food-101/")
    parser.add_argument("--kills", type=int, default=0, help="at least so many SIGKILLs")
    parser.add_argument("--trials", type=int, default=1, help="of each other fault")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="starts nothing new after this time")
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    if args.data:
        os.environ["FOODJAX_DRILL_DATA"] = str(Path(args.data).resolve())
    args.folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + args.seconds
    drill = Drill(args.folder.resolve(), args.seed if args.seed is not None else time.time_ns())
    drill.prepare()
    done = 0
    while done < args.kills and time.monotonic() < deadline:
        done += drill.kill_chain(drill.random.randrange(5, 25), older=drill.random.random() < 0.3)
    for fault, function in trials(drill).items():
        for _ in range(args.trials if args.only in fault else 0):
            if time.monotonic() < deadline:
                drill.trial(fault, function)
    print_table(drill.table)
    return 1 if any(counts[LOST] for counts in drill.table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
