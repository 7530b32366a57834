"""A linear probe is a run: its last layer is the optimum on the features, everything else stays as it was."""

import inspect
import json
import shutil

import jax
import numpy as np
import pytest
from helpers import class_folders_of, make_food_root, random_variables, write_weights

import foodjax
from foodjax.config.check import checked, default_config, replace
from foodjax.data.batches import eval_batches
from foodjax.data.folds import stratified_folds
from foodjax.data.sets import load_data
from foodjax.models.backbones.convert import to_variables
from foodjax.models.convnet import create_model, init_variables
from foodjax.models.summary import walk
from foodjax.run import loop, probe, smoke, solvers
from foodjax.run.evaluate import evaluate_workdir
from foodjax.run.predict import Predictor
from foodjax.run.wiring import Engine, load_variables, open_workdir
from foodjax.study import reproduce
from foodjax.system.errors import UserError
from foodjax.workdir import run_record
from foodjax.workdir.description import read_description


@pytest.fixture
def config(workdir):
    """The config of a probe of the network in `workdir`, on the same photographs; of its epochs a probe has one."""
    changes = {"model.init_from": str(workdir), "eval.flip": True, "train.epochs": 3}
    return replace(read_description(workdir)[0], changes)


@pytest.fixture
def resnet(tiny_config, tmp_path):
    """The config of a probe of a ResNet-18 of random weights in a file, for drawn pictures of 32 pixels."""
    tiny_config.data.image_size = 32
    tiny_config.model.blocks, tiny_config.model.head.hidden = (), ()
    tiny_config.model.update(backbone="resnet18", init_from=str(tmp_path / "resnet18.safetensors"))
    tiny_config.model.head.pooling = "average"
    state = Engine(replace(checked(tiny_config), {"model.init_from": ""}), ("a", "b")).create_state()
    write_weights(tmp_path / "resnet18.safetensors", {"params": state.params, "batch_stats": state.batch_stats})
    return tiny_config


@pytest.fixture
def convnext(tiny_config, tmp_path, small_convnext):
    """The config of a probe of a small ConvNeXt of random weights in a file, for drawn pictures of 64 pixels."""
    tiny_config.data.image_size = 64
    tiny_config.model.blocks, tiny_config.model.head.hidden = (), ()
    tiny_config.model.update(backbone="convnext_tiny", init_from=str(tmp_path / "convnext.safetensors"))
    tiny_config.model.head.pooling = "average"
    model = create_model(checked(tiny_config), 2)
    write_weights(tmp_path / "convnext.safetensors", random_variables(model, 64))
    return tiny_config


@pytest.mark.slow
def test_a_probe_is_a_run_whose_last_layer_alone_is_new(workdir, config, tmp_path, capsys):
    trained = probe.probe(config, tmp_path / "run")
    assert (trained.epochs, trained.best_epoch, trained.reason) == (1, 1, "last epoch")
    found, names = load_variables(tmp_path / "run")
    before, _ = load_variables(workdir)
    changed = [path for (path, x), (_, y) in zip(walk(found), walk(before), strict=True) if not np.array_equal(x, y)]
    assert sorted(changed) == ["params/logits/bias", "params/logits/kernel"]
    engine, data = open_workdir(tmp_path / "run"), load_data(config)
    val = engine.validate(engine.load_weights(tmp_path / "run")[1], data).metrics
    assert trained.history[0]["val_loss"] == pytest.approx(val["loss"], rel=1e-5)
    assert trained.test_accuracy == evaluate_workdir(None, tmp_path / "run").accuracy
    assert Predictor(tmp_path / "run").class_names == names
    told = json.loads((tmp_path / "run" / "probe.json").read_text())
    assert told["strength"] == min(told["folds"], key=lambda row: row["loss"])["strength"]
    assert run_record.weights_from(tmp_path / "run") == {"origin": str(workdir)}
    capsys.readouterr()
    assert probe.probe(config, tmp_path / "run") == trained
    assert "is finished (last epoch after epoch 1): nothing to do" in capsys.readouterr().out


@pytest.mark.slow
def test_the_last_layer_is_at_the_optimum_of_its_loss(config, tmp_path):
    probe.probe(config, tmp_path / "run")
    engine, data = open_workdir(tmp_path / "run"), load_data(config)
    _, variables = engine.load_weights(tmp_path / "run")
    rows = data.parts.train
    state = engine.create_state().replace(params=variables["params"])
    shown = probe.compute_features(engine, state, data.train, rows)  # (2, N, D), mirrored ones too
    features = shown.reshape(-1, shown.shape[-1]).astype(np.float64)
    labels = np.tile(data.train.labels[rows], 2)
    strength = json.loads((tmp_path / "run" / "probe.json").read_text())["strength"]
    kernel, bias = (np.asarray(variables["params"]["logits"][name], np.float64) for name in ("kernel", "bias"))
    deviation = features.std(0)
    standard = (features - features.mean(0)) / np.where(deviation > 0, deviation, np.inf)
    logits = features @ kernel + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    gradient = standard.T @ shares / len(labels) + strength * kernel * deviation[:, None]
    assert np.abs(gradient).max() < 1e-4
    assert np.abs(shares.mean(0)).max() < 1e-4


@pytest.mark.slow
def test_train_and_probe_do_the_same_with_a_config_that_names_the_solver(config, tmp_path):
    named = replace(config, {"train.solver": "probe"})
    probed, trained = foodjax.probe(config, tmp_path / "probed"), foodjax.train(named, tmp_path / "trained")
    assert trained._replace(workdir=probed.workdir) == probed
    files = [{p.relative_to(run).as_posix() for p in run.iterdir()} for run in (probed.workdir, trained.workdir)]
    assert files[0] == files[1]
    assert files[0] >= {"config.json", "curves.png", "finished.json", "metrics.jsonl", "probe.json", "report.html"}
    assert reproduce.differences(probed.workdir, trained.workdir) == []
    assert read_description(trained.workdir)[0] == named


@pytest.mark.slow
def test_an_observer_sees_the_one_epoch_of_a_probe_and_names_the_reason_of_its_end(config, tmp_path):
    seen = []

    def observe(epoch):
        seen.append((epoch.rows, epoch.stopping.epoch, epoch.validation.metrics, epoch.state.params["logits"]["bias"]))
        return "seen"

    config = replace(config, {"train.solver": "probe"})
    trained = solvers.train(config, tmp_path / "run", [observe, lambda epoch: None])
    ((rows, number, metrics, bias),) = seen
    assert trained.reason == "seen"
    assert rows == trained.history
    assert number == 1
    assert metrics["loss"] == trained.best_val_loss
    np.testing.assert_array_equal(bias, load_variables(tmp_path / "run")[0]["params"]["logits"]["bias"])
    assert solvers.train(config, tmp_path / "run", [observe]) == trained
    assert len(seen) == 1


@pytest.mark.slow
def test_a_probe_has_a_smoke_test(config, tmp_path):
    changed, folder, data = smoke.prepare_smoke(replace(config, {"train.solver": "probe"}), tmp_path / "run")
    trained = solvers.train(changed, folder, data=data)
    assert (trained.epochs, trained.history[0]["step"]) == (1, 1)
    assert (folder / "probe.json").exists()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_features_are_computed_once(config, tmp_path, monkeypatch):
    first = probe.probe(config, tmp_path / "a")
    monkeypatch.setattr(probe, "_features", None)
    assert probe.probe(config, tmp_path / "b").history == first.history
    with pytest.raises(TypeError):
        probe.probe(replace(config, {"eval.flip": False}), tmp_path / "c")


@pytest.mark.slow
def test_features_go_with_their_set(config, tmp_path):
    config = replace(config, {"data.cache_dir": str(tmp_path / "cache")})
    first = probe.probe(config, tmp_path / "a")
    (path,) = (tmp_path / "cache").rglob("features-*.f32")
    assert path.parent.name == load_data(config).train.folder
    (path.parent / "info.json").write_text("{}")
    load_data(config)  # prepares the set again
    assert not list((tmp_path / "cache").rglob("features-*"))
    assert probe.probe(config, tmp_path / "b").history == first.history
    assert path.exists()


@pytest.mark.slow
def test_duplicates_are_in_one_fold_and_do_not_vote_for_each_other(config, tmp_path, monkeypatch):
    root = class_folders_of(make_food_root(tmp_path / "food-101", num_train=10), tmp_path / "own")
    copies = [("bars/1", "bars/x"), ("bars/1", "cross/y"), ("ring/2", "ring/z")]  # of bars/1 across classes
    for source, copy in copies:
        shutil.copy(root / "train" / f"{source}.jpg", root / "train" / f"{copy}.jpg")
    given = {}

    def spy(module, name):
        call = getattr(module, name)

        def called(*arguments, **options):
            given[name] = inspect.signature(call).bind(*arguments, **options).arguments
            return call(*arguments, **options)

        monkeypatch.setattr(module, name, called)

    spy(probe.linear, "fit")
    spy(probe.neighbours, "choose_neighbours")
    changes = {"data.dir": str(root), "data.cache_dir": str(tmp_path / "cache"), "data.validation_fraction": 0.1}
    config = replace(config, changes)
    probe.probe(config, tmp_path / "run")
    data = load_data(config)
    row_of = {data.train.ids[row].removesuffix(".jpg"): i for i, row in enumerate(data.parts.train)}
    count, labels = len(row_of), data.train.labels[data.parts.train]
    groups = given["choose_neighbours"]["groups"]
    np.testing.assert_array_equal(given["fit"]["groups"], np.tile(groups, 2))  # the mirrored ones too
    assert len(set(groups.tolist())) == count - 3
    for seed in range(20):
        folds = stratified_folds(given["fit"]["labels"], 3, 5, seed, given["fit"]["groups"])
        for source, copy in copies:
            assert folds[row_of[source]] == folds[row_of[copy]] == folds[row_of[copy] + count]
        np.testing.assert_array_equal(folds[:count], folds[count:])
        table = np.stack([np.bincount(labels[folds[:count] == fold], minlength=3) for fold in range(5)])
        assert np.ptp(table, axis=0).max() <= 1


@pytest.mark.slow
def test_photographs_that_are_all_one_are_probed(config, tmp_path):
    root = class_folders_of(make_food_root(tmp_path / "food-101", num_train=6), tmp_path / "own")
    one = (root / "train" / "bars" / "0.jpg").read_bytes()
    for path in (root / "train").glob("*/*.jpg"):
        path.write_bytes(one)
    changes = {"data.dir": str(root), "data.cache_dir": str(tmp_path / "cache"), "data.batch_size": 8}
    probe.probe(replace(config, changes | {"data.validation_fraction": 0.2}), tmp_path / "run")
    found = json.loads((tmp_path / "run" / "probe.json").read_text())
    assert (found["neighbours"], found["neighbours_accuracy"], found["folds"]) == (None, None, [])


@pytest.mark.slow
def test_a_training_starts_from_the_solution_of_a_probe(config, tmp_path, capsys):
    probe.probe(config, tmp_path / "run")
    solved, names = load_variables(tmp_path / "run")
    engine = Engine(replace(config, {"model.init_from": str(tmp_path / "run")}), names)
    jax.tree.map(np.testing.assert_array_equal, engine.create_state().params, solved["params"])
    assert f"weights from {tmp_path / 'run'}: all of them" in capsys.readouterr().out


@pytest.mark.slow
def test_a_file_gives_a_backbone_that_is_told_and_recorded(resnet, tmp_path):
    trained = probe.probe(resnet, tmp_path / "run")
    found = run_record.weights_from(tmp_path / "run")
    assert found["origin"] == resnet.model.init_from
    assert len(found["sha256"]) == 64
    assert found["licence"] == "unknown"
    stored, _ = read_description(tmp_path / "run")
    assert stored.model.input_mean == (0.485, 0.456, 0.406)
    assert trained.history[0]["step"] == 1


@pytest.mark.slow
def test_features_are_those_after_the_norm_that_follows_pooling(convnext, tmp_path, capsys):
    probe.probe(convnext, tmp_path / "run")
    engine = open_workdir(tmp_path / "run")
    data = load_data(engine.config)
    _, variables = engine.load_weights(tmp_path / "run")
    rows, params = data.parts.train, variables["params"]
    (features,) = probe.compute_features(engine, engine.create_state().replace(params=params), data.train, rows)
    norm = params["backbone"]["head"]["norm"]
    normed = (features.astype(np.float64) - norm["bias"]) / norm["scale"]
    np.testing.assert_allclose(normed.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(normed.std(1), 1, rtol=1e-3)
    batch = next(iter(eval_batches(data.train, rows, len(rows))))
    run = jax.jit(lambda v, x: engine.model.apply(v, x, train=False))
    logits = run(variables, batch["image"] / np.float32(255))
    np.testing.assert_allclose(logits, features @ params["logits"]["kernel"] + params["logits"]["bias"], atol=1e-4)
    # A training starts from the whole network of the probe.
    config = replace(engine.config, {"model.init_from": str(tmp_path / "run"), "train.solver": "steps"})
    state = Engine(config, engine.class_names).create_state()
    jax.tree.map(np.testing.assert_array_equal, state.params, params)
    assert f"weights from {tmp_path / 'run'}: all of them" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes,says",
    [
        ({"model.init_from": ""}, "model.init_from is empty: probe needs the weights of a backbone, or of another run"),
        ({"model.init_from": "x.pth", "model.head.hidden": (5,)}, "model.head.hidden has layers that x.pth has not"),
        ({"model.init_from": "x.pth", "model.backbone": "resnet18"}, "model.blocks has layers that x.pth has not"),
    ],
)
def test_what_cannot_be_probed_is_told(tiny_config, tmp_path, changes, says):
    config = replace(checked(tiny_config), {"model.head.hidden": (), **changes})
    with pytest.raises(UserError, match=says):
        probe.probe(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_by_steps_refuses_a_probe(tiny_config, tmp_path):
    tiny_config.train.solver = "probe"
    with pytest.raises(UserError, match="train.solver is 'probe': needs foodjax probe, or train.solver=steps"):
        loop.train(tiny_config, tmp_path / "run")


@pytest.mark.parametrize("source", ["none.pth", "none.safetensors", "none", "empty.pth"])
def test_a_source_that_cannot_be_read_leaves_no_workdir(tiny_config, tmp_path, source):
    (tmp_path / "empty.pth").touch()
    config = replace(checked(tiny_config), {"model.head.hidden": (), "model.init_from": str(tmp_path / source)})
    for run in (loop.train, probe.probe):
        with pytest.raises(UserError, match=f"{source} (is not there|is empty|holds no run)"):
            run(config, tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.pth"]


def test_a_file_with_positions_of_no_patch_is_told():
    config = replace(checked(default_config()), {"model.backbone": "vit_small_patch16_224", "data.image_size": 32})
    like = jax.eval_shape(lambda: init_variables(create_model(config, 2), jax.random.PRNGKey(0), 32))
    arrays = {"cls_token": np.zeros((1, 1, 384)), "pos_embed": np.zeros((1, 0, 384))}
    like = {"params": {"backbone": {name: like["params"]["backbone"][name] for name in arrays}}}
    with pytest.raises(UserError, match=r"does not fit vit_small_patch16_224: pos_embed is \(1, 0, 384\)"):
        to_variables("vit_small_patch16_224", arrays, like, "x.pth")
