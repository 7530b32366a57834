import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import one_device_mesh, run_main

from foodjax.config.check import checked, replace
from foodjax.data.device_batches import make_batch, put_images, sample_recipe
from foodjax.data.prepare import prepare
from foodjax.data.sets import Data
from foodjax.data.sources.find import create_source
from foodjax.data.split import Indices
from foodjax.data.tf_batches import train_batches
from foodjax.models.convnet import create_model
from foodjax.run import loop
from foodjax.run.feed import DeviceFeed, create_feed
from foodjax.run.wiring import Engine
from foodjax.steps.devices import create_mesh
from foodjax.steps.losses import cross_entropy
from foodjax.steps.metrics import Metrics
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import create_train_state
from foodjax.steps.step import make_steps, make_train_steps, rescale, train_steps
from foodjax.workdir import description as workdir_lib
from foodjax.workdir.metrics import read_metrics


def meshes():
    return [one_device_mesh(), create_mesh(8)]


@pytest.fixture
def data(tiny_config):
    config = checked(tiny_config)
    return prepare(create_source(config), "train", config, lambda title, total, items: items)


@pytest.mark.parametrize("mesh", meshes(), ids=["1", "8"])
def test_the_device_makes_the_batches_of_the_pipeline(tiny_config, data, mesh):
    tiny_config.augment.update(rotation=90.0, shift_rows=0.5, brightness=(0.1, 1.5))
    rows = np.arange(1, len(data.ids), 2)  # 60 of 120: 3 steps an epoch
    config = checked(tiny_config)
    images, recipe = put_images(data, mesh), sample_recipe(data, rows, config, 2, 3)
    make = jax.jit(make_batch, static_argnums=2)
    for i, expected in enumerate(train_batches(data, rows, config, 2, 5)):
        batch = make(images, jax.tree.map(lambda x: x[i], recipe), 16)  # noqa: B023
        np.testing.assert_array_equal(batch["label"], expected["label"])
        difference = np.abs(np.asarray(batch["image"], int) - expected["image"])
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_every_device_holds_its_share_of_the_pictures(data):
    mesh = create_mesh(8)
    short = data.__class__(data.class_names, data.images[:51], data.labels[:51], data.ids[:51])
    images = put_images(short, mesh)
    assert images.shape == (56, 16, 16, 3)
    assert {x.data.shape[0] for x in images.addressable_shards} == {7}
    np.testing.assert_array_equal(np.asarray(images)[:51], short.images)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", meshes(), ids=["1", "8"])
def test_steps_in_one_dispatch_are_the_same_steps(tiny_config, data, mesh):
    tiny_config.augment.update(mixup=0.5, crop_area=(0.5, 1.0))
    tiny_config.train.progressive_resizing = ((0, 12),)
    tiny_config.model.head.pooling = "average"
    tiny_config.log.every_steps = 1
    config = checked(tiny_config)
    model, tx = create_model(config, 10), create_optimizer(config)
    rows = np.arange(len(data.ids))
    step, _ = make_steps(config, model, tx, mesh)
    steps = make_train_steps(config, model, tx, mesh)
    expected, total, losses = create_train_state(config, model, tx), Metrics.zeros(), []
    for batch in train_batches(data, rows, config, 4, 7):
        expected, metrics = step(expected, batch)
        total = total.merge(metrics)
        losses.append(float(metrics.loss_sum))
    state, sums = create_train_state(config, model, tx), Metrics.zeros()
    images, own = put_images(data, mesh), []
    for first, count in ((4, 2), (6, 1)):
        state, sums, each = steps(state, sums, images, sample_recipe(data, rows, config, first, count), 12)
        own.extend(each.loss_sum.tolist())
    assert own == pytest.approx(losses, rel=1e-4)
    assert int(state.step) == 3
    assert sums.compute() == pytest.approx(total.compute(), rel=1e-4)
    for ours, theirs in zip(jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_cpu_takes_one_step_a_dispatch_without_a_loop_and_compiles_it_once(tiny_config, data):
    tiny_config.data.backend = "device"
    rows = np.arange(len(data.ids))
    config = checked(tiny_config)
    engine = Engine(config, data.class_names)
    feed = create_feed(engine, Data(data, data, Indices(rows, rows[:0], rows, False)))
    state, total = engine.create_state(), Metrics.zeros()
    for first in (0, 1):
        state, total = feed.advance(state, total, first, 1)
    assert isinstance(feed, DeviceFeed)
    assert feed.longest == 1
    assert int(total.num_examples) == 32
    assert feed._train_steps._cache_size() == 1
    arguments = state, total, feed._images, sample_recipe(data, rows, config, 2, 1), 16
    steps = functools.partial(train_steps, config=config, model=engine.model, tx=engine.tx)
    assert "scan[" not in str(jax.make_jaxpr(steps, static_argnums=4)(*arguments))


# What stands as None among the modules is neither found nor imported: as if it were not installed.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("tensorflow", "tensorflow_datasets", "keras")))
runpy.run_path("main.py", run_name="__main__")
"""


def train_without_tensorflow(config, workdir, *overrides):
    return run_main(
        "--config", "experiments/demo.py:blocks=1", "--workdir", workdir,
        f"--config.data.cache_dir={config.data.cache_dir}", "--config.data.drawn_train=20",
        "--config.data.drawn_test=5", "--config.data.image_size=16", "--config.train.epochs=2", *overrides,
        program=("-c", WITHOUT), timeout=600,
        # A GLIBC_TUNABLES of its own keeps main.py from starting again, with TensorFlow.
        environment={"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"},
    )  # fmt: skip


@pytest.mark.slow
def test_training_needs_no_tensorflow_and_gives_the_numbers_of_the_pipeline(tiny_config, tmp_path):
    whole = train_without_tensorflow(tiny_config, tmp_path / "whole", "--config.data.backend=device")
    assert whole.returncode == 0, whole.stderr
    assert "test accuracy" in whole.stdout
    assert list((tmp_path / "whole" / "tensorboard").rglob("events*"))
    assert "TensorFlow" not in whole.stdout
    config, _ = workdir_lib.read_description(tmp_path / "whole")
    loop.train(replace(config, {"data.backend": "tf"}), tmp_path / "tf")
    ours, theirs = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "tf"))
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        # A picture may differ by a level and a sum in its order: an image or two of the 30 then change sides.
        assert a == pytest.approx(b, abs=0.07)
        assert [a["loss"], a["val_loss"]] == pytest.approx([b["loss"], b["val_loss"]], abs=2e-3)
    (timing, *_) = read_metrics(tmp_path / "whole" / "timing.jsonl")
    assert 0 <= timing["data_wait"] < 1


@pytest.mark.slow
def test_a_run_on_the_device_continues_with_the_same_bits(tiny_config, tmp_path):
    tiny_config.data.backend = "device"
    tiny_config.train.update(epochs=2, steps_per_dispatch=4)  # 6 steps an epoch: 4 and 2
    loop.train(tiny_config, tmp_path / "whole")
    tiny_config.train.epochs = 1
    loop.train(tiny_config, tmp_path / "parts")
    tiny_config.train.epochs = 2
    loop.train(tiny_config, tmp_path / "parts")
    whole, parts = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "parts"))
    assert whole == parts


@pytest.mark.slow
def test_bfloat16_computes_close_to_float32_and_keeps_float32_weights(tiny_config):
    tiny_config.model.norm = "batch"
    tx = create_optimizer(checked(tiny_config))
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (8, 16, 16, 3), np.uint8), "label": np.arange(8, dtype=np.int32)}
    variables = create_train_state(checked(tiny_config), create_model(checked(tiny_config), 10), tx).variables
    logits, grads = {}, {}
    for dtype in ("float32", "bfloat16"):
        tiny_config.model.dtype = dtype
        model = create_model(checked(tiny_config), 10)

        def loss(params, model=model):
            out = model.apply(variables | {"params": params}, rescale(jnp.asarray(batch["image"])), train=False)
            return cross_entropy(out, jnp.asarray(batch["label"])).mean(), out

        grads[dtype], logits[dtype] = jax.grad(loss, has_aux=True)(variables["params"])
        assert all(x.dtype == jnp.float32 for x in jax.tree.leaves((grads[dtype], logits[dtype])))
    size = float(jnp.abs(logits["float32"]).max())
    assert 1e-5 * size < float(jnp.abs(logits["bfloat16"] - logits["float32"]).max()) < 0.03 * size
    for ours, theirs in zip(*(jax.tree.leaves(grads[d]) for d in ("bfloat16", "float32")), strict=True):
        assert jnp.linalg.norm(ours - theirs) < 0.1 * jnp.linalg.norm(theirs) + 1e-4


@pytest.mark.slow
def test_bfloat16_learns_eight_images_by_heart(tiny_config):
    tiny_config.model.dtype = "bfloat16"
    tiny_config.optimizer.learning_rate = 3e-3
    config = checked(tiny_config)
    model, tx = create_model(config, 10), create_optimizer(config)
    rng = np.random.default_rng(0)
    batch = {"image": rng.integers(0, 256, (8, 16, 16, 3), np.uint8), "label": np.arange(8, dtype=np.int32)}
    step, _ = make_steps(config, model, tx, one_device_mesh())
    state, losses = create_train_state(config, model, tx), []
    for _ in range(600):
        state, metrics = step(state, batch)
        losses.append(metrics.compute()["loss"])
    assert losses[0] == pytest.approx(np.log(10), rel=0.2)
    assert losses[-1] < 0.2
    assert np.mean(losses[-20:]) < 0.2
    floats = [x for x in jax.tree.leaves((state, metrics)) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert floats
    assert all(x.dtype == jnp.float32 for x in floats)
