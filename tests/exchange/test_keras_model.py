import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import jax
import keras
import numpy as np
import pytest
from helpers import ROOT, one_device_environment, one_device_mesh, run_main

from experiments import food10
from foodjax.config.check import checked
from foodjax.evaluation import temperature
from foodjax.evaluation.calibration import scale
from foodjax.exchange import keras_file, keras_model
from foodjax.models.convnet import create_model
from foodjax.run import loop
from foodjax.run.predict import Predictor
from foodjax.run.wiring import Engine
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.system.errors import UserError
from foodjax.workdir import description as workdir_lib
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.metrics import read_metrics

pytestmark = pytest.mark.slow

L = keras.layers


def create_keras(changes=()):
    """The Keras model of `tiny_config` as a reader may write it: the activations stand as layers of their own.

    `changes` maps the number of a layer to another one, or to None to leave it out.
    """
    stack = [
        keras.Input((16, 16, 3)),
        L.Conv2D(8, 3, padding="same"),
        L.Activation("relu"),
        L.MaxPooling2D(2),
        L.Conv2D(8, 3, padding="same", activation="relu", name="my_conv"),
        L.ReLU(),
        L.MaxPooling2D(2),
        L.Dropout(0.1),
        L.Flatten(),
        L.Dense(16, activation="relu"),
        L.Dropout(0.2),
        L.Dense(10),
        L.Softmax(),
    ]
    for i, layer in dict(changes).items():
        stack[i] = layer
    return keras.Sequential([layer for layer in stack if layer is not None])


class Saved(NamedTuple):
    """A Keras model and the .keras file that holds it."""

    model: keras.Model
    path: Path


@pytest.fixture
def saved(tmp_path):
    """A model with random weights and biases."""
    keras.utils.set_random_seed(1)
    model = create_keras()
    model.set_weights([np.random.default_rng(0).normal(0, 0.3, w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    return Saved(model, tmp_path / "model.keras")


@pytest.fixture
def tiny_images():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)


def probabilities(config, workdir, images):
    run = Engine(checked(config), workdir_lib.read_description(workdir)[1])
    checkpoints = Checkpoints(workdir)
    step = checkpoints.best_step()
    assert step is not None
    state = checkpoints.restore(step, run.abstract_state(), run.mesh)
    checkpoints.close()
    logits = run.model.apply({"params": state.params}, jax.numpy.asarray(images / np.float32(255)), train=False)
    return np.asarray(jax.nn.softmax(logits)), state


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5"])
def test_an_imported_model_predicts_what_keras_predicts(tiny_config, tmp_path, saved, tiny_images, name, capsys):
    if name.endswith(".h5"):
        saved.model.save_weights(tmp_path / name)
    workdir = tmp_path / "runs" / "mine"
    keras_model.import_model(checked(tiny_config), tmp_path / name, workdir)
    ours, state = probabilities(tiny_config, workdir, tiny_images)
    theirs = saved.model.predict(tiny_images.astype(np.float32) / 255, verbose=0)
    assert theirs.max() > 0.5, "opinions must differ for the comparison to mean something"
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert int(state.step) == 0
    assert not any(np.any(x) for x in jax.tree.leaves(state.opt_state))
    assert "10 classes, in this order: bars, checkerboard" in capsys.readouterr().out
    assert workdir_lib.read_description(workdir)[1][2] == "cross"
    before = sorted(p.name for p in workdir.rglob("*"))
    with pytest.raises(UserError, match="exists already: import needs a new --workdir"):
        keras_model.import_model(checked(tiny_config), saved.path, workdir)
    assert sorted(p.name for p in workdir.rglob("*")) == before
    assert [p.name for p in workdir.parent.iterdir()] == ["mine"], "nothing half-written is left"


def test_the_averages_of_an_imported_model_start_at_its_weights(tiny_config, tmp_path, saved, tiny_images):
    model, path = saved
    tiny_config.train.ema_decay = 0.9
    keras_model.import_model(checked(tiny_config), path, tmp_path / "run")
    theirs = model.predict(tiny_images.astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(Predictor(tmp_path / "run").probabilities(tiny_images), theirs, atol=1e-5)


# What is changed in the reader's model, and what the one line must say.
OTHERS = [
    (lambda: {0: keras.Input((20, 20, 3)), 3: L.MaxPooling2D(2)}, "'input_layer[_0-9]*' has shape 20 x 20 x 3"),
    (lambda: {1: L.Conv2D(8, 5, padding="same", name="a")}, "'a' has kernel 5 x 5 x 3 x 8, needs 3 x 3 x 3 x 8"),
    (lambda: {4: L.Conv2D(9, 3, padding="same", name="b")}, "'b' has kernel 3 x 3 x 8 x 9, needs 3 x 3 x 8 x 8"),
    (lambda: {4: L.Conv2D(8, 3, activation="relu", name="c")}, "'c' has padding 'valid', needs 'same'"),
    (lambda: {1: L.Conv2D(8, 3, padding="same", use_bias=False, name="d")}, "'d' has use_bias 'False', needs 'True'"),
    (lambda: {2: L.Activation("tanh")}, "has activation 'tanh', needs 'relu' for block1/conv1"),
    (lambda: {2: None}, "has activation 'linear', needs 'relu' for block1/conv1"),
    (lambda: {2: L.LeakyReLU()}, "has a 'LeakyReLU' layer"),
    (lambda: {2: L.ReLU(6.0)}, "a ReLU with a limit or a slope"),
    (lambda: {3: L.MaxPooling2D(2, strides=1)}, "has strides 1 x 1, needs 2 x 2 for block1/pool"),
    (lambda: {3: L.AveragePooling2D(2)}, "has a 'AveragePooling2D' layer"),
    (lambda: {3: None}, "'my_conv' is a conv2d .*, needs a max_pooling2d for block1/pool"),
    (lambda: {3: L.BatchNormalization()}, "has a 'BatchNormalization' layer"),
    (lambda: {8: L.GlobalAveragePooling2D()}, "is a global_average_pooling2d, needs a flatten for pooling"),
    (lambda: {9: None}, r"has kernel 128 x 10, needs 128 x 16 for dense1"),
    (lambda: {11: L.Dense(7)}, "has kernel 16 x 7, needs 16 x 10 for logits"),
    (lambda: {11: L.Dense(10, activation="relu"), 12: L.Dense(10)}, "has activation 'relu', needs 'softmax'"),
    (lambda: {12: L.Activation("sigmoid")}, "has activation 'sigmoid', needs 'softmax' for logits"),
    (lambda: {2: L.Lambda(lambda x: x)}, "has a 'Lambda' layer, .* needs a Sequential model of Conv2D"),
]  # fmt: skip


@pytest.mark.parametrize("changes,message", OTHERS)
def test_another_architecture_is_refused_with_the_first_layer_that_differs(tiny_config, tmp_path, changes, message):
    create_keras(changes()).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=message) as caught:
        keras_model.import_model(checked(tiny_config), tmp_path / "model.keras", tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_architecture_are_refused(tiny_config, tmp_path):
    path = tmp_path / "model.weights.h5"
    create_keras({4: L.Conv2D(9, 3, padding="same")}).save_weights(path)
    with pytest.raises(UserError, match="'conv2d_1' has kernel 3 x 3 x 8 x 9, needs 3 x 3 x 8 x 8 for block2/conv1"):
        keras_model.import_model(checked(tiny_config), path, tmp_path / "run")
    create_keras({3: L.BatchNormalization()}).save_weights(path)
    with pytest.raises(UserError, match="has a layer 'batch_normalization'"):
        keras_model.import_model(checked(tiny_config), path, tmp_path / "run")


def test_the_order_of_many_layers_is_their_number_not_their_name(tmp_path):
    config = food10.get_config()
    config.data.update(image_size=8, class_names=("a", "b"))
    config.model.blocks = config.model.blocks[:1]
    config.model.blocks[0].update(features=2, padding=("SAME",) * 12, pool=1)
    config.model.head.hidden = ()
    stack = [L.Conv2D(2, 3, padding="same", activation="relu") for _ in range(12)]  # conv2d_10 sorts before conv2d_2
    model = keras.Sequential([keras.Input((8, 8, 3)), *stack, L.Flatten(), L.Dense(2)])
    model.save_weights(tmp_path / "model.weights.h5")
    params, _ = keras_model.read_params(tmp_path / "model.weights.h5", create_model(checked(config), 2), 8)
    for i, layer in enumerate(stack, start=1):
        np.testing.assert_array_equal(params["block1"][f"conv{i}"]["kernel"], layer.get_weights()[0])


def test_another_dropout_is_told_and_accepted(tiny_config, tmp_path, capsys):
    create_keras({7: L.Dropout(0.4)}).save(tmp_path / "model.keras")
    keras_model.import_model(checked(tiny_config), tmp_path / "model.keras", tmp_path / "run")
    assert "dropout after block2/pool is 0.4 in the file; training uses the config's 0.1" in capsys.readouterr().out


# Files from strangers


def rewrite(path, change_config=None, change_weights=None, **members):
    """Replaces members of a .keras file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if change_config:
        model = json.loads(content["config.json"])
        change_config(model)
        content["config.json"] = json.dumps(model).encode()
    if change_weights:
        (path.parent / "w.h5").write_bytes(content["model.weights.h5"])
        with h5py.File(path.parent / "w.h5", "a") as file:
            change_weights(file)
        content["model.weights.h5"] = (path.parent / "w.h5").read_bytes()
    content |= {name.replace("__", "."): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


def set_layer(i, **values):
    return lambda model: model["config"]["layers"][i].update(values)


def external_link(file):
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/hostname", "/x")


def external_data(file):
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars"].create_dataset("1", (8,), "f4", external=[("/etc/passwd", 0, 32)])


def virtual_data(file):
    del file["layers/conv2d/vars/1"]
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    file["layers/conv2d/vars"].create_virtual_dataset("1", layout)


def huge_data(file):
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars"].create_dataset("1", (2**40,), "f4", chunks=(1024,), compression="gzip")


def text_data(file):
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars"]["1"] = np.array([b"x"] * 8)


FORGED = [
    (dict(change_config=set_layer(1, class_name="Lambda")), "has a 'Lambda' layer"),
    (dict(change_config=set_layer(1, module="os", class_name="Conv2D")), "has a 'Conv2D' layer"),
    (dict(change_config=set_layer(1, registered_name="evil>Conv2D")), "has a 'Conv2D' layer"),
    (dict(change_config=set_layer(1, class_name="\x1b[2J")), r"has a '\\x1b\[2J' layer"),
    (dict(change_config=set_layer(1, config=3)), "is not a whole file that Keras wrote"),
    (dict(change_config=lambda model: model.update(class_name="Functional")), "is a 'Functional' model"),
    (dict(change_config=lambda model: model["config"].update(layers=[])), "is not a whole file that Keras wrote"),
    (dict(config__json=b"[" * 100_000), "is not a whole file that Keras wrote"),
    (dict(config__json=b" " * (2**24 + 2)), "config.json above 16777216 bytes"),
    (dict(config__json=None), "holds no config.json"),
    (dict(model__weights__h5=None), "is not|holds no"),
    (dict(change_weights=external_link), "is absent or a link"),
    (dict(change_weights=external_data), "is not a plain array of floats"),
    (dict(change_weights=virtual_data), "is not a plain array of floats"),
    (dict(change_weights=text_data), "is not a plain array of floats"),
    (dict(change_weights=huge_data), "holds 2 arrays .* of 1 x 8|needs kernel and bias"),
]


@pytest.mark.parametrize("forgery,message", FORGED)
def test_a_forged_file_is_refused_and_runs_nothing(tiny_config, tmp_path, saved, forgery, message):
    if "model__weights__h5" in forgery:
        with zipfile.ZipFile(saved.path) as archive:
            text = archive.read("config.json")
        with zipfile.ZipFile(saved.path, "w") as archive:
            archive.writestr("config.json", text)
    else:
        rewrite(saved.path, **forgery)
    with pytest.raises(UserError, match=message) as caught:
        keras_model.import_model(checked(tiny_config), saved.path, tmp_path / "run")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_zip_bomb_is_not_unpacked(tiny_config, tmp_path, saved):
    with zipfile.ZipFile(saved.path) as archive:
        text = archive.read("config.json")
    with zipfile.ZipFile(saved.path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", bytes(2**26))
    with pytest.raises(UserError, match="is too large: its weights take 67,108,864 bytes"):
        keras_model.import_model(checked(tiny_config), saved.path, tmp_path / "run")


@pytest.mark.parametrize("length", [0, 10, 3000, -40])
def test_a_truncated_file_is_refused(tiny_config, tmp_path, saved, length):
    saved.path.write_bytes(saved.path.read_bytes()[:length])
    with pytest.raises(UserError, match="is not a whole file that Keras wrote"):
        keras_model.import_model(checked(tiny_config), saved.path, tmp_path / "run")
    path = tmp_path / "model.weights.h5"
    saved.model.save_weights(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match="is not a whole file that Keras wrote"):
        keras_model.import_model(checked(tiny_config), path, tmp_path / "run")


@pytest.mark.parametrize("name,message", [("none.keras", "does not exist"), ("none.weights.h5", "does not exist"),
                                          ("main.py", "ends with .keras or .weights.h5")])  # fmt: skip
def test_a_path_that_is_no_model_is_refused(tiny_config, tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        keras_model.import_model(checked(tiny_config), ROOT / name, tmp_path / "run")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"model.norm": "batch"}, "model.norm has 'batch': the exchange with Keras needs none"),
        ({"model.activation": "gelu"}, "model.activation has 'gelu'"),
        ({"eval.crop_area": 0.5}, "needs model.input_size and eval.size of 0, and eval.crop_area=1"),
        ({"model.input_size": 12}, "needs model.input_size"),
    ],
)
def test_what_keras_would_do_otherwise_is_refused(tiny_config, tmp_path, saved, change, message):
    tiny_config.update_from_flattened_dict(change)
    with pytest.raises(UserError, match=message):
        keras_model.import_model(checked(tiny_config), saved.path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_export_imports_keras():
    # TensorFlow, which reads the data, imports Keras on its own account.
    code = "import sys; import foodjax.exchange.keras_model, foodjax.exchange.to_keras.file; "
    code += "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=one_device_environment())
    lines = [(p.stem, x) for p in (ROOT / "foodjax").rglob("*.py") for x in p.read_text().splitlines() if "import" in x]
    found = {name for name, x in lines if re.match(r"\s*(from|import) keras\b", x)}
    assert found == {"keras_model", "build", "forms", "tensors", "weighted"}, (
        "the last four are those of exchange/to_keras"
    )


# The way on and back


def test_training_goes_on_from_an_imported_model(tiny_config, tmp_path, saved):
    workdir = tmp_path / "run"
    keras_model.import_model(checked(tiny_config), saved.path, workdir)
    # No epoch is trained yet: another rate and other data are the user's to choose; another network is not.
    tiny_config.optimizer.learning_rate, tiny_config.data.drawn_train = 1e-9, 14
    tiny_config.data.batch_size = 8
    tiny_config.model.head.hidden = (17,)
    with pytest.raises(UserError, match="different experiment: model.head.hidden"):
        loop.train(tiny_config, workdir)
    tiny_config.model.head.hidden = (16,)
    loop.train(tiny_config, workdir)
    assert [row["epoch"] for row in read_metrics(workdir / "metrics.jsonl")] == [1, 2]
    _, state = probabilities(tiny_config, workdir, np.zeros((1, 16, 16, 3), np.uint8))
    assert int(state.step) > 0
    np.testing.assert_allclose(state.params["block1"]["conv1"]["kernel"], saved.model.get_weights()[0], atol=1e-6)
    tiny_config.optimizer.learning_rate = 1e-3
    with pytest.raises(UserError, match="different experiment: optimizer.learning_rate"):
        loop.train(tiny_config, workdir)


def save_untrained(config, workdir):
    """Makes a workdir with a checkpoint of initial weights; returns the run."""
    run = Engine(checked(config), tuple("abcdefghij"))
    workdir_lib.write_description(workdir, run.config, run.class_names)
    checkpoints = Checkpoints(workdir)
    checkpoints.save(run.create_state(), LoopState(EarlyStopping(3).update(1.0), Metrics.zeros()), 1.0)
    checkpoints.close()
    return run


HEADS = [
    ("flatten", (16,), 0.2),
    pytest.param("average", (), 0.0, marks=pytest.mark.slow),
    pytest.param("average", (12, 8), 0.3, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("pooling,hidden,dropout", HEADS)
def test_an_exported_model_is_the_same_and_comes_back(tiny_config, tmp_path, tiny_images, pooling, hidden, dropout):
    tiny_config.model.head.update(pooling=pooling, hidden=hidden, dropout=dropout)
    tiny_config.model.blocks[0].update(padding=("SAME", "VALID", "SAME"), kernel=2, pool=3)
    tiny_config.model.blocks[1].update(pool=1)
    run = save_untrained(tiny_config, tmp_path / "run")
    output = tmp_path / "out.keras"
    keras_model.export_model(checked(tiny_config), tmp_path / "run", output)
    loaded = keras.saving.load_model(output)
    theirs = loaded.predict(tiny_images.astype(np.float32) / 255, verbose=0)
    ours, _ = probabilities(tiny_config, tmp_path / "run", tiny_images)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    loss, _ = loaded.evaluate(tiny_images / np.float32(255), np.eye(10)[np.arange(12) % 10], verbose=0)
    assert np.isfinite(loss)
    assert loaded.optimizer.epsilon == tiny_config.optimizer.epsilon
    content = output.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        keras_model.export_model(checked(tiny_config), tmp_path / "run", output)
    assert output.read_bytes() == content
    with pytest.raises(UserError, match="ends with .keras"):
        keras_model.export_model(checked(tiny_config), tmp_path / "run", tmp_path / "out.h5")
    with pytest.raises(UserError, match="cannot write --output"):
        keras_model.export_model(checked(tiny_config), tmp_path / "run", tmp_path / "no" / "out.keras")
    tiny_config.data.class_names = run.class_names
    model = create_model(checked(tiny_config), 10)
    params, remarks = keras_model.read_params(output, model, 16)
    assert not remarks
    restored = Checkpoints(tmp_path / "run")
    state = restored.restore(0, run.abstract_state(), one_device_mesh())
    restored.close()
    jax.tree.map(np.testing.assert_array_equal, params, state.params)


def test_an_export_without_keras_says_what_to_install(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(UserError, match="needs Keras, which cannot be imported .*: install keras and tensorflow$"):
        keras_model.export_model(checked(tiny_config), tmp_path / "run", tmp_path / "out.keras")


@pytest.mark.parametrize("flip", [False, True])
def test_an_exported_model_has_the_temperature_in_its_last_layer(tiny_config, tmp_path, tiny_images, flip, capsys):
    tiny_config.eval.update(calibrate=True, flip=flip)
    save_untrained(tiny_config, tmp_path / "run")
    output = tmp_path / "out.keras"
    with pytest.raises(UserError, match="has no calibration.json of its best checkpoint, step 0"):
        keras_model.export_model(checked(tiny_config), tmp_path / "run", output)
    assert not output.exists()
    temperature.write(tmp_path / "run", temperature.Temperature(0, 0.4, 9, 1.2, 1.1, 0.2, 0.1))
    keras_model.export_model(checked(tiny_config), tmp_path / "run", output)
    told = "left out, since it was fitted with eval.flip" if flip else "in the last layer"
    assert f"temperature 0.400: {told}" in capsys.readouterr().out
    theirs = keras.saving.load_model(output).predict(tiny_images.astype(np.float32) / 255, verbose=0)
    plain, _ = probabilities(tiny_config, tmp_path / "run", tiny_images)
    mended = scale(plain, 0.4)
    assert np.abs(mended - plain).max() > 0.01
    np.testing.assert_allclose(theirs, plain if flip else mended, atol=1e-6)


def test_the_needed_layers_are_the_tutorials():
    layers = keras_model.keras_layers(create_model(checked(food10.get_config()), 10), 128)
    assert [layer.kind for layer in layers].count("conv2d") == 8
    assert isinstance(layers[0], keras_file.Layer)
    assert [layer.dropout for layer in layers if layer.dropout] == [0.2] * 5


# The whole way, on real photographs

SMALL = {"data.image_size": 48, "data.eval_batch_size": 250, "train.epochs": 1, "model.head.hidden": "(64,)"}


def test_a_model_trained_by_keras_goes_there_and_back(food_photos, tmp_path):
    from foodjax.data.decode import decode

    meta = {part: json.loads((food_photos / "meta" / f"{part}.json").read_text()) for part in ("train", "test")}
    names = sorted(meta["test"])

    def load(part, number):
        ids = [i for name in names for i in sorted(meta[part][name])[:number]]
        images = np.stack([decode((food_photos / "images" / f"{i}.jpg").read_bytes(), 48, "nearest") for i in ids])
        return images.astype(np.float32) / np.float32(255), np.array([names.index(i.split("/")[0]) for i in ids]), ids

    keras.utils.set_random_seed(0)
    stack = [keras.Input((48, 48, 3))]
    for features in (16, 32, 64):
        stack += [L.Conv2D(features, 3, padding="same", activation="relu"), L.MaxPooling2D(2), L.Dropout(0.1)]
    model = keras.Sequential([*stack, L.Flatten(), L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")])
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels, _ = load("train", 60)
    model.fit(images, labels, epochs=3, verbose=0)
    model.save(tmp_path / "reader.keras")
    test_images, test_labels, ids = load("test", 75)
    theirs = model.predict(test_images, verbose=0)
    accuracy = float((theirs.argmax(axis=1) == test_labels).mean())
    assert 0.15 < accuracy < 0.9, "a model that has learnt something and not everything"

    config = tmp_path / "reader.py"
    config.write_text(
        "from ml_collections import ConfigDict\nfrom experiments import food10\n\n"
        "def get_config():\n    config = food10.get_config()\n    config.name = 'reader'\n"
        "    config.model.blocks = tuple(ConfigDict(dict(kind='conv', features=f, kernel=3, padding=('SAME',), pool=2,"
        " dropout=0.1)) for f in (16, 32, 64))\n    config.model.head.dropout = 0.0\n    return config\n"
    )  # fmt: skip
    common = [
        "--config", config, f"--config.data.dir={food_photos}", f"--config.data.cache_dir={tmp_path}/cache",
        "--workdir", tmp_path / "mine", *(f"--config.{key}={value}" for key, value in SMALL.items()),
    ]  # fmt: skip
    run_main("--mode", "import", "--keras", tmp_path / "reader.keras", *common, check=True)
    out = run_main("--mode", "evaluate", "--workdir", tmp_path / "mine", check=True).stdout
    ours = float(re.search(r"test accuracy ([\d.]+)%", out)[1]) / 100
    assert ours == pytest.approx(accuracy, abs=1e-6)
    assert "750 images" in out
    with (tmp_path / "mine" / "evaluation" / "predictions.csv").open() as file:
        predicted = {row["id"]: row["predicted"] for row in csv.DictReader(file)}
    assert predicted == {i: names[k] for i, k in zip(ids, theirs.argmax(axis=1), strict=True)}

    run_main("--mode", "export", "--workdir", tmp_path / "mine", "--output", tmp_path / "back.keras", check=True)
    back = keras.saving.load_model(tmp_path / "back.keras")
    np.testing.assert_allclose(back.predict(test_images, verbose=0), theirs, atol=1e-6)

    out = run_main(*common, "--config.train.epochs=1", check=True).stdout
    assert "continuing" in out
    assert "after epoch 0" in out
    row = read_metrics(tmp_path / "mine" / "metrics.jsonl")[0]
    assert row["epoch"] == 1
    assert row["loss"] < 2.3, "training went on from what Keras had learnt"
