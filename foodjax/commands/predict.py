"""The verb predict: predicts the five most probable classes of photographs."""

import glob

from foodjax.commands.verb import Flag, Given, Verb, parts_of
from foodjax.system.files import to_path


def _run(given: Given) -> None:
    from foodjax.run import predict as run_predict

    images = [photo for part in parts_of(given.flags.images) for photo in _matches(part)]
    run_predict.predict_workdir(given.workdir, images, given.flags.output, given.config)


def _matches(text: str) -> list[str]:
    """Returns what a pattern matches that no shell has expanded, or the text itself."""
    found = [] if to_path(text).exists() else sorted(glob.glob(str(to_path(text)), recursive=True))
    return found or [text]


VERB = Verb(
    "predict",
    "predicts the five most probable classes of photographs",
    _run,
    "stored",
    (
        "foodjax predict --workdir runs/food10 photo.jpg folder/ --output top5.csv",
        "foodjax predict --workdir runs/food10 --images *.jpg",
    ),
    (
        Flag("images", "PHOTOGRAPH", "photographs, and folders of them", (), needed="photographs or folders of them",
             many=True),
        Flag("output", "FILE", "a new .csv or .json that gets the predictions", read=to_path),
    ),
    address_space=1,
)  # fmt: skip
