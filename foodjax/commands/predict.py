"""The verb predict: predicts the five most probable classes of photographs."""

from foodjax.commands.verb import Flag, Given, Verb, path


def _run(given: Given) -> None:
    from foodjax.run import predict as run_predict

    run_predict.predict_workdir(given.workdir, given.flags.images, given.flags.output, given.config)


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
        Flag("output", "FILE", "a new .csv or .json that gets the predictions", read=path),
    ),
)  # fmt: skip
