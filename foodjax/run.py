"""The wiring of a run: its data, its network and its jitted steps, shared by training and evaluation."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec

from foodjax import logs, transfer
from foodjax.data.batches import eval_batches
from foodjax.data.prepare import Prepared, prepare
from foodjax.data.source import create_source
from foodjax.data.split import Indices, first_of_each, split
from foodjax.errors import UserError
from foodjax.model import create_model
from foodjax.optimizer import create_optimizer
from foodjax.predictions import Predictions, predict
from foodjax.train_state import TrainState, abstract_train_state, create_train_state
from foodjax.train_step import create_mesh, make_steps


class Data(NamedTuple):
    """The prepared sets of an experiment and which of their rows train, validate and test."""

    train: Prepared
    test: Prepared
    parts: Indices

    @property
    def validation(self) -> Prepared:
        """The set that `parts.validation` counts the rows of."""
        return self.test if self.parts.validation_is_from_test else self.train


def load_data(config: Any) -> Data:
    """Prepares, or opens, the photographs of an experiment and splits them.

    Raises:
        UserError: the data cannot be used, or a part of it is empty.
    """
    source = create_source(config)
    train_set = prepare(source, "train", config, logs.progress)
    test_set = prepare(source, "test", config, logs.progress)
    for part, found in (("train", train_set), ("test", test_set)):
        if not len(found.images):
            raise UserError(f"the data has no {part} images: training needs train and test")
    return split_data(config, train_set, test_set)


def split_data(config: Any, train_set: Prepared, test_set: Prepared) -> Data:
    """Splits prepared sets as `config.data` says.

    Raises:
        UserError: a part is empty, or smaller than a batch.
    """
    parts = split(
        train_set.ids, train_set.labels, test_set.ids, test_set.labels,
        config.data.protocol, config.data.validation_fraction,
    )  # fmt: skip
    if config.data.train_per_class:
        parts = parts._replace(train=first_of_each(parts.train, train_set.labels, config.data.train_per_class))
    if len(parts.train) < config.data.batch_size:
        raise UserError(f"data.batch_size is {config.data.batch_size}: the data has {len(parts.train)} images to train")
    if not len(parts.validation):
        raise UserError(f"data.validation_fraction={config.data.validation_fraction} leaves no validation images")
    return Data(train_set, test_set, parts)


class Run:
    """What training and evaluation share: the jitted steps, the mesh and how a state is made and restored."""

    def __init__(self, config: Any, class_names: tuple[str, ...], steps_per_epoch: int = 1):
        """Builds everything from config.

        Args:
            config: the experiment.
            class_names: in label order.
            steps_per_epoch: of the learning rate's schedule; evaluation alone needs none.
        """
        self.config, self.class_names = config, class_names
        self.mesh = create_mesh(config.data.batch_size)
        self.model = create_model(config, len(class_names))
        self.tx = create_optimizer(config, steps_per_epoch)
        self.train_step, self.eval_step = make_steps(config, self.model, self.tx, self.mesh)

    def create_state(self) -> TrainState:
        """Returns the state before the first step.

        Raises:
            UserError: model.init_from names a run that cannot be started from.
        """
        # As one program: it is compiled, and kept in the compilation cache, once.
        create = jax.jit(
            lambda: create_train_state(self.config, self.model, self.tx),
            out_shardings=NamedSharding(self.mesh, PartitionSpec()),
        )
        state, origin = create(), self.config.model.init_from
        return transfer.initialise(state, Path(origin), self.class_names) if origin else state

    def abstract_state(self) -> TrainState:
        """Returns the state's shapes and dtypes, to restore a checkpoint into."""
        return abstract_train_state(self.config, self.model, self.tx)

    def validate(self, state: TrainState, data: Data) -> Predictions:
        """Evaluates the validation images, augmented where the protocol takes them from the test set."""
        augment = self.config.augment if data.parts.validation_is_from_test else None
        return self.predict(state, data.validation, data.parts.validation, augment)

    def predict(self, state: TrainState, data: Prepared, rows: Any, augment: Any = None) -> Predictions:
        """Evaluates the examples `rows` of `data`."""
        devices = self.mesh.size
        size = -(-self.config.data.eval_batch_size // devices) * devices  # padding fills what the data does not
        batches = eval_batches(data, rows, size, augment, self.config.seed)
        return predict(self.eval_step, state.variables, batches)
