"""The verb predict: predicts the five most probable classes of photographs."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def predict(config: Config, workdir: Path, asked: Asked) -> None:
    """Predicts the photographs of --images."""
    from foodjax.run import predict as run_predict

    output = asked.flags.output
    run_predict.predict_workdir(workdir, asked.flags.images, Path(output) if output else None, config)


MODE = Mode(predict, "stored", {"images": "photographs or folders of them"})
