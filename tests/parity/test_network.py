"""Layers, initial weights, probabilities and the table of precision and recall against a Keras Sequential model."""

from typing import NamedTuple

import jax
import keras
import numpy as np
import pytest
from flax import linen as nn
from sklearn.metrics import accuracy_score, classification_report

from experiments import food10
from foodjax.config.check import checked
from foodjax.data.batches import eval_batches
from foodjax.data.prepared import Prepared
from foodjax.evaluation import scores
from foodjax.evaluation.predictions import collect_predictions
from foodjax.exchange import keras_model
from foodjax.models import summary
from foodjax.models.convnet import create_model, init_params
from parity import program
from parity.sides import Foodjax, keras_weights, photographs, to_params

pytestmark = pytest.mark.parity


# Layers


def our_table(config):
    """Returns name -> (output, parameters' shapes) of every layer."""
    model, size = create_model(checked(config), 10), config.data.image_size
    rows = {row.name: row for row in summary.layers(model, size)}
    return {
        name: (rows[name].output, (rows[name].kernel, rows[name].kernel[-1:]) if rows[name].kernel else ())
        for name in rows
    } | {"parameters": sum(row.num_params for row in rows.values())}


def keras_table(model):
    """Returns the same of a Keras model, whose layers get foodjax' names from where they stand."""
    table, block, conv, dense = {}, 1, 0, 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            conv += 1
            name = f"block{block}/conv{conv}"
        elif isinstance(layer, keras.layers.MaxPooling2D):
            name, block, conv = f"block{block}/dropout", block + 1, 0  # a row of foodjax' holds pooling and dropout
        elif isinstance(layer, keras.layers.Dense):
            dense += 1
            name = f"dense{dense}" if layer is not model.layers[-1] else "logits"
        elif isinstance(layer, keras.layers.Dropout):
            name = f"dropout{dense}" if dense else f"block{block - 1}/dropout"
        else:
            continue
        table[name] = (tuple(layer.output.shape[1:]), tuple(tuple(w.shape) for w in layer.weights))
    return table | {"parameters": model.count_params()}


def count_different_rows(ours, theirs):
    return sum(ours.get(name) != theirs.get(name) for name in ours.keys() | theirs.keys())


def test_layers(parity):
    theirs = keras_table(program.create_model())
    config = food10.get_config()
    assert theirs["parameters"] == 10_588_458
    assert len(theirs) == 16
    parity.holds("layers", count_different_rows(our_table(config), theirs))
    side = Foodjax(checked(config))
    exported = keras_model.to_keras(side.config, side.model, side.params)
    names = [layer.name for layer in exported.layers if layer.weights]
    assert names == [name.replace("/", "_") for name, row in theirs.items() if name != "parameters" and row[1]]
    parity.holds("layers", count_different_rows(keras_table(exported), theirs))
    config.model.blocks[3].kernel = 3
    parity.misses("layers", count_different_rows(our_table(config), theirs), "kernel 3 in block 4")
    config = food10.get_config()
    config.model.blocks[1].padding = ("SAME", "SAME")
    parity.misses("layers", count_different_rows(our_table(config), theirs), "padding SAME")


# Initial weights

NUM_SEEDS = 12  # pooled, since the first kernel has no more than 864 values


@pytest.fixture(scope="module")
def keras_inits():
    """The initial weights of `NUM_SEEDS` Keras models, one array for each layer and kind."""
    sampled = []
    for seed in range(NUM_SEEDS):
        keras.utils.set_random_seed(seed)
        sampled.append([w.ravel()[:20_000] for w in program.create_model().get_weights()])
    return [np.concatenate(pieces) for pieces in zip(*sampled, strict=True)]


def our_inits(initializer=None):
    """Returns the same of foodjax, or of another initializer for the kernels."""
    model = create_model(checked(food10.get_config()), 10)

    @jax.jit
    def init(key):
        weights = keras_weights(init_params(model, key, 128))
        if initializer is not None:
            keys = jax.random.split(key, len(weights))
            weights = [initializer(k, w.shape) if w.ndim > 1 else w for k, w in zip(keys, weights, strict=True)]
        return [w.ravel()[:20_000] for w in weights]

    sampled = [init(jax.random.PRNGKey(seed)) for seed in range(NUM_SEEDS)]
    return [np.concatenate(pieces) for pieces in zip(*sampled, strict=True)]


def worst_ratio(ours, theirs):
    """Returns how far limit or standard deviation of any layer is from Keras', relative; zeros must be zeros."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        for measure in (lambda x: np.abs(x).max(), np.std):
            worst = max(worst, abs(measure(a) / measure(b) - 1) if b.any() else float(np.abs(a).max()))
    return float(worst)


def test_initial_weights(parity, keras_inits):
    parity.holds("init", worst_ratio(our_inits(), keras_inits))
    for name in ("lecun_normal", "lecun_uniform", "glorot_normal"):
        wrong = our_inits(getattr(nn.initializers, name)())
        parity.misses("init", worst_ratio(wrong, keras_inits), name)


# Probabilities and the table made of them


class Trained(NamedTuple):
    """A Keras model and the photographs that it is asked about."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def trained():
    """A Keras model of the tutorial's architecture after some steps on real photographs, so that its opinions vary."""
    images, labels = photographs(96, 128)
    keras.utils.set_random_seed(0)
    model = program.create_model(dropout=None)
    rng = np.random.default_rng(0)
    for _ in range(6):
        rows = rng.choice(len(images), 16, replace=False)
        model.train_on_batch(program.rescale(images[rows]), np.eye(10, dtype=np.float32)[labels[rows]])
    # Decided opinions, which hundreds of steps would bring: logits that vary by 0.7 between photographs.
    logs = np.log(model.predict(program.rescale(images), batch_size=24, verbose=0))
    kernel, bias = model.layers[-1].get_weights()
    factor = 0.7 / logs.std(axis=0).mean()
    model.layers[-1].set_weights([kernel * factor, bias - factor * logs.mean(axis=0)])
    return Trained(model, images, labels)


def probabilities(params, images, labels):
    """foodjax' predictions through the pipeline that evaluation takes: padded batches, the jitted step."""
    side = Foodjax(checked(food10.get_config()))
    data = Prepared(tuple("abcdefghij"), images, labels.astype(np.int64), [f"x/{i}" for i in range(len(images))])
    return collect_predictions(
        side.eval_step, {"params": params}, eval_batches(data, np.arange(len(images)), 40), data.labels
    )


def worst_difference(ours, theirs):
    return float(np.abs(ours - theirs).max())


def test_probabilities(parity, trained):
    theirs = trained.model.predict(program.rescale(trained.images), batch_size=24, verbose=0)
    ours = probabilities(to_params(trained.model.get_weights()), trained.images, trained.labels)
    assert len(set(theirs.argmax(axis=1))) > 3, "a model with one opinion compares nothing"
    parity.holds("forward", worst_difference(ours.probabilities, theirs))
    wrong = trained.model.get_weights()
    wrong[0] = wrong[0][::-1]
    flipped = probabilities(to_params(wrong), trained.images, trained.labels)
    parity.misses("forward", worst_difference(flipped.probabilities, theirs), "a flipped kernel")
    unscaled = trained.model.predict(program.rescale(trained.images) * (255 / 256), batch_size=24, verbose=0)
    parity.misses("forward", worst_difference(ours.probabilities, unscaled), "rescale 1/256")


def worst_cell(report, theirs, names):
    """Returns the largest difference between foodjax' report and scikit-learn's of Keras' predictions."""
    accuracy, table = theirs
    cells = [abs(report.accuracy - accuracy)]
    for name, *row in report.classes:
        other = table[name]
        cells += [
            abs(a - other[key]) for a, key in zip(row, ("precision", "recall", "f1-score", "support"), strict=True)
        ]
    assert [row[0] for row in sorted(report.classes)] == sorted(names)
    return max(cells)


def test_report(parity, trained):
    names = tuple(f"class {c}" for c in "abcdefghij")
    predicted = trained.model.predict(program.rescale(trained.images), batch_size=24, verbose=0).argmax(axis=1)
    table = classification_report(
        trained.labels, predicted, labels=range(10), target_names=names, output_dict=True, zero_division=0.0
    )
    theirs = accuracy_score(trained.labels, predicted), table
    ours = probabilities(to_params(trained.model.get_weights()), trained.images, trained.labels)
    report = scores.compute_scores(ours, names)
    assert sum(row[1] > 0 for row in report.classes) > 3
    parity.holds("report", worst_cell(report, theirs, names))
    wrong = scores.compute_scores(ours._replace(probabilities=np.roll(ours.probabilities, 1, axis=0)), names)
    parity.misses("report", worst_cell(wrong, theirs, names), "rows off by one")
