import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from helpers import Page
from PIL import Image

from foodjax.config.check import checked
from foodjax.evaluation.calibration import reliability
from foodjax.report import figures, inside, layer_pictures, live, pictures, run_report, templating
from foodjax.report import inspect as inspect_lib
from foodjax.run import evaluate
from foodjax.system import files
from foodjax.workdir.description import read_description

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluated(workdir):
    config, _ = read_description(workdir)
    return evaluate.evaluate_workdir(config, workdir)


def test_calibration_of_known_probabilities():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.65, 0.65, 0.6])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 0, 0, 1, 0, 1, 1])
    found = reliability(probabilities, labels)
    assert found.counts.tolist() == [0] * 5 + [1, 2, 0, 0, 4]  # 0.6 is the upper end of its bin
    assert found.accuracy[[5, 6, 9]].tolist() == [0, 0.5, 0.75]
    assert found.error == pytest.approx((4 * 0.2 + 2 * 0.15 + 0.6) / 7)
    assert np.isnan(found.accuracy[0])


def test_which_mistakes_are_shown():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 0, 0])
    assert run_report.confident_mistakes(probabilities, labels).tolist() == [0, 2, 4]
    assert run_report.confident_mistakes(probabilities, labels, 1).tolist() == [0]
    matrix = np.array([[5, 0, 2], [7, 1, 0], [0, 0, 3]])
    assert run_report.confused_pairs(matrix, ("a", "b", "c")) == [("b", "a", 7, 8), ("a", "c", 2, 7)]


def test_the_report_is_one_file_that_asks_for_nothing(evaluated, workdir):
    run_report.write_report(evaluated, workdir)
    text = (workdir / "report.html").read_text()
    found = Page(text)
    assert not found.fetched
    assert not found.silent
    assert not found.open
    assert {"class-table", "layer-table", "learning", "calibration", "config"} <= found.ids
    assert "url(http" not in text
    assert "@import" not in text
    assert len(text) < 5 * 2**20
    assert run_report.to_page(evaluated, workdir) == text
    report = evaluated.scores
    assert f"{report.accuracy:.1%}" in text
    assert f"{report.interval[0]:.1%} to {report.interval[1]:.1%}" in text
    first = re.search(r'id="class-table".*?<tbody>\s*<tr><td class="text">(\w+)</td>', text, re.S)
    assert first
    assert first.group(1) == report.classes[0][0]
    predicted = evaluated.predictions.probabilities.argmax(axis=1)
    wrong = int((predicted != evaluated.predictions.labels).sum())
    photos = 20 + min(wrong, 10)
    assert text.count("<figcaption class=") == photos
    # Each with its original; Grad-CAM beside both, maps of two layers, two colour scales.
    assert found.images == 2 * photos + 3 * (2 + (wrong > 0)) + 2 + 2
    assert text.count('<span aria-hidden="true">✗</span><span class="unseen">wrong:</span>') == min(wrong, 10) + sum(
        predicted[i] != evaluated.predictions.labels[i]
        for i in run_report.random_examples(len(predicted), evaluated.engine.config.seed)
    ) + (wrong > 0)
    assert "are not shown" not in text
    assert "train.patience</td>" in text
    assert " after 1 epoch in " in text
    assert "run.json" not in text
    assert not list(workdir.glob(".report*"))
    other = evaluated._replace(folder=workdir / "evaluation-mine")
    other.folder.mkdir()
    (workdir / "report.html").write_text("of its own data")
    run_report.write_report(other, workdir)
    assert (workdir / "report.html").read_text() == "of its own data"
    assert (other.folder / "report.html").exists()


def test_without_the_files_the_network_s_view_stands_alone(evaluated, workdir):
    text = run_report.to_page(evaluated._replace(data=dataclasses.replace(evaluated.data, digests=())), workdir)
    assert "The photographs themselves are not shown: the pictures were given as arrays." in text
    predicted = evaluated.predictions.probabilities.argmax(axis=1)
    wrong = int((predicted != evaluated.predictions.labels).sum())
    assert Page(text).images == 20 + min(wrong, 10) + 2 * (2 + (wrong > 0)) + 2 + 2


def test_names_are_told_as_they_are(evaluated, workdir, monkeypatch):
    names = ("<script>alert(1)</script>", "a & $x$ of $", "plain")
    monkeypatch.setattr(evaluated.engine, "class_names", names)
    rows = [(name, *row[1:]) for name, row in zip(names, evaluated.scores.classes, strict=True)]
    text = run_report.to_page(evaluated._replace(scores=evaluated.scores._replace(classes=rows)), workdir)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "$x$ of $" in text
    assert not Page(text).open


def test_a_run_without_curves_or_convolutions_has_a_report_too(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(inside.Explainer, "names", [], raising=False)
    monkeypatch.setattr(inside, "Explainer", lambda *_: type("None", (), {"names": []}))
    text = run_report.to_page(evaluated, tmp_path)
    assert "holds no learning curves" in text
    assert "no convolutions to look into" in text


def rows(count):
    return [
        {"epoch": i, "step": i, "loss": 2 / i, "val_loss": 3 / i, "accuracy": 0.1 * i, "val_accuracy": 0.1}
        for i in range(1, count + 1)
    ]


def test_svg_figures_take_the_colours_of_the_page():
    text = figures.to_svg(figures.curve(rows(3), "loss", 2), 'a "curve" & more')
    assert 'aria-label="a &quot;curve&quot; &amp; more"' in text
    assert "var(--first)" in text
    assert "var(--ink)" in text
    assert not re.search("#2f6db5|#1c1e21", text)
    assert "best epoch 2: 1.500" in text
    assert ">epoch</text>" in text
    assert re.match(r"<svg [^>]*viewBox", text)
    assert not re.match(r"<svg [^>]*width", text)


def test_a_curve_of_one_epoch_has_one_tick():
    text = figures.to_svg(figures.curve(rows(1), "accuracy", 1), "one epoch")
    (axis,) = re.findall(r'<g id="matplotlib.axis_1">(.*?)<g id="matplotlib.axis_2">', text, re.S)
    assert re.findall(">([^<>]+)</text>", axis) == ["1", "epoch"]


def test_layers_at_even_distances():
    assert layer_pictures.spread(list("abcdefg"), 3) == ["a", "d", "g"]
    assert layer_pictures.spread(list("abcdefgh"), 3) == ["a", "e", "h"]
    assert layer_pictures.spread(["a", "b"], 3) == ["a", "b"]
    assert layer_pictures.spread([], 3) == []


@pytest.mark.parametrize("count", [2, 101])
def test_confusions_of_few_and_of_all_classes_stay_small(count):
    matrix = np.random.default_rng(0).integers(0, 9, (count, count))
    text = figures.to_svg(figures.confusion(matrix, tuple(f"class {i}" for i in range(count))), "x")
    assert f"class {count - 1}" in text
    assert len(text) < 300_000


def test_feature_maps_become_tiles_from_dark_to_yellow():
    maps = np.zeros((4, 4, 10), np.float32)
    maps[0, 0, 3], maps[3, 3, 7] = 5, 2
    maps[..., 5] = 6  # saturated
    assert pictures.most_varied(maps, 2).tolist() == [3, 7]
    sheet = pictures.mosaic(maps)
    assert sheet.shape == (72 * 2 + 3, 75 * 8 - 3, 4)
    assert sheet[0, 3 * 75, :3].tolist() == [253, 231, 36]
    assert sheet[71, 3 * 75 + 71, :3].tolist() == [68, 1, 84]
    assert sheet[0, 72, 3] == 0  # between the tiles


def test_names_may_break_at_their_signs_alone():
    assert templating.breakable("norm=group,a_b") == "norm=<wbr>group,<wbr>a_<wbr>b"
    assert templating.breakable("<b>_&") == "&lt;b&gt;_<wbr>&amp;"
    assert templating.breakable("crème_") == "crème_"


def test_the_colour_scales_are_those_of_the_pictures():
    scales = {name: np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))) for name, uri in
              pictures.scales().items()}  # fmt: skip
    maps = pictures.mosaic(np.linspace(0, 1, 72, dtype=np.float32)[None].repeat(72, axis=0)[..., None])
    np.testing.assert_allclose(scales["map"][4, [0, -1]], maps[36, [0, -1], :3], atol=1)
    cam = pictures.overlay(np.full((8, 8, 3), 128, np.uint8), np.ones((2, 2)), 16)
    np.testing.assert_allclose(scales["cam"][4, -1], cam[8, 8], atol=3)
    assert np.ptp(scales["cam"][4, 0].astype(int)) <= 1  # grey: no heat


def test_the_heat_lies_where_the_map_is_bright():
    photo, cam = np.full((8, 8, 3), 100, np.uint8), np.zeros((4, 4))
    cam[0, 0] = 1
    picture = pictures.overlay(photo, cam, 64).astype(int)
    assert picture[2, 2].sum() > 2 * picture[60, 60].sum()
    assert np.ptp(picture[60, 60]) <= 1  # grey


def test_curves_are_drawn_and_replaced_whole(tmp_path):
    files.write_bytes(tmp_path / "curves.png", b"old")
    files.write_bytes(tmp_path / "curves.png", figures.to_png(figures.curves(rows(100), 9)))
    assert Image.open(tmp_path / "curves.png").size == (990, 352)
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_what_goes_wrong_in_a_picture_stops_no_training(capsys, monkeypatch):
    monkeypatch.setattr(live, "_told", set())
    live.observe(None)  # type: ignore[arg-type]
    live.observe(None)  # type: ignore[arg-type]
    assert capsys.readouterr().out.count("curves.png left out: ") == 1


def test_tensorboard_gets_the_layers_and_the_predictions(workdir, tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    from foodjax.workdir.logs import MetricsLog

    log = MetricsLog(tmp_path, [], 0)
    log.write_text(7, "layers", "| layer |\n| --- |")
    log.write_image(7, "photographs", pictures.strip([np.zeros((16, 16, 3), np.uint8)] * 5, [("bars 50%", "")] * 5))
    log.close()
    (file,) = (tmp_path / "tensorboard").glob("events*")
    found = {v.tag: (e.step, v) for e in EventFileLoader(str(file)).Load() for v in e.summary.value}
    step, text = found["layers"]
    assert step == 7
    assert text.tensor.string_val[0] == b"| layer |\n| --- |"
    assert text.metadata.plugin_data.plugin_name == "text"
    width, height, encoded = found["photographs"][1].tensor.string_val[:3]
    assert Image.open(io.BytesIO(encoded)).size == (int(width), int(height)) == (4 * 230, 2 * 271)


def test_captions_stay_below_their_photographs_and_differ_in_more_than_colour():
    black = np.zeros((16, 16, 3), np.uint8)
    right, wrong = pictures.strip([black], [("bars 50%", "")]), pictures.strip([black], [("bars 50%", "true: bars")])
    ink = [(sheet[224:] < 200).any(axis=2) for sheet in (right, wrong)]
    assert not np.array_equal(ink[0][:22], ink[1][:22])  # a tick and a cross
    assert not ink[0][22:].any()
    assert ink[1][22:].any()
    long = pictures.strip([black] * 3, [("W" * 100 + " 50%", "true: " + "W" * 100)] * 3)
    ink = (long[224:] < 200).any(axis=2)
    for x in (230, 460):
        assert not ink[:, x - 3 : x + 3].any()
        assert ink[:, x - 40 : x - 3].any()  # it is cut no sooner than it must


def test_inspect_shows_the_data_and_leaves_the_workdir_to_training(tiny_config, tmp_path):
    from foodjax.workdir.description import write_description

    tiny_config.model.input_size = 8
    tiny_config.augment.cutmix = 1.0
    config = checked(tiny_config)
    inspected = inspect_lib.inspect_workdir(config, tmp_path / "run")
    path = inspected.page
    assert {part: set(counts) for part, counts in inspected.counts.items()} == {
        "train": {11}, "validation": {1}, "test": {5},
    }  # fmt: skip
    assert inspected.original.shape == (64, 64, 3)
    assert inspected.photo.shape == (16, 16, 3)
    np.testing.assert_array_equal(sum(inspected.channels.values()), inspected.photo)
    assert repr(inspected).endswith("10 classes, 110 train, 10 validation, 50 test)")
    names = {p.name for p in path.parent.iterdir()}
    assert names == {
        "inspect.html", "photographs.csv", "samples.png", "channels.png", "augmented.png", "class_counts.png",
    }  # fmt: skip
    found = Page(path.read_text())
    assert not found.fetched
    assert not found.silent
    assert not found.open
    # Five of each class; the file, the prepared picture and its channels; of a batch; augmented versions.
    assert found.images == 10 * 5 + 5 + 10 + 13
    text = path.read_text()
    assert "Prepared once, to 16 x 16 pixels x 3 channels" in text
    assert "A training step gets 8 x 8 pixels of it, an evaluation 8 x 8." in text
    assert "The first 10 of 16 pictures of the first step of epoch 1, as the network gets them: 8 x 8 pixels" in text
    assert len(re.findall(r"<figcaption>\d+% \w+, \d+% \w+</figcaption>", text)) >= 5  # CutMix, by its labels
    assert len(re.findall(r"<figcaption>\d+% of it</figcaption>", text)) >= 8
    assert '<td class="text">total</td><td>110</td><td>10</td><td>50</td>' in path.read_text()
    write_description(tmp_path / "run", config, ("a", "b"))
    assert json.loads((tmp_path / "run" / "dataset.json").read_text()) == {"class_names": ["a", "b"]}
