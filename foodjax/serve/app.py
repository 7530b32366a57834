"""A web page on localhost that predicts a photograph: dropped, chosen or taken with a camera.

An upload is read into memory up to a limit, decoded there, and forgotten; nothing is written or logged.
"""

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import uvicorn
from ml_collections import ConfigDict
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from foodjax.config.keys import Config
from foodjax.data.images import check_images
from foodjax.report import pictures, templating
from foodjax.report.explain import Explainer
from foodjax.report.layer_pictures import cam_taps, map_sheets
from foodjax.run.photo_decoder import PhotoDecoder
from foodjax.run.predict import Predictor
from foodjax.serve.connections import Connection
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.system.malloc import return_large_blocks
from foodjax.system.text import printable

MAX_BYTES = 20 * 2**20  # of an upload
MAX_PIXELS = 50_000_000  # of a photograph
MAX_HELD_BYTES = 8 * MAX_BYTES  # of all uploads that are in memory; one more is refused
UPLOAD_SECONDS = 30.0  # for the bytes of an upload
STOP_SECONDS = 3  # for requests in work when the server is to stop
_THREADS = 2  # photographs that are decoded and explained at once; more requests wait
_LAYERS = 2  # the first ones, whose feature maps are shown
_LOCAL = ["127.0.0.1", "localhost", "[::1]"]


class Guesser:
    """Predicts photographs with a workdir's best checkpoint; threads may share it."""

    def __init__(self, workdir: PathLike, config: Config | ConfigDict | None = None):
        """Restores the checkpoint and compiles prediction and explanation.

        Args:
            workdir: folder of a run.
            config: as for `Predictor`.

        Raises:
            UserError: the workdir has no checkpoint, or no temperature with `eval.calibrate`.
        """
        self.predictor = Predictor(workdir, batch_size=1, config=config)
        self.config = self.predictor.config
        self._decode = PhotoDecoder(self.config.data, MAX_PIXELS)
        self._explain = Explainer(self.config, self.predictor.model, self.predictor.variables)
        self.answer(np.zeros((self.config.data.image_size,) * 2 + (3,), np.uint8))

    def read(self, encoded: bytes) -> dict[str, Any]:
        """Returns the answer to an encoded photograph.

        Raises:
            ValueError: it is not a whole picture, or has too many pixels.
        """
        return self.answer(self._decode(encoded))

    def answer(self, pixels: np.ndarray) -> dict[str, Any]:
        """Returns the top 5, Grad-CAM and the first layers' feature maps of uint8 (H, H, 3), as JSON.

        Raises:
            TypeError: the picture is not uint8.
            ValueError: it has another shape.
        """
        pixels = check_images(pixels, self.config.data.image_size, ndims=(3,))
        names = self.predictor.class_names
        probabilities = self.predictor.probabilities(pixels[None])[0]
        best = np.argsort(-probabilities, kind="stable")[:5]
        found = self._explain(pixels[None], best[:1])
        first = list(found.maps)[:_LAYERS]
        return {
            "top": [{"class": printable(names[k]), "probability": float(probabilities[k])} for k in best],
            "seen": pictures.data_uri(found.seen[0]),
            "cams": [
                {"name": tap, "uri": pictures.data_uri(pictures.overlay(found.seen[0], found.cams[tap][0]))}
                for tap in (cam_taps(found) if found.cams else ())
            ],
            "maps": [dict(zip(("name", "text", "uri"), sheet, strict=True)) for sheet in map_sheets(found, 0, first)],
        }


class _Refused(Exception):
    """An upload that is not taken: the line for its sender, and the HTTP status."""

    def __init__(self, line: str, status: int):
        super().__init__(line)
        self.status = status


class _Uploads:
    """The uploads in memory, with limits of their bytes and of their time."""

    def __init__(self):
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yields the body of a request; its bytes count as held until the block ends.

        Raises:
            _Refused: it is longer than MAX_BYTES, takes longer than UPLOAD_SECONDS, or too many others are held; the
                rest is not read.
        """
        content = bytearray()
        try:
            await self._receive(request, content)
            yield bytes(content)
        finally:
            self._held -= len(content)

    async def _receive(self, request: Request, content: bytearray) -> None:
        try:
            with anyio.fail_after(UPLOAD_SECONDS):
                async for chunk in request.stream():
                    self._held += len(chunk)
                    content += chunk
                    if len(content) > MAX_BYTES:
                        raise _Refused(f"the file is larger than {MAX_BYTES // 2**20} MB", 413)
                    if self._held > MAX_HELD_BYTES:
                        raise _Refused("too many photographs at once: send it again in a moment", 503)
        except TimeoutError:
            raise _Refused(f"the photograph took longer than {UPLOAD_SECONDS:g} s to arrive", 408) from None


def create_app(guesser: Guesser, title: str, hosts: list[str]) -> Starlette:
    """Returns the web application.

    Args:
        guesser: predicts the photographs.
        title: title of the page.
        hosts: host names that requests may use; another site's name that resolves to this server is refused.
    """

    async def index(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = templating.render(
            "serve.html.j2", title=title, nonce=nonce, megabytes=MAX_BYTES // 2**20, max_bytes=MAX_BYTES,
            num_classes=len(guesser.predictor.class_names), scales=pictures.scales(),
        )  # fmt: skip
        policy = (
            f"default-src 'none'; img-src data: blob:; connect-src 'self'; style-src 'nonce-{nonce}'; "
            f"script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(text, headers=_HEADERS | {"Content-Security-Policy": policy})

    async def predict(request: Request) -> Response:
        if request.headers.get("content-type") != "application/octet-stream":  # a form of another site cannot send it
            return _error("send the photograph's bytes as application/octet-stream", 415)
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BYTES:
            return _error(f"the file is larger than {MAX_BYTES // 2**20} MB", 413)
        state = request.app.state
        try:
            async with state.uploads.read(request) as encoded:
                # When the server stops, it does not wait for the thread.
                answer = await anyio.to_thread.run_sync(
                    guesser.read, encoded, limiter=state.decoding, abandon_on_cancel=True
                )
            return JSONResponse(answer, headers=_HEADERS)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except _Refused as error:
            return _error(str(error), error.status)
        except ValueError as error:
            return _error(f"this is not a usable photograph: {error}", 422)
        except MemoryError:
            return _error("not enough memory for this photograph: send it again later, or a smaller one", 503)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.decoding, app.state.uploads = anyio.CapacityLimiter(_THREADS), _Uploads()
        yield

    return Starlette(
        routes=[Route("/", index), Route("/predict", predict, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
        lifespan=lifespan,
    )


_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status, headers=_HEADERS)


def serve_workdir(
    workdir: PathLike, host: str = "127.0.0.1", port: int = 0, config: Config | ConfigDict | None = None
) -> None:
    """Serves the page until Ctrl-C.

    Args:
        workdir: folder of a run; nothing else is needed.
        host: address to bind to.
        port: 0 takes a free one.
        config: as for `Predictor`.

    Raises:
        UserError: the workdir has no checkpoint, or the address cannot be used.
    """
    workdir = to_path(workdir)
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on --host {host} --port {port}: {error}") from None
    with listener:
        return_large_blocks()
        guesser = Guesser(workdir, config)
        app = create_app(guesser, f"{guesser.config.name}: predict a photograph", _allowed(host))
        if guesser.predictor.temperature is not None:
            print(guesser.predictor.temperature)
        name = f"[{host}]" if ":" in host else host
        say(f"serving {workdir} at http://{name}:{listener.getsockname()[1]}/ until Ctrl-C", flush=True)
        server = uvicorn.Config(
            app, http=Connection, log_level="error", access_log=False, server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )  # fmt: skip
        logging.getLogger("uvicorn.error").addFilter(_is_no_stop)
        uvicorn.Server(server).run(sockets=[listener])


def _is_no_stop(record: logging.LogRecord) -> bool:
    """Returns False for the log records of requests that were cancelled when the server stopped."""
    cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not (cut_off or "timeout graceful shutdown exceeded" in record.getMessage())


def _allowed(host: str) -> list[str]:
    """Returns the host names that requests may use; any name if the server listens on all addresses."""
    try:
        if ipaddress.ip_address(host).is_unspecified:
            return ["*"]
    except ValueError:
        pass
    return [*_LOCAL, f"[{host}]" if ":" in host else host]
