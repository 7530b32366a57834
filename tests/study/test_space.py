import pytest
from helpers import ROOT, write_experiment

from foodjax.study import space
from foodjax.system.errors import UserError


def test_a_grid_has_every_combination_and_random_is_repeatable():
    points = ["lr=0.1,blocks=1", "lr=0.1,blocks=3", "lr=0.2,blocks=1", "lr=0.2,blocks=3"]
    assert space.grid(lr=[0.1, 0.2], blocks=[1, 3]) == points
    drawn = space.random(20, seed=3, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    assert drawn == space.random(20, seed=3, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    assert drawn != space.random(20, seed=4, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    rates = [float(text.split(",")[0].removeprefix("lr=")) for text in drawn]
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    assert len(set(rates)) == 20
    assert 3 < sum(rate < 10**-3.5 for rate in rates) < 17  # log-uniform: about half; uniform: 3 % of them
    assert {text.split(",")[1] for text in drawn} == {"dropout=0.0", "dropout=0.5"}


def test_the_trials_of_a_sweep(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=0.5,blocks=1"], seeds=2)
    trials = space.create_trials(str(path), {"data.batch_size": 8}, tmp_path / "runs")
    assert [(t.label, t.seed, t.workdir.name) for t in trials] == [
        ("baseline", 0, "baseline-seed0"),
        ("lr=0.5-blocks=1", 0, "lr=0.5-blocks=1-seed0"),
        ("baseline", 1, "baseline-seed1"),
        ("lr=0.5-blocks=1", 1, "lr=0.5-blocks=1-seed1"),
    ]
    assert [t.config.seed for t in trials] == [0, 0, 1, 1]
    assert {t.config.data.batch_size for t in trials} == {8}
    assert trials[1].argument == f"{path}:lr=0.5,blocks=1,seed=0"
    assert len(trials[1].config.model.blocks) == 1


@pytest.mark.parametrize(
    "variants,message",
    [
        (["", "drop_blok=1"], "variant 'drop_blok=1' of the sweep: .*did you mean 'drop_block'"),
        (["", "lr=-1"], "variant 'lr=-1' of the sweep: optimizer.learning_rate is -1"),
        (["drop_block=2", "blocks=1"], "variants 'drop_block=2' and 'blocks=1' have the same config"),
        ("lr=1", "needs a list of variants"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused_before_it_starts(tmp_path, variants, message):
    path = write_experiment(tmp_path, repr(variants))
    with pytest.raises(UserError, match=message):
        space.create_trials(str(path), {}, tmp_path / "runs")


def test_an_experiment_without_a_sweep_is_refused():
    with pytest.raises(UserError, match=r"food10.py defines no get_sweep\(\)"):
        space.create_trials(str(ROOT / "experiments" / "food10.py"), {}, ROOT)


def test_rungs_of_successive_halving():
    assert space.rungs(9, 27, 3) == [(3, 3), (9, 1)]
    assert space.rungs(8, 8, 2) == [(1, 4), (2, 2), (4, 1)]
    assert space.rungs(4, 100, 3) == [(33, 1)]
    assert space.rungs(9, 27, 0) == space.rungs(1, 10, 3) == space.rungs(9, 1, 3) == []


def test_random_variants_are_those_of_optuna_s_study_and_nothing_is_logged(capfd):
    assert space.random(3, seed=3, lr=(1e-5, 1e-2), rate=(1, 1), blocks=[4], dropout=[0.0, 0.5]) == [
        "lr=0.000449,rate=1.0,blocks=4,dropout=0.0",
        "lr=0.000341,rate=1.0,blocks=4,dropout=0.5",
        "lr=2.38e-05,rate=1.0,blocks=4,dropout=0.0",
    ]
    assert capfd.readouterr().err == ""
