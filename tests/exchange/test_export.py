"""Exported files, run by their own runtimes, and the scripts beside them."""

import importlib
import json
import re
import subprocess
import sys
import zipfile

import jax
import jax.export
import numpy as np
import pytest
from helpers import one_device_environment, random_pictures
from networks import BACKBONES, BLOCKS, by_foodjax, create, pictures
from PIL import Image

import foodjax
from foodjax.config.check import checked, replace
from foodjax.exchange import scripts
from foodjax.exchange.export import export
from foodjax.exchange.formats import FORMATS
from foodjax.exchange.served import FACTS
from foodjax.exchange.stablehlo import to_stablehlo
from foodjax.exchange.weights_folder import read_folder, to_folder
from foodjax.run.predict import Predictor
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description, write_description

SCRIPTS = [format for format in FORMATS if FORMATS[format].has_script]
RUNTIMES = {"onnx": "onnxruntime", "litert": "ai_edge_litert", "keras": "keras", "safetensors": "safetensors"}


def needs(format):
    """Skips where a package is missing that writes or runs the format."""
    for package in {*FORMATS[format].needs, RUNTIMES.get(format, "jax")}:
        pytest.importorskip(package, reason=f"needs the package {package}")


def run(format, path, images):
    """Returns the probabilities by the format's own runtime."""
    if format == "stablehlo":
        return np.asarray(jax.export.deserialize(bytearray(path.read_bytes())).call(images))
    if format == "onnx":
        session = importlib.import_module("onnxruntime").InferenceSession(path)
        return session.run(None, {"images": images})[0]
    if format == "litert":
        return run_litert(path, images)
    if format == "keras":
        return importlib.import_module("keras").saving.load_model(path).predict(images / np.float32(255), verbose=0)
    return np.asarray(jax.jit(read_folder(path).function(plain=False))(images))


def run_litert(path, images):
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path))
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(found["index"])


@pytest.mark.slow
@pytest.mark.parametrize("format", SCRIPTS)
def test_a_file_and_its_script_predict_what_foodjax_predicts(format, workdir, tmp_path):
    needs(format)
    predictor = Predictor(workdir)
    path = export(read_description(workdir)[0], workdir, format, tmp_path / FORMATS[format].file)
    images = random_pictures(7)
    np.testing.assert_allclose(run(format, path, images), predictor.probabilities(images), atol=1e-5)
    folder = path if path.is_dir() else path.parent
    program = folder / scripts.name_of(format)
    assert ("foodjax" in program.read_text().replace("foodjax.json", "").replace('["foodjax"]', "")) == (
        format == "safetensors"
    )
    photos = sorted((workdir.parent / "food-101" / "images").rglob("*.jpg"))[::17]
    turned = tmp_path / "turned.jpg"  # a photograph that stands upright by its EXIF alone
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(photos[0]).resize((40, 24)).save(turned, exif=exif)
    command = [sys.executable, program, path, *photos, turned]
    done = subprocess.run(command, env=one_device_environment(), capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) == len(photos) + 1
    for line, prediction in zip(lines, predictor.predict([*photos, turned], count=3), strict=True):
        name, probability = prediction.top[0]
        assert line.startswith(f"{prediction.path}  {name} ")
        assert float(line.split("  ")[1].split()[-1].rstrip("%")) == pytest.approx(100 * probability, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("name,network", [*BLOCKS.items(), *BACKBONES.items()])
def test_stablehlo_computes_the_same(name, network):
    served = create(*network)
    images = pictures(served)
    program = jax.export.deserialize(bytearray(to_stablehlo(served)))
    assert program.platforms == ("cpu", "cuda", "tpu")
    np.testing.assert_allclose(program.call(images), by_foodjax(served, images), atol=1e-4)
    assert program.call(images[:1]).shape == (1, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name,network", [*BLOCKS.items(), *BACKBONES.items()])
def test_litert_computes_the_same(name, network, tmp_path):
    needs("litert")
    from foodjax.exchange.litert import to_litert

    served = create(*network)
    images = pictures(served)
    path = tmp_path / "model.tflite"
    path.write_bytes(to_litert(served))
    expected = by_foodjax(served, images)
    np.testing.assert_allclose(run_litert(path, images), expected, atol=1e-4)
    np.testing.assert_allclose(run_litert(path, images[:1]), expected[:1], atol=1e-4)
    assert json.loads(zipfile.ZipFile(path).read(FACTS))["class_names"][1] == "class 1"


@pytest.mark.parametrize("name", ["conv with batch normalisation", "another view", "mirror images"])
def test_a_folder_of_weights_comes_back(name, tmp_path):
    needs("safetensors")
    served = create(*BLOCKS[name])
    for file, content in to_folder(served).items():
        (tmp_path / file).write_bytes(content)
    images = pictures(served)
    back = read_folder(tmp_path)
    assert back.config == served.config
    np.testing.assert_allclose(jax.jit(back.function(plain=False))(images), by_foodjax(served, images), atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, back.variables, served.variables)


def test_a_folder_of_other_weights_is_refused(tmp_path):
    needs("safetensors")
    files = to_folder(create(*BLOCKS["conv with batch normalisation"]))
    (tmp_path / "config.json").write_bytes(files["config.json"])
    with pytest.raises(UserError, match="holds no exported network: .*No such file"):
        read_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(to_folder(create(*BLOCKS["conv"]))["model.safetensors"])
    with pytest.raises(
        UserError, match="holds weights of another network: 'batch_stats/block1/norm1/mean' has shape None"
    ):
        read_folder(tmp_path)


@pytest.mark.parametrize("geometry", scripts._GEOMETRIES)
@pytest.mark.parametrize("size", [(50, 31), (31, 50), (40, 40), (90, 2)])
def test_a_script_resizes_as_training_does(geometry, size):
    from foodjax.data.geometry import to_square

    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    found = {"image": Image.fromarray(pixels), "side": 16, "Image": Image}
    lines = scripts._GEOMETRIES[geometry].format(resize="BILINEAR").splitlines()
    exec("\n".join(line.removeprefix("    ") for line in lines), found)
    np.testing.assert_array_equal(found["image"], to_square(Image.fromarray(pixels), 16, "bilinear", geometry))


def test_scripts_are_short():
    for format in SCRIPTS:
        text = scripts.script(format, "model", geometry="stretch", resize="bilinear")
        compile(text, format, "exec")
        code = [line for line in text.split('"""')[2].splitlines() if line.strip()]
        assert len(code) <= 26, format


def test_the_public_function_takes_another_view_and_no_other_key(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("foodjax.exchange.export.export", lambda *arguments: given.append(arguments) or tmp_path)
    config = checked(foodjax.load_config("demo"))
    write_description(tmp_path, config, ("a", "b"))
    assert foodjax.export(tmp_path, "onnx", eval__flip=True, quantise="int8") == tmp_path
    ((taken, *others),) = given
    assert taken == replace(config, {"eval.flip": True})
    assert others == [tmp_path, "onnx", None, "int8", None]
    with pytest.raises(UserError, match="export cannot change data.image_size"):
        foodjax.export(tmp_path, "onnx", data__image_size=16)


def test_mistakes_are_told_before_anything_is_read(workdir, tmp_path, monkeypatch):
    config = read_description(workdir)[0]

    def refused(format, output, message):
        with pytest.raises(UserError, match=message) as caught:
            export(config, workdir, format, output)
        assert "\n" not in str(caught.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.stablehlo", "run_stablehlo.py"]

    (tmp_path / "model.stablehlo").write_text("mine")
    (tmp_path / "run_stablehlo.py").write_text("mine")
    refused("stablehlo", tmp_path / "model.stablehlo", "model.stablehlo exists already: needs another file")
    refused("stablehlo", tmp_path / "other.stablehlo", "run_stablehlo.py exists already and is another script")
    refused("safetensors", tmp_path, "exists already: needs another folder")
    refused("onnx", tmp_path / "model.stablehlo", "model.stablehlo: needs a file that ends with .onnx")
    refused("tflite", tmp_path / "x.tflite", "--format is 'tflite': needs one of keras, litert, onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused("onnx", tmp_path / "x.onnx", r"--format onnx needs the package onnx, .*: pip install 'foodjax\[export\]'")
    assert (tmp_path / "model.stablehlo").read_text() == "mine"


@pytest.mark.slow
def test_int8_is_smaller_and_says_what_it_costs(workdir, tmp_path, capsys):
    needs("onnx")
    config = read_description(workdir)[0]
    images = random_pictures(40)
    paths = [export(config, workdir, "onnx", tmp_path / f"{kind}.onnx", kind) for kind in ("none", "int8")]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("int8")]
    assert len(lines) == 1
    # Of 20 photographs of each of three classes the first 15 % are for validation.
    assert re.fullmatch(
        r"int8, calibrated on 9 validation photographs: [\d,]+ -> [\d,]+ bytes, validation accuracy "
        r"[\d.]+% -> [\d.]+% of 9",
        lines[0],
    )
    plain, small = (run("onnx", path, images) for path in paths)
    assert 0 < np.abs(plain - small).max() < 0.1
    kernels = [array for array in weights(paths[1]) if array.ndim == 4]
    assert kernels
    assert {array.dtype for array in kernels} == {np.dtype(np.int8)}


def weights(path):
    onnx = importlib.import_module("onnx")
    return [onnx.numpy_helper.to_array(array) for array in onnx.load(path).graph.initializer]


def test_only_onnx_is_quantised(workdir, tmp_path):
    config = read_description(workdir)[0]
    with pytest.raises(UserError, match="--quantise is int8 and --format litert: only onnx is quantised"):
        export(config, workdir, "litert", tmp_path / "model.tflite", "int8")
    with pytest.raises(UserError, match="--quantise is 'int4': needs none or int8"):
        export(config, workdir, "onnx", tmp_path / "model.onnx", "int4")


def test_only_a_page_has_a_runtime(workdir, tmp_path):
    config = read_description(workdir)[0]
    with pytest.raises(UserError, match="--runtime is x.tgz and --format onnx: only web needs a runtime"):
        export(config, workdir, "onnx", tmp_path / "model.onnx", runtime="x.tgz")
    with pytest.raises(UserError, match="--quantise is int8 and --format web: only onnx is quantised"):
        export(config, workdir, "web", tmp_path / "model.html", "int8")
    with pytest.raises(UserError, match="model.onnx: needs a file that ends with .html"):
        export(config, workdir, "web", tmp_path / "model.onnx")


def test_a_place_that_cannot_be_written_is_told(workdir, tmp_path):
    with pytest.raises(UserError, match="cannot write --output .*No such file"):
        export(read_description(workdir)[0], workdir, "stablehlo", tmp_path / "no" / "model.stablehlo")
