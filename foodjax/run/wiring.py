"""Wiring: the one place that puts network, optimizer, mesh, jitted steps and weights together, for every command."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec

from foodjax.config.check import replace
from foodjax.config.keys import Config
from foodjax.config.photo_keys import Augment
from foodjax.data.batches import Batch, eval_batches
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.evaluation.predictions import Predictions, collect_predictions
from foodjax.models.backbones.convert import to_variables
from foodjax.models.backbones.registry import NAME as BACKBONE
from foodjax.models.convnet import create_model
from foodjax.models.layers import HEAD
from foodjax.models.native.choice import choose, dtype_of
from foodjax.models.torch_weights import to_blocks
from foodjax.models.weights.source import is_weights, load
from foodjax.run import transfer
from foodjax.steps.devices import create_mesh, once_options, own_part, put_batch, replicated
from foodjax.steps.optimizer import create_chain, create_schedule
from foodjax.steps.state import TrainState, abstract_variables, create_train_state
from foodjax.steps.step import make_steps, make_train_steps
from foodjax.system import memory
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.workdir.checkpoint_content import num_bytes
from foodjax.workdir.checkpoints import load_best_weights
from foodjax.workdir.description import read_description

_SMALL_BATCH = 64  # images; a batch of up to this size is made whole, however few the data has


class Engine:
    """Network, optimizer, mesh and jitted steps of an experiment; creates its states and reads its weights.

    Attributes:
        config: the experiment.
        class_names: in label order.
        mesh: all devices.
        convolutions: whether those on a CPU use the native kernels.
        dtype: in which the network is computed.
        model: the network.
        tx: the optimizer.
        train_step, train_steps, eval_step: jitted over the mesh; each is compiled when it is first called.
        class_weights: of the training loss, in label order; () weighs all the same.
        weights_from: of the state that was created: "origin" of its weights and, of a file's, "sha256" and "licence";
            empty for random ones.
    """

    def __init__(
        self,
        config: Config,
        class_names: tuple[str, ...],
        steps_per_epoch: int = 1,
        *,
        batch_size: int | None = None,
        learning_rate: optax.Schedule | None = None,
        class_weights: tuple[float, ...] | None = None,
    ):
        """Builds everything from config; computes nothing.

        Args:
            config: the experiment.
            class_names: in label order.
            steps_per_epoch: of the learning rate's schedule; evaluation alone needs none.
            batch_size: images in a batch of all devices; None takes data.batch_size.
            learning_rate: a function of the step; None takes the experiment's own.
            class_weights: of the training loss, of `data.balance`; None takes train.class_weights.

        Raises:
            UserError: the batch does not divide among the devices, the config fits no network or optimizer, or JAX
                computes in float64.
        """
        if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
            raise UserError("JAX computes in float64 here (jax_enable_x64): needs it off, as runs are of float32")
        self.config, self.class_names = config, class_names
        self.weights_from: dict[str, str] = {}
        self.mesh = create_mesh(config.data.batch_size if batch_size is None else batch_size)
        self.convolutions = choose(config.model.convolutions, self.mesh.size)
        self.dtype = dtype_of(config, self.convolutions.level, jax.default_backend())
        computed = replace(config, {"model.dtype": self.dtype})
        self.model = create_model(computed, len(class_names), self.convolutions.level)
        # With a schedule of the caller's, optimizer.unfreeze counts single steps.
        self._rate = learning_rate or create_schedule(config, steps_per_epoch)
        self.tx = create_chain(config, self._rate, 1 if learning_rate else steps_per_epoch)
        weighted = config if class_weights is None else replace(config, {"train.class_weights": class_weights})
        self.class_weights = weighted.train.class_weights
        self.train_step, self.eval_step = make_steps(weighted, self.model, self.tx, self.mesh)
        self.train_steps = make_train_steps(weighted, self.model, self.tx, self.mesh)
        # As one program: it is traced, compiled, and kept in the compilation cache, once.
        self._create = jax.jit(
            lambda: create_train_state(config, self.model, self.tx),
            out_shardings=NamedSharding(self.mesh, PartitionSpec()),
            compiler_options=once_options(),
        )

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step, from 0; optimizer.rates and layer_decay scale it for some weights."""
        return float(jnp.asarray(self._rate(step) if callable(self._rate) else self._rate))

    def create_state(self, weights: Any = None) -> TrainState:
        """Returns the state before the first step.

        Args:
            weights: {"params", "batch_stats"} to start from; None takes those of model.init_from, or random ones.

        Raises:
            UserError: the weights of model.init_from cannot be used.
        """
        _check_memory(self.abstract_state())
        state, origin = self._create(), self.config.model.init_from
        if weights is not None:
            state = transfer.initialise(state, weights, keep=(), origin="the weights")
            return replicated(state, self.mesh)
        return self._start_from(state, origin) if origin else state

    def lower_train_step(self, batch: Batch) -> jax.stages.Lowered:
        """Traces the train step for a batch of these shapes. Once that is compiled, so is the first call.

        Raises:
            UserError: the network does not fit into memory.
        """
        state = self.abstract_state()
        _check_memory(state)  # first: compiling may take long
        return self.train_step.lower(state, batch)

    def _start_from(self, state: TrainState, source: str) -> TrainState:
        """Returns `state` with the weights of another run, or of a file of PyTorch's world."""
        flag = f"model.init_from={source}"
        if is_weights(source):
            found = load(source, "model.init_from")
            like = {"params": state.params, "batch_stats": state.batch_stats}
            if self.config.model.backbone:
                variables = to_variables(self.config.model.backbone, found.arrays, like, flag)
                keep = set(state.params) - {BACKBONE}
            else:
                variables, keep = to_blocks(found.arrays, flag), {HEAD}
            self.weights_from = {"origin": found.origin, "sha256": found.sha256, "licence": found.licence}
            left = "all but those of the last layer"
        else:
            variables, names = load_variables(source)
            keep = set() if names == self.class_names else {HEAD}
            self.weights_from = {"origin": str(to_path(source).absolute())}
            left = "all but those of the last layer" if keep else "all of them"
        state = transfer.initialise(state, variables, keep=keep, origin=flag)
        say(f"weights from {source}: {left}")
        return replicated(state, self.mesh)  # as the steps return it: for another place they would be traced again

    def abstract_state(self) -> TrainState:
        """Returns the state's shapes and dtypes, to restore a checkpoint into."""
        return self._create.eval_shape()

    def load_weights(self, workdir: PathLike) -> tuple[int, Any]:
        """Returns the step of the best checkpoint of a workdir, and its weights, `TrainState.variables`, on the mesh.

        Raises:
            UserError: there is no checkpoint, or it is damaged or of another network.
        """
        variables = abstract_variables(self.config, self.model)
        _check_memory(variables)
        return load_best_weights(to_path(workdir), variables, self.mesh)

    def validate(self, variables: Any, data: Data) -> Predictions:
        """Evaluates the validation images, augmented where the protocol takes them from the test set."""
        augment = self.config.augment if data.parts.validation_is_from_test else None
        return self.evaluate_rows(variables, data.validation, data.parts.validation, augment)

    def eval_batch_size(self, num_images: int) -> int:
        """Returns the pictures in a batch of an evaluation: no more than there are. A stranger may name any number."""
        size = min(self.config.data.eval_batch_size, max(num_images, _SMALL_BATCH))
        return -(-size // self.mesh.size) * self.mesh.size

    def evaluate_rows(self, variables: Any, data: Prepared, rows: Any, augment: Augment | None = None) -> Predictions:
        """Evaluates the examples `rows` of `data` with the weights `variables`."""
        size = self.eval_batch_size(len(rows))
        batches = eval_batches(data, rows, size, augment, self.config.seed, own_part(self.mesh, size))
        put = functools.partial(put_batch, mesh=self.mesh)
        return collect_predictions(self.eval_step, variables, batches, data.labels, put)


def check_init_from(config: Config) -> None:
    """Raises UserError if the weights of model.init_from cannot be read; they are downloaded where the hub has them."""
    source = config.model.init_from
    if source and is_weights(source):
        load(source, "model.init_from")
    elif source:
        read_description(source)


def _check_memory(arrays: Any) -> None:
    """Raises UserError if the arrays of a network, of a config that may be a stranger's, do not fit into memory."""
    memory.check(num_bytes(arrays), f"a network of {sum(x.size for x in jax.tree.leaves(arrays)):,} numbers")


def open_workdir(workdir: PathLike, config: Config | None = None, batch_size: int | None = None) -> Engine:
    """Returns the engine of a trained run, for evaluation and prediction.

    Args:
        workdir: of the run.
        config: the workdir's own, perhaps changed for an evaluation; None reads it.
        batch_size: as for `Engine`; None fits any number of devices.

    Raises:
        UserError: the workdir holds no run.
    """
    stored, class_names = read_description(workdir)
    size = jax.device_count() if batch_size is None else batch_size
    return Engine(stored if config is None else config, class_names, batch_size=size)


def load_variables(workdir: PathLike) -> tuple[Any, tuple[str, ...]]:
    """Returns the weights of the best checkpoint of a workdir, {"params", "batch_stats"}, and its class names.

    Raises:
        UserError: the workdir holds no run or no checkpoint.
    """
    engine = open_workdir(workdir)
    return jax.device_get(engine.load_weights(workdir)[1]), engine.class_names
