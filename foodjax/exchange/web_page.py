"""Writes a page that predicts photographs in a browser: one HTML file with the network and its runtime in it."""

import base64
import hashlib
import zlib

from markupsafe import Markup

from foodjax.data.decode import MAX_PIXELS
from foodjax.exchange.known import read_scores
from foodjax.exchange.served import Served
from foodjax.exchange.to_onnx.file import to_onnx
from foodjax.exchange.web_runtime import PACKAGE, VERSION, Runtime
from foodjax.report import templating
from foodjax.system.files import PathLike, to_path
from foodjax.system.text import printable

MAX_BYTES = 100 * 2**20  # of a file of a photograph
_SCRIPTS = ("photograph.js", "resample.js", "web.js")


def to_page(served: Served, workdir: PathLike, runtime: Runtime) -> bytes:
    """Returns the page, HTML in UTF-8.

    It connects to nothing: a Content-Security-Policy in it allows no request, and no script but its own.

    Args:
        served: the network.
        workdir: of its run; the accuracy is that of its evaluation, if it has one.
        runtime: that runs the network.

    Raises:
        UserError: ONNX does not have what the network needs.
    """
    data = served.config.data
    network = to_onnx(served.function(plain=True), data.image_size, len(served.class_names), {})
    # Line ends as a browser's parser makes them, before it hashes the script.
    script = "\n" + "\n".join(templating.asset(name).replace("\r\n", "\n") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = templating.render(
        "web.html.j2",
        facts={
            "name": printable(served.config.name),
            "class_names": [printable(name) for name in served.class_names],
            "image_size": data.image_size,
            "geometry": data.geometry,
            "resize": data.resize,
            "decoding": data.decoding,
            "max_bytes": MAX_BYTES,
            "max_pixels": MAX_PIXELS,
            "loading": "loading the network …",
        },
        shown=_shown(served, workdir),
        packed={"runtime": _packed(runtime.code), "wasm": _packed(runtime.wasm), "network": _packed(network)},
        script=Markup(script),
        script_hash=Markup(f"'sha256-{digest}'"),
    )
    return text.encode()


def _packed(content: bytes) -> Markup:
    """Returns bytes as a browser unpacks them: base64 of zlib's format."""
    return Markup(base64.b64encode(zlib.compress(content)).decode())


def _shown(served: Served, workdir: PathLike) -> dict[str, str]:
    """Returns what the page says of the network, by its names."""
    data = served.config.data
    facts = {"test accuracy": "not evaluated"}
    scores, _ = read_scores(served.config, to_path(workdir), served.step, served.class_names)
    if scores:
        low, high = scores.interval
        facts = {
            "test accuracy": f"{scores.accuracy:.1%}",
            "95 % interval": f"{low:.1%} to {high:.1%}",
            "test images": f"{scores.num_examples:,}",
        }
    how = {"stretch": "stretched to", "crop": "the middle,", "pad": "padded to"}[data.geometry]
    facts |= {
        "classes": f"{len(served.class_names)}",
        "photographs": f"{how} {data.image_size} x {data.image_size} pixels",
        "checkpoint": f"step {served.step:,}",
    }
    if served.temperature != 1:
        facts["temperature"] = f"{served.temperature:.3f}"
    return facts | {"run by": f"{PACKAGE} {VERSION}"}
