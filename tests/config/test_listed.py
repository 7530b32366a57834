import dataclasses

import pytest
from helpers import ROOT

from foodjax import load_config
from foodjax.config import listed
from foodjax.config.check import checked
from foodjax.config.training_keys import Optimizer, Train


@pytest.mark.parametrize("group,table", [(Optimizer, listed.OPTIMIZERS), (Train, listed.LOSSES)])
def test_a_line_names_keys_of_its_group(group, table):
    known = {field.name for field in dataclasses.fields(group)}
    assert {key for line in table.values() for key in line} <= known


def test_the_page_has_a_line_for_each():
    page = (ROOT / "docs" / "instruments.md").read_text()
    for name in (*listed.OPTIMIZERS, *listed.LOSSES, *listed.MONITORS):
        assert f"\n| `{name}` " in page


@pytest.mark.parametrize(
    "changes,lines",
    [
        ({}, []),
        ({"optimizer.name": "adamw"}, []),
        (
            {"optimizer.name": "sgd"},
            ["optimizer.name=sgd does not read optimizer.decay=0.9, optimizer.epsilon=1e-07"],
        ),
        (
            {"optimizer.name": "lion", "train.focal_gamma": 1.0},
            [
                "optimizer.name=lion does not read optimizer.epsilon=1e-07",
                "train.loss=cross_entropy does not read train.focal_gamma=1.0",
            ],
        ),
        ({"train.loss": "focal", "train.focal_gamma": 1.0}, []),
    ],
)
def test_what_is_set_in_vain_is_told(changes, lines):
    config = load_config("food10")
    for name, value in changes.items():
        group, key = name.split(".")
        config[group][key] = value
    assert listed.unused(checked(config)) == lines
