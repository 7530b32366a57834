"""The wiring of a run: its data, its network and its jitted steps, shared by training and evaluation."""

from pathlib import Path
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from foodjax.config.keys import Augment, Config
from foodjax.data.batches import eval_batches
from foodjax.data.prepare import Prepared
from foodjax.data.sets import Data
from foodjax.evaluation.predictions import Predictions, collect_predictions
from foodjax.models.convnet import create_model
from foodjax.run import transfer
from foodjax.steps.devices import create_mesh
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import TrainState, abstract_train_state, create_train_state
from foodjax.steps.step import make_steps


class Engine:
    """What training and evaluation share: the jitted steps, the mesh and how a state is made and restored."""

    def __init__(self, config: Config, class_names: tuple[str, ...], steps_per_epoch: int = 1):
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
        return self.evaluate_rows(state, data.validation, data.parts.validation, augment)

    def evaluate_rows(
        self, state: TrainState, data: Prepared, rows: Any, augment: Augment | None = None
    ) -> Predictions:
        """Evaluates the examples `rows` of `data`."""
        devices = self.mesh.size
        size = -(-self.config.data.eval_batch_size // devices) * devices  # padding fills what the data does not
        batches = eval_batches(data, rows, size, augment, self.config.seed)
        return collect_predictions(self.eval_step, state.variables, batches)
