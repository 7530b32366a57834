import importlib

import pytest
from helpers import ROOT

from experiments import ablate_blocks, food10, food10_fast
from foodjax.config.check import checked, flatten
from foodjax.models.convnet import create_model
from foodjax.study import space

EXPERIMENTS = sorted(p.stem for p in (ROOT / "experiments").glob("*.py"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_valid_and_named_after_its_file(name):
    assert checked(importlib.import_module(f"experiments.{name}").get_config()).name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_takes_variants(name):
    get_config = importlib.import_module(f"experiments.{name}").get_config
    more = ",drop_block=1" if get_config().model.blocks else ""  # a backbone alone has no blocks
    config = checked(get_config(f"lr=0.5{more}"))
    assert config.optimizer.learning_rate == 0.5
    assert config.name == f"{name}-lr=0.5{more.replace(',', '-')}"


@pytest.mark.parametrize("scale,count,seeds", [("", 17, 3), ("scale=small", 10, 3)])
@pytest.mark.slow
def test_the_shipped_ablation_has_everything_and_every_picture_survives(tmp_path, scale, count, seeds):
    path = f"{ROOT / 'experiments' / 'ablate_blocks.py'}:{scale}"
    trials = space.create_trials(path, {}, tmp_path)
    assert len(trials) == count * seeds
    for trial in trials[:count]:
        create_model(trial.config, 10)
    baseline = dict(flatten(trials[0].config))
    changed = {}
    for trial in trials[1:count]:
        values = dict(flatten(trial.config))
        changed[trial.label] = {key for key in values if values[key] != baseline.get(key)} - {"name"}
    assert changed["kernel=3"] == {"model.blocks[3].kernel"}
    assert changed["pool=avg"] == {"model.head.pooling"}
    if not scale:
        assert changed["lr=3e-05"] == {"optimizer.learning_rate"}
        assert changed["drop_augment=brightness"] == {"augment.brightness"}
    assert sum("drop_block" in label for label in changed) == 4
    assert ablate_blocks.get_config(scale).train.epochs == (10 if scale else 100)


def test_the_sizes_of_the_probe_are_a_sweep(tmp_path):
    trials = space.create_trials("food10_probe", {"data.dir": "photos"}, tmp_path)
    assert [trial.label for trial in trials] == ["baseline", "size=1", "size=2"]
    found = [(trial.config.train.solver, trial.config.model, trial.config.data.image_size) for trial in trials]
    assert [(solver, model.backbone, side) for solver, model, side in found] == [
        ("probe", "tf_efficientnet_lite0", 224),
        ("probe", "tf_efficientnet_lite1", 240),
        ("probe", "tf_efficientnet_lite2", 260),
    ]
    assert all(model.init_from == f"hf://timm/{model.backbone}.in1k" for _, model, _ in found)


def test_the_recipe_changes_step_by_step_from_the_tutorial_to_food10_fast(tmp_path):
    trials = space.create_trials(str(ROOT / "experiments" / "recipe_parts.py"), {}, tmp_path)  # each valid, and new
    trials = [trial for trial in trials if trial.seed == 0]
    first, last, tutorial, fast = (
        dict(flatten(config))
        for config in (trials[0].config, trials[-1].config, food10.get_config(), food10_fast.get_config())
    )
    assert {key for key in fast if fast[key] != last[key]} == {"name", "train.epochs", "train.patience"}
    scaled = {"data.image_size", "data.resize", "data.batch_size", "train.epochs", "train.patience"}
    changed = {key for key in first if first[key] != tutorial.get(key)}
    assert trials[0].label == "step=tutorial"
    assert changed == scaled | {"name", "model.blocks[3].padding"}
    for trial in trials:
        create_model(trial.config, 10)
