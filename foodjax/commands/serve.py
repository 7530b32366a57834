"""The verb serve: serves a page on localhost that predicts a photograph."""

from foodjax.commands.verb import Flag, Given, Verb, integer
from foodjax.system.errors import UserError


def _run(given: Given) -> None:
    try:
        from foodjax.serve import app
    except ModuleNotFoundError as error:
        raise UserError(f"serve needs {error.name}: pip install 'foodjax[serve]'") from None
    app.serve_workdir(given.workdir, given.flags.host, given.flags.port, given.config)


VERB = Verb(
    "serve",
    "serves a page: drop or take a photograph, see its classes, Grad-CAM and feature maps",
    _run,
    "stored",
    ("foodjax serve --workdir runs/food10 --port 8080",),
    (
        Flag("host", "ADDRESS", "address to listen on; 0.0.0.0 is all of them", "127.0.0.1"),
        Flag("port", "PORT", "port to listen on; 0 takes a free one", 8000, integer(0, 65535)),
    ),
    address_space=1,
)
