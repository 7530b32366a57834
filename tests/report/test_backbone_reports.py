"""A whole run with a backbone of each family on drawn pictures, and the report that it ends with."""

import re

import pytest
from helpers import Page, one_device_mesh, random_variables, write_weights

import foodjax
from experiments import demo
from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.report import explain
from foodjax.run import probe, wiring
from foodjax.run.wiring import open_workdir
from foodjax.steps import step
from foodjax.workdir.description import read_description

pytestmark = pytest.mark.slow

# Name -> side of the pictures, taps and blocks of its layer table.
FAMILIES = {
    "resnet18": (64, 9, 11), "tf_efficientnet_lite0": (64, 18, 21), "vit_small_patch16_224": (48, 12, 17),
    "vit_small_patch14_dinov2": (42, 12, 17),
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def run(request, tmp_path_factory):
    """The name of a backbone, and the workdir of its run: a training of a transformer, a probe of another.

    For one device and without optimisation they compile faster.
    """
    name, root = request.param, tmp_path_factory.mktemp("run")
    side, expects = FAMILIES[name][0], BACKBONES[name]
    config = demo.get_config()
    config.data.update(cache_dir=str(root / "cache"), drawn_train=4, drawn_test=3, image_size=side)
    config.data.update(batch_size=16, eval_batch_size=32, validation_fraction=0.25)
    config.model.update(backbone=name, blocks=())
    config.model.head.update(hidden=(), pooling="token" if expects.has_token else "average")
    config.train.update(epochs=1, patience=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "create_mesh", lambda _: one_device_mesh())
        for module in (step, probe, explain):
            patch.setattr(module, "compiler_options", lambda: {"xla_backend_optimization_level": 0})
        if expects.has_token:
            foodjax.train(config, root / "run")
        else:
            variables = random_variables(create_model(checked(config), 10), side)
            config.model.init_from = str(write_weights(root / "weights.safetensors", variables))
            foodjax.probe(config, root / "run")
    return name, root / "run"


def test_the_report_shows_the_network_within(run):
    name, workdir = run
    side, num_taps, num_blocks = FAMILIES[name]
    text = (workdir / "report.html").read_text()
    page = Page(text)
    assert not page.fetched
    assert not page.silent
    assert not page.open
    assert len(text) < 5 * 2**20
    tables = {found[1]: found[2] for found in re.finditer(r'<table id="(\w+-table)">(.*?)</table>', text, re.S)}
    model = open_workdir(workdir).model
    layers = summary.layers(model, side)
    total = summary.totals(layers)
    assert tables["layer-table"].count("<tr>") == 1 + len(layers) + 1  # heading and total
    assert tables["block-table"].count("<tr>") == 1 + num_blocks + 1
    for table in (tables["layer-table"], tables["block-table"]):
        assert f"<td>{total[3]}</td><td></td><td>{total[5]}</td>" in table
    sheets = re.findall(r'<img src="data:image/png;base64,[^"]+" alt="feature maps of ([\w/]+), ([^"]+)"', text)
    assert len(sheets) == num_taps
    assert all(tap.startswith("backbone/") for tap, _ in sheets)
    assert text.count(f"<summary>{num_taps - 9} more layers</summary>") == (num_taps > 9)
    normalised = "patches as each block&#39;s attention reads them, normalised"
    assert (normalised in text) == BACKBONES[name].has_token
    cams = re.findall(r'alt="Grad-CAM at ([\w/]+), ', text)
    assert len(set(cams)) in (1, 2)  # the last one, and a finer one where that is coarse
    assert len(cams) % len(set(cams)) == 0
    assert len(cams) >= 2
    assert f"<figcaption>{cams[0].replace('/', '/&#8203;')}</figcaption>" in text  # breaks there, not within a word


def test_a_run_keeps_what_the_report_shows(run):
    name, workdir = run
    config, _ = read_description(workdir)
    assert config.model.backbone == name
    for key in ("input_mean", "input_deviation"):
        values = [round(x, 3) for x in getattr(config.model, key)]
        assert values == [round(x, 3) for x in getattr(BACKBONES[name], key.removeprefix("input_"))]
    assert (workdir / "curves.png").exists()
