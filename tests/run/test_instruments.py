"""The instruments of a training in a run that dies and continues, and the trace that it writes."""

import gzip
import json
from typing import NamedTuple

import jax
import pytest
from helpers import make_food_root

from foodjax.config.check import checked
from foodjax.run import loop, more_sets, profiler
from foodjax.system.errors import UserError
from foodjax.workdir.metrics import read_metrics

TODAY = ("epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy")  # fields of every metrics.jsonl
STEPS = 12  # two epochs of six


class Runs(NamedTuple):
    """Folders of two runs of one experiment: one with no instrument, one with all, which died and continued."""

    plain: object
    measured: object


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    from experiments import demo

    root = tmp_path_factory.mktemp("instruments")
    make_food_root(root / "v2", num_train=2, num_test=3)
    config = demo.get_config()
    config.data.update(cache_dir=str(root / "cache"), num_classes=0, dir=str(root / "food"), image_size=16)
    config.data.update(batch_size=8, backend="threads")
    make_food_root(root / "food", num_train=20, num_test=4)
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].update(features=4, padding=("SAME",))
    config.model.head.hidden = ()
    config.train.update(epochs=2, monitor="val_accuracy")
    config.checkpoint.update(every_steps=4, every_minutes=0.0)
    loop.train(config, root / "plain")
    config.log.update(every_steps=1, norms=True)
    config.eval.update(more=(("v2", str(root / "v2")),), more_every=2)
    config.train.profile = (7, 9)

    def die(epoch):
        raise RuntimeError

    with pytest.raises(RuntimeError):  # after the rows of an epoch, before its checkpoint
        loop.train(config, root / "measured", [die])
    assert len(read_metrics(root / "measured" / "steps.jsonl")) == STEPS // 2
    loop.train(config, root / "measured")
    return Runs(root / "plain", root / "measured")


@pytest.mark.slow
def test_what_is_measured_changes_no_bit_of_a_run_and_has_every_step_once(runs):
    plain, measured = (read_metrics(folder / "metrics.jsonl") for folder in runs)
    assert [{name: row[name] for name in TODAY} for row in measured] == plain
    assert list(plain[0]) == list(TODAY)
    assert [set(row) - set(TODAY) for row in measured] == [set(), {"v2_loss", "v2_accuracy"}]
    steps = read_metrics(runs.measured / "steps.jsonl")
    assert [row["step"] for row in steps] == list(range(1, STEPS + 1))
    # The mean over the steps of an epoch is the epoch's own.
    for epoch, row in enumerate(plain, start=1):
        losses = [step["loss"] for step in steps if step["epoch"] == epoch]
        assert sum(losses) / len(losses) == pytest.approx(row["loss"], rel=1e-6)
    assert all(row["grad_norm"] > 0 and row["weight_norm"] > row["update_norm"] > 0 for row in steps)
    assert [row["learning_rate"] for row in steps] == pytest.approx([5e-4] * STEPS)
    result = json.loads((runs.measured / "run.json").read_text())["result"]
    best = max(measured, key=lambda row: row["val_accuracy"])
    assert (result["best_epoch"], result["best_val_loss"]) == (best["epoch"], best["val_loss"])


@pytest.mark.slow
def test_the_trace_keeps_the_trace_event_format_and_has_the_steps(runs):
    (folder,) = (runs.measured / "profile/plugins/profile").iterdir()  # where TensorBoard looks
    (path,) = folder.glob("*perfetto_trace.json.gz")
    with gzip.open(path) as file:
        trace = json.load(file)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    events = [event for event in trace["traceEvents"] if event]  # XLA ends the list with an empty one
    for event in events:
        assert event["ph"] in ("X", "M")
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        if event["ph"] == "X":
            assert isinstance(event["tid"], int)
            assert event["ts"] >= 0
            assert event["dur"] >= 0
    threads = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"} <= threads
    steps = sorted((e for e in events if e["name"] == "train"), key=lambda event: event["ts"])
    assert [int(event["args"]["step_num"]) for event in steps] == [7, 8]
    assert steps[0]["ts"] + steps[0]["dur"] <= steps[1]["ts"]
    assert any(e["name"].startswith("ThunkExecutor::Execute") for e in events)  # XLA's own work
    (path,) = folder.glob("*.xplane.pb")
    planes = {plane.name: plane for plane in jax.profiler.ProfileData.from_file(str(path)).planes}
    names = [event.name for line in planes["/host:CPU"].lines for event in line.events]
    assert names.count("train") == 2


@pytest.mark.parametrize(
    "span,step,stop,bound", [((), 3, 9, 9), ((5, 7), 3, 9, 5), ((5, 7), 5, 6, 6), ((5, 7), 7, 9, 9)]
)
def test_a_dispatch_ends_where_the_trace_begins_or_ends(tmp_path, span, step, stop, bound):
    for is_first in (True, False):
        assert profiler.Profiler(tmp_path, span, is_first=is_first).next_bound(step, stop) == bound


def test_another_profile_of_the_program_goes_before(tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise RuntimeError("Profile has already been started. Only one profile may be run at a time.")

    monkeypatch.setattr(jax.profiler, "start_trace", refuse)
    trace = profiler.Profiler(tmp_path, (0, 2))
    for step in (0, 1, 2):
        trace.at(step, jax.numpy.zeros(()))
    trace.stop(2)
    assert capsys.readouterr().out == (
        "train.profile is left out: Profile has already been started. Only one profile may be run at a time.\n"
    )
    assert not (tmp_path / "profile").exists()


def test_steps_that_no_training_takes_are_refused(tiny_config):
    tiny_config.train.profile = (5, 13)
    with pytest.raises(UserError, match="train.profile is 5,13, but the training has 12 steps: needs steps up to 12"):
        profiler.check(checked(tiny_config), 12)
    profiler.check(checked(tiny_config), 13)


def test_a_further_set_that_cannot_be_used_is_a_line_with_its_name(food_config, tmp_path):
    for path, words in (
        (str(tmp_path / "none"), "data.dir=.*none does not exist"),
        (str(tmp_path), "none of the run's 2 classes"),
    ):
        food_config.eval.more = (("v2", path),)
        with pytest.raises(UserError, match=f"^eval.more has v2:{path}: .*{words}"):
            more_sets.open_more(checked(food_config), ("no such", "nor this"))
