"""The experiments of the repository: valid, named after their files, open to variants, and read by the code."""

import importlib

import pytest
from helpers import ROOT

from foodjax.config.check import checked

EXPERIMENTS = sorted(p.stem for p in (ROOT / "experiments").glob("*.py"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_valid_and_named_after_its_file(name):
    assert checked(importlib.import_module(f"experiments.{name}").get_config()).name == name


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_takes_variants(name):
    config = checked(importlib.import_module(f"experiments.{name}").get_config("lr=0.5,drop_block=1"))
    assert config.optimizer.learning_rate == 0.5
    assert config.name == f"{name}-lr=0.5-drop_block=1"
