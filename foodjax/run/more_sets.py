"""What is evaluated after an epoch: the validation images, and the sets of `eval.more`, which choose nothing."""

import json
from typing import Any

from foodjax.config.check import replace
from foodjax.config.keys import Config
from foodjax.data.prepare import prepare
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.sources.find import create_source
from foodjax.data.split import all_rows
from foodjax.evaluation.numbers import numbers_of
from foodjax.evaluation.predictions import Predictions
from foodjax.run.wiring import Engine
from foodjax.system import hosts
from foodjax.system.console import say, track
from foodjax.system.errors import UserError

More = tuple[tuple[str, Prepared], ...]  # by their names


def open_more(config: Config, class_names: tuple[str, ...]) -> More:
    """Prepares the photographs of eval.more: of each place its test part, or all where it has none.

    Args:
        config: the experiment.
        class_names: of the run, in label order; a set may lack some.

    Raises:
        UserError: a place cannot be used, or has no photograph of these classes.
    """
    found = []
    for name, path in config.eval.more:
        table = path.lower().endswith((".csv", ".tsv"))
        place = {"data.dir": "" if table else path, "data.labels": path if table else "", "data.class_level": 0}
        try:
            source = create_source(replace(config, place)).for_everything()
            prepared = prepare(source, "test", config, track, class_names)
        except UserError as error:
            raise UserError(f"eval.more has {name}:{path}: {error}") from None
        if not len(prepared.images):
            raise UserError(f"eval.more has {name}:{path}, which holds no test images: needs at least one")
        say(f"{name}: {len(prepared.images):,} images of {len(set(prepared.labels.tolist()))} classes")
        found.append((name, prepared))
    if found and hosts.count() > 1:
        hosts.check_same("the photographs of eval.more", json.dumps([prepared.checksum for _, prepared in found]))
    return tuple(found)


def evaluate_epoch(engine: Engine, variables: Any, data: Data, epoch: int) -> tuple[Predictions, dict[str, float]]:
    """Evaluates the validation images after an epoch and, where they are due, the sets of eval.more.

    Args:
        engine: the network.
        variables: its weights, `TrainState.variables`.
        data: the prepared sets.
        epoch: that has ended, from 1.

    Returns:
        The predictions of the validation images; and the numbers by their names, val_loss, val_accuracy, NAME_loss and
        so on.
    """
    config, validation = engine.config, engine.validate(variables, data)
    found = numbers_of(validation, config, "val_")
    if epoch % config.eval.more_every == 0:
        for name, prepared in data.more:
            predictions = engine.evaluate_rows(variables, prepared, all_rows(prepared.ids, prepared.labels))
            found |= numbers_of(predictions, config, f"{name}_")
    return validation, found
