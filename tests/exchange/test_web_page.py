"""The page of foodjax export --format web, in a real Chromium with the real runtime."""

import base64
import dataclasses
import functools
import http.server
import json
import shutil
import subprocess
import threading

import numpy as np
import pytest
from helpers import SHARED, encode, random_pictures
from networks import BACKBONES, BLOCKS, by_foodjax, create, pictures
from PIL import Image, ImageCms, ImageDraw

from foodjax.data.decode import decode
from foodjax.exchange import web_page, web_runtime
from foodjax.exchange.export import export
from foodjax.exchange.served import open_served
from foodjax.exchange.to_onnx.file import to_onnx
from foodjax.run.predict import Predictor
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROBABILITIES = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), size = 3 * side * side, found = [];
  for (let at = 0; at < bytes.length; at += size) found.push(await probabilities(bytes.slice(at, at + size)));
  return found.map((one) => Array.from(one));
}"""
# Of files, what `answer` returns.
ANSWERS = """async (texts) => {
  const found = [];
  for (const text of texts) {
    const one = await answer(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "photo"));
    found.push({ ...one, pixels: Array.from(one.pixels) });
  }
  return found;
}"""
# Of an ONNX file, pictures and their shape, the probabilities.
OTHER = """async ([network, pixels, shape]) => {
  const [content, bytes] = [network, pixels].map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
  const { ort } = await loaded;
  const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  const found = await session.run({ images: new ort.Tensor("uint8", bytes, shape) });
  return Array.from(found.probabilities.data);
}"""
READY = "#status:text-is('ready for a photograph')"  # a function to wait for would be eval, which the page refuses


def text_of(content):
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def runtime():
    """The runtime, from npm's registry; skips where it cannot be had."""
    pytest.importorskip("onnx", reason="needs the package onnx")
    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("npm"):  # npm's own files may name another registry
            asked = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True)
            if asked.returncode == 0:
                patch.setenv("npm_config_registry", asked.stdout.strip())
        try:
            return web_runtime.load()
        except UserError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def exported(workdir, runtime, tmp_path_factory):
    """The page of a run of three classes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_runtime, "load", lambda tarball: runtime)
        return export(read_description(workdir)[0], workdir, "web", tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture
def open_page(browser, request):
    """Returns a function that opens a page as a file; what its console says fails the test."""

    def open_one(path, begin="", **options):
        tab = browser.new_page(**{"viewport": {"width": 390, "height": 844}, **options})
        problems, asked = [], []
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        if begin:
            tab.add_init_script(begin)
        tab.goto(path if isinstance(path, str) else path.as_uri())
        tab.problems, tab.asked = problems, asked
        request.addfinalizer(tab.close)
        return tab

    return open_one


@pytest.fixture
def tab(open_page, exported):
    found = open_page(exported)
    yield found
    assert found.problems == []
    assert {url.split(":")[0] for url in found.asked} <= {"file", "blob"}


def test_probabilities_are_those_of_onnxruntime(tab, workdir, exported):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    model = export(read_description(workdir)[0], workdir, "onnx", exported.parent / "model.onnx")
    images = random_pictures(20)
    expected = onnxruntime.InferenceSession(model).run(None, {"images": images})[0]
    found = np.array(tab.evaluate(PROBABILITIES, text_of(images.tobytes())))
    assert found.shape == (20, 3)
    assert np.ptp(expected, axis=0).max() > 0.05  # pictures that differ
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Names of networks whose operations the others do not have.
@pytest.mark.parametrize("name", ["another view", "efficientnet_lite0"])
def test_the_runtime_computes_what_foodjax_computes(tab, name):
    served = create(*(BLOCKS | BACKBONES)[name])
    images = pictures(served)
    size, count = served.config.data.image_size, len(served.class_names)
    network = to_onnx(served.function(plain=True), size, count, {})
    found = tab.evaluate(OTHER, [text_of(network), text_of(images.tobytes()), list(images.shape)])
    np.testing.assert_allclose(np.reshape(found, (5, count)), by_foodjax(served, images), atol=1e-4)


def test_photographs_are_predicted_as_foodjax_predicts_them(tab, workdir):
    real = sorted((SHARED / "food-101" / "images").rglob("*.jpg"))
    files = (real[:: len(real) // 50] if real else []) + sorted((workdir.parent / "food-101" / "images").rglob("*.jpg"))
    files = files[:100]
    assert len(files) == 100
    predictor = Predictor(workdir)
    expected = np.stack([predictor.decode(file) for file in files])
    found = tab.evaluate(ANSWERS, [text_of(file.read_bytes()) for file in files])
    pixels = np.array([one["pixels"] for one in found]).reshape(expected.shape)
    # Another build of libjpeg may round another way.
    assert np.abs(pixels - expected).max() <= 3
    assert np.abs(pixels - expected).mean() < 0.05
    predictions = list(predictor.predict(files, count=3))
    same = [one["top"][0]["class"] == ours.top[0][0] for one, ours in zip(found, predictions, strict=True)]
    assert sum(same) >= 98
    for one, ours in zip(found, predictions, strict=True):
        listed = {guess["class"]: guess["probability"] for guess in one["top"]}
        assert listed == pytest.approx(dict(ours.top), abs=0.02)


def drawing(mode="RGB"):
    """Returns a picture of 90 x 61 pixels, which looks otherwise turned."""
    image = Image.new("RGB", (90, 61), "orange")
    draw = ImageDraw.Draw(image)
    draw.ellipse((5, 5, 50, 30), "navy")
    draw.rectangle((60, 30, 88, 59), "green")
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(drawing(), "JPEG", quality=95, exif=exif)


def profile():
    """Returns a colour profile in which red and green have changed places."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = content.index(b"rXYZ"), content.index(b"gXYZ")  # of the table: name, offset, size
    content[red : red + 4], content[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(content)


FILES = {
    **{f"turned {k}": functools.partial(turned, k) for k in (3, 5, 6)},
    "progressive": lambda: encode(drawing(), "JPEG", progressive=True, subsampling=0),
    "grey": lambda: encode(drawing("L"), "JPEG"),
    "palette": lambda: encode(drawing("P")),
    "transparent": lambda: encode(drawing("RGBA")),
    "webp": lambda: encode(drawing(), "WEBP", lossless=True),
    "profile": lambda: encode(drawing(), "PNG", icc_profile=profile()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_seen_as_training_sees_it(tab, workdir, name, tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(FILES[name]())
    expected = Predictor(workdir).decode(path).astype(int)
    (found,) = tab.evaluate(ANSWERS, [text_of(path.read_bytes())])
    assert np.abs(np.reshape(found["pixels"], expected.shape) - expected).max() <= 2


def test_a_run_of_plain_decoding_is_not_turned(tab, workdir):
    data, content = read_description(workdir)[0].data, turned(6)
    expected = decode(content, data.image_size, data.resize, decoding="plain").astype(int)
    assert np.abs(expected - decode(content, data.image_size, data.resize)).max() > 50
    tab.evaluate("facts.decoding = 'plain'")
    (found,) = tab.evaluate(ANSWERS, [text_of(content)])
    assert np.abs(np.reshape(found["pixels"], expected.shape) - expected).max() <= 2


def test_a_photograph_is_chosen_and_read_out(tab, workdir):
    file = sorted((workdir.parent / "food-101" / "images").rglob("*.jpg"))[0]
    tab.wait_for_selector(READY)
    tab.set_input_files("#file", file)
    tab.wait_for_selector("#result:not([hidden])")
    (ours,) = Predictor(workdir).predict([file], count=3)
    assert tab.locator("#top .class").all_inner_texts() == [name for name, _ in ours.top]
    shown = tab.evaluate("[...document.querySelectorAll('#top progress')].map((bar) => bar.value)")
    assert shown == pytest.approx([p for _, p in ours.top], abs=0.01)
    assert tab.inner_text("#status") == f"{ours.top[0][0]}: {shown[0]:.1%}".replace("%", " %")
    assert tab.get_attribute("#status", "role") == "status"
    assert (
        tab.evaluate("Promise.all([...document.images].map((image) => image.decode())).then(() => 'shown')") == "shown"
    )
    assert tab.evaluate("document.querySelector('#cams img.seen').naturalWidth") == 16
    assert "16 x 16 pixels" in tab.inner_text("#cams")
    assert "test accuracy" in tab.inner_text("dl.facts")
    evaluation = json.loads((workdir / "evaluation" / "evaluation.json").read_text())
    low, high = evaluation["interval"]
    assert f"{evaluation['accuracy']:.1%}" in tab.inner_text("dl.facts")
    assert f"{low:.1%} to {high:.1%}" in tab.inner_text("dl.facts")


def test_the_keyboard_does_all(tab):
    choosers, reached = [], []
    tab.on("filechooser", lambda chooser: choosers.append(chooser))  # long before: playwright does not wait for it
    for _ in range(4):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["file", "camera", "SUMMARY", "SUMMARY"]
    tab.focus("#file")
    for key in ("Enter", "Space"):
        with tab.expect_file_chooser():
            tab.keyboard.press(key)
    assert len(choosers) == 2


def test_it_connects_to_nothing(open_page, exported):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        tab = open_page(exported)
        tab.wait_for_selector(READY)
        tries = {
            "fetch": "(url) => fetch(url, { mode: 'no-cors' }).then(() => 'sent', () => 'refused')",
            "beacon": "(url) => navigator.sendBeacon(url, 'x') ? 'sent' : 'refused'",
            "image": "(url) => new Promise((done) => Object.assign(new Image(), "
            "{ src: url, onload: () => done('sent'), onerror: () => done('refused') }))",
            "script": "(url) => import(url).then(() => 'sent', () => 'refused')",
        }
        for name, code in tries.items():
            tab.evaluate(code, url + name)
        tab.wait_for_timeout(200)
        server.shutdown()
    assert asked == []
    assert len([line for line in tab.problems if "Content Security Policy" in line]) >= len(tries)


def test_a_static_host_serves_it(open_page, exported):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=exported.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        tab = open_page(f"http://127.0.0.1:{server.server_port}/{exported.name}")
        tab.wait_for_selector(READY)
        server.shutdown()
    found = tab.evaluate(PROBABILITIES, text_of(random_pictures(1).tobytes()))
    assert np.sum(found) == pytest.approx(1, abs=1e-5)
    assert tab.problems == []


def test_mistakes_are_lines(tab, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "photo.png").write_bytes(encode(drawing()))

    def line_of(file, change="0"):
        tab.evaluate(change)
        tab.set_input_files("#file", tmp_path / file)
        tab.wait_for_selector("#status.wrong")
        assert tab.locator("#result").is_hidden()
        return tab.inner_text("#status")

    tab.wait_for_selector(READY)
    assert line_of("text.jpg") == "this file is no picture that this browser reads: needs a JPEG, PNG or WebP"
    pixels = line_of("photo.png", "facts.max_pixels = 5000")
    assert pixels == "the picture has 90 x 61 pixels: needs at most 0.005 million"
    assert line_of("photo.png", "facts.max_bytes = 100") == "the file has 1 MB: needs at most 1 MB"
    tab.evaluate("facts.max_bytes = facts.max_pixels = 1e9")
    tab.set_input_files("#file", tmp_path / "photo.png")  # and then a good one
    tab.wait_for_selector("#result:not([hidden])")
    assert tab.locator("#status.wrong").count() == 0


@pytest.mark.parametrize(
    "begin,line",
    [
        ("delete globalThis.WebAssembly", "this browser has no WebAssembly, which the network runs in: needs another"),
        ("delete globalThis.DecompressionStream", "this browser is too old to unpack the network: needs one of 2023"),
        (
            "WebAssembly.instantiate = () => Promise.reject(new Error('full'))",
            "the network does not start in this brow",
        ),
    ],
)
def test_a_browser_that_cannot_run_it_says_so(open_page, exported, begin, line, tmp_path):
    tab = open_page(exported, begin)
    tab.wait_for_selector("#status.wrong")
    assert tab.inner_text("#status").startswith(line)
    (tmp_path / "photo.png").write_bytes(encode(drawing()))
    tab.set_input_files("#file", tmp_path / "photo.png")
    tab.wait_for_selector("#status.wrong")
    assert tab.inner_text("#status").startswith(line)


def test_an_evaluation_with_another_view_is_not_taken(workdir):
    served = open_served(read_description(workdir)[0], workdir)
    assert "95 % interval" in web_page._shown(served, workdir)
    config = served.config
    flipped = dataclasses.replace(config, eval=dataclasses.replace(config.eval, flip=True))
    shown = web_page._shown(served._replace(config=flipped), workdir)
    assert shown["test accuracy"] == "not evaluated"
    assert "95 % interval" not in shown
