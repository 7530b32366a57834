"""Breaks every kind of file of really saved checkpoints, one at a time, and restores them.

    python tests/faults/checkpoint_files.py --folder DIR [--trials 300] [--seed 0]

After a damage the training either goes on from a checkpoint that is, to the bit, one that was saved, and keeps the best
one from then on; or it is refused in one line and every file stays as it was. The weights that evaluate either come
back to the bit or are refused, and no damage to another item than theirs costs them. Half of the runs have checkpoints
of the older form, which new ones then join; in half the weights are averages. A trial that takes longer than 30 s ends
the process with the traceback of where it hung, and so does one that would start another program than `bounded`,
unpickle or connect. Prints a table; the status is 1 when anything failed.
"""

import argparse
import collections
import faulthandler
import gc
import os
import random
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import numpy as np
import older_form
from jax.sharding import Mesh

import foodjax
from experiments import demo
from foodjax.config.check import checked
from foodjax.models.convnet import create_model
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import create_train_state
from foodjax.system.errors import UserError
from foodjax.workdir import bounded
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints, load_best_weights

# Validation losses of the saved steps: the best is older than the two latest, or the latest after another best one.
LOSSES = ({10: 0.5, 20: 0.9, 30: 0.8}, {20: 0.8, 30: 0.5})
# (losses, whether the checkpoints have the older form, whether the weights are averages)
RUNS = ((LOSSES[0], False, True), (LOSSES[1], False, False), (LOSSES[0], True, False), (LOSSES[1], True, True))
HARMFUL = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "pickle.find_class", "socket.connect",
)  # fmt: skip


def flip(content: bytes, rng: random.Random, _) -> bytes:
    at = rng.randrange(len(content) or 1)
    return content[:at] + bytes(x ^ 1 << rng.randrange(8) for x in content[at : at + 1]) + content[at + 1 :]


def flip_a_number(content: bytes, rng: random.Random, _) -> bytes:
    """Of a JSON text: 0.5 becomes 0.7, which is JSON still."""
    digits = [at for at, x in enumerate(content) if 48 <= x < 58]
    if not digits:
        return flip(content, rng, _)
    at = rng.choice(digits)
    return content[:at] + str((content[at] - 48 + rng.randint(1, 9)) % 10).encode() + content[at + 1 :]


def grow_a_number(content: bytes, rng: random.Random, _) -> bytes:
    digits = [at for at, x in enumerate(content) if 48 <= x < 58]
    at = rng.choice(digits or [0])
    return content[:at] + b"9" * rng.choice((1, 12, 400)) + content[at:]


DAMAGES = {
    "a bit flipped": flip,
    "another digit": flip_a_number,
    "a number grown": grow_a_number,
    "truncated": lambda content, rng, _: content[: rng.randrange(len(content) or 1)],
    "emptied": lambda *_: b"",
    "bytes behind it": lambda content, rng, _: content + rng.randbytes(rng.choice((1, 5000))),
    "bytes inside it": lambda content, rng, _: content[:7] + rng.randbytes(rng.choice((1, 5000))) + content[7:],
    "brackets": lambda *_: b"[" * 100_000,
    "another JSON": lambda *_: b"[null]",
    "swapped": lambda content, rng, other: other,
    "deleted": None,
    "a folder instead": None,
    "its folder deleted": None,
}


class Trials:
    """The saved checkpoints and what comes of a damage."""

    def __init__(self, folder: Path, losses: dict[int, float], older: bool, averages: bool):
        config = demo.get_config()
        config.train.ema_decay = 0.9 if averages else 0.0
        config.data.image_size, config.model.head.hidden = 16, (16,)
        config.model.blocks = config.model.blocks[:1]
        config.model.blocks[0].update(features=8, padding=("SAME",))
        config = checked(config)
        model, tx = create_model(config, 3), create_optimizer(config)
        self.state = create_train_state(config, model, tx)
        self.like = jax.eval_shape(lambda: self.state)
        self.mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
        self.losses, self.older = losses, older
        self.name = f"{list(losses)}{', averages' if averages else ''}{', older form' if older else ''}"
        self.reference, self.workdir = folder / f"reference-{len(losses)}-{older}", folder / "run"
        shutil.rmtree(self.reference, ignore_errors=True)
        checkpoints, progress = Checkpoints(self.reference), LoopState(EarlyStopping(9), Metrics.zeros())
        self.states, self.progress = {}, {}
        for step, loss in losses.items():
            progress = self.save(checkpoints, progress, step, loss)
            self.states[step], self.progress[step] = self.bits(self.at(step)), progress
        checkpoints.close()
        if older:
            older_form.rewrite(self.reference, self.like, self.mesh)
        assert checkpoints.steps() == list(losses)
        assert checkpoints.best_step() == self.best(30)

    def best(self, step: int) -> int:
        """Returns the best step until this one."""
        return min((loss, known) for known, loss in self.losses.items() if known <= step)[1]

    def at(self, step: int):
        """Returns the state of a step; no two have the same bits, and no averages are the weights."""
        params = jax.tree.map(lambda x: x + step, self.state.params)
        ema = jax.tree.map(lambda x: x + 2 * step, self.state.ema)
        return self.state.replace(params=params, ema=ema, step=jax.numpy.int32(step))

    def bits(self, state) -> list[bytes]:
        return [np.asarray(x).tobytes() for x in jax.tree.leaves(state)]

    def save(self, checkpoints: Checkpoints, progress: LoopState, step: int, loss: float) -> LoopState:
        stopping = progress.stopping.update(loss)
        rows = [*progress.rows, {"epoch": stopping.epoch, "step": step, "val_loss": loss}]
        progress = progress._replace(stopping=stopping, rows=rows)
        checkpoints.save(self.at(step), progress, loss)
        checkpoints.wait()
        return progress

    def files(self, step: int) -> dict[str, list[Path]]:
        """Returns the files below a step by kind: files that orbax gives a name of its own are of one kind."""
        root, found = self.reference / f"checkpoints/{step}", collections.defaultdict(list)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                kind = path.relative_to(root)
                found[str(kind.parent / "*" if kind.parent.name == "d" else kind)].append(path)
        return found

    def all(self, rng: random.Random) -> Iterator[tuple[int, str, Path, str]]:
        """Yields step, kind, file and damage without end; each once before any comes again."""
        while True:
            kinds = [(step, kind, paths) for step in self.losses for kind, paths in self.files(step).items()]
            drawn = [(*found, damage) for found in kinds for damage in DAMAGES]
            rng.shuffle(drawn)
            for step, kind, paths, damage in drawn:
                yield step, kind, rng.choice(paths), damage

    def break_one(self, rng: random.Random, path: Path, damage: str) -> None:
        """Makes a copy of the reference and damages the file in it."""
        shutil.rmtree(self.workdir, ignore_errors=True)
        shutil.copytree(self.reference, self.workdir)
        target = self.workdir / path.relative_to(self.reference)
        change, content = DAMAGES[damage], target.read_bytes()
        if damage == "its folder deleted":
            shutil.rmtree(target.parent)
        elif change is None:
            target.unlink()
            if damage != "deleted":
                target.mkdir()
        else:
            others = [x for step in self.losses for xs in self.files(step).values() for x in xs]
            same = [x for x in others if x.name == path.name and x != path] or others
            target.write_bytes(change(content, rng, rng.choice(same).read_bytes()))

    def weights(self, needed: bool) -> str:
        """Restores the weights of the best checkpoint and returns what came of it; raises what must not be.

        Args:
            needed: whether the damaged file is of an item that they need.
        """
        before = self.contents()
        try:
            best, weights = load_best_weights(self.workdir, self.like.variables, self.mesh)
        except UserError as error:
            assert len(str(error).splitlines()) == 1, f"more than a line: {error}"
            assert needed, f"the weights are lost by a file that they do not need: {error}"
            return "weights refused"
        finally:
            assert before == self.contents(), "the weights were read, and the checkpoints changed"
        assert self.bits(weights) == self.bits(self.at(best).variables), f"the weights of step {best} have other bits"
        return "weights read"

    def outcome(self) -> str:
        """Restores, trains on, and returns what came of it; raises what must not be."""
        before, there = self.contents(), {path.name for path in (self.workdir / "checkpoints").iterdir()}
        checkpoints = Checkpoints(self.workdir)
        try:
            found = checkpoints.restore_latest(self.like, self.mesh)
            assert found is not None
            step, state = found
            progress = checkpoints.restore_loop_state(step, patience=9)
        except UserError as error:
            assert len(str(error).splitlines()) == 1, f"more than a line: {error}"
            assert before == self.contents(), "refused, and yet the checkpoints were changed"
            checkpoints.close()
            return "refused"
        assert self.bits(state) == self.states[step], f"step {step} has other bits"
        assert progress == self.progress[step], f"step {step} has another progress"
        aside = {path.name.split("-")[0] for path in (self.workdir / "damaged").glob("*")}
        later = {str(later) for later in self.losses if later > step}
        assert aside == later & there, f"set aside: {aside} of {later & there}"
        best, weights = load_best_weights(self.workdir, self.like.variables, self.mesh)
        assert best == self.best(step), f"the best is step {best}"
        assert self.bits(weights) == self.bits(self.at(best).variables), f"the best, step {best}, has other bits"
        # From here on a better one, and then worse ones, must be ranked rightly.
        for later, loss in ((40, 0.95), (50, 0.3), (60, 0.6), (70, 0.7)):
            progress = self.save(checkpoints, progress, later, loss)
            best = checkpoints.best_step()
            assert best == (self.best(step) if later < 50 else 50), f"after step {later} the best is {best}"
        checkpoints.close()
        _, weights = load_best_weights(self.workdir, self.like.variables, self.mesh)
        assert self.bits(weights) == self.bits(self.at(50).variables)
        again = Checkpoints(self.workdir).restore_latest(self.like, self.mesh)
        assert again is not None
        assert again[0] == 70
        return "continued" if step == max(self.losses) else "went back"

    def contents(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in self.workdir.rglob("*") if path.is_file() and path.suffix != ".tmp"
        }


def end_harm(event: str, given: tuple) -> None:
    if event == "subprocess.Popen" and list(given[1][:3]) == [sys.executable, "-P", bounded.__file__]:
        return  # foodjax's own child, which reads the checkpoint first
    if event in HARMFUL:
        traceback.print_stack()
        print(f"a checkpoint made the reader call {event}", file=sys.stderr, flush=True)
        os._exit(3)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    foodjax.setup()  # as the command line does: without it a failed read prints more
    runs = [Trials(args.folder.resolve(), *run) for run in RUNS]
    drawn = [trials.all(rng) for trials in runs]
    sys.addaudithook(end_harm)
    table, failed = collections.defaultdict(collections.Counter), 0
    for n in range(args.trials):
        trials, (step, kind, path, damage) = runs[n % len(runs)], next(drawn[n % len(runs)])
        name = f"{step} of {trials.name}: {kind}: {damage}"
        trials.break_one(rng, path, damage)
        faulthandler.dump_traceback_later(30, exit=True)
        try:
            needed = step == trials.best(30) and not kind.startswith("training/")
            outcome = f"{trials.weights(needed)}, {trials.outcome()}"
        except Exception:
            failed += 1
            outcome = "FAILED"
            print(f"{name}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        finally:
            faulthandler.cancel_dump_traceback_later()
            gc.collect()  # what a failed read still has to say comes now: there must be nothing on stderr
        table[f"{kind}{' (older form)' if trials.older else ''}"][outcome] += 1
    for kind, counts in sorted(table.items()):
        print(f"{kind:45} " + "; ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
