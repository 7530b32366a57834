"""The verb summary: prints the layer table of a network."""

from foodjax.commands.verb import Given, Verb


def _run(given: Given) -> None:
    from foodjax.models import summary as summary_lib
    from foodjax.models.convnet import create_model
    from foodjax.system.console import show
    from foodjax.workdir.description import read_description

    config = given.config
    if given.flags.config is None:
        num_classes = len(read_description(given.workdir)[1])
    else:
        num_classes = len(config.data.class_names) or config.data.num_classes or 101
    model = create_model(config, num_classes)
    show(summary_lib.to_table(summary_lib.layers(model, config.input_size)))


VERB = Verb(
    "summary",
    "prints the layer table of an experiment's network, or of a run's; reads no data",
    _run,
    "any",
    ("foodjax summary --config food10:drop_block=4", "foodjax summary --workdir runs/food10"),
    address_space=1,
)
