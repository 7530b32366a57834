"""The verb serve: serves a page on localhost that predicts a photograph."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config
from foodjax.system.errors import UserError


def serve(config: Config, workdir: Path, asked: Asked) -> None:
    """Serves a workdir's best checkpoint."""
    try:
        from foodjax.serve import app
    except ModuleNotFoundError as error:
        raise UserError(f"--mode serve needs {error.name}: pip install -e '.[serve]'") from None
    app.serve_workdir(workdir, asked.flags.host, asked.flags.port, config)


MODE = Mode(serve, "stored")
