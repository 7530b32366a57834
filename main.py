"""The command line: flags, dispatch, and one line for a user's mistake.

python main.py --config experiments/food10.py [--mode MODE] [--workdir DIR] [--config.KEY=VALUE ...]
python main.py --mode import --keras FILE [--config FILE] [--workdir DIR]
python main.py --mode export [--format keras] [--output FILE] --workdir DIR
python main.py --mode predict --images FILE,FOLDER,... [--output FILE] --workdir DIR
"""

import os
import signal
import sys
from pathlib import Path

from foodjax.allocator import use_huge_pages

if __name__ == "__main__":
    use_huge_pages()  # before anything large is loaded: it starts the program again

# TensorFlow reads both when it is imported; it does no mathematics here, and announces oneDNN on every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from absl import flags, logging
from ml_collections import config_flags

from foodjax import config as config_lib
from foodjax import logs
from foodjax.errors import UserError
from foodjax.interrupt import Interrupted

MODES = ("train", "evaluate", "predict", "summary", "import", "export")
# What an evaluation may change of the config that the workdir holds.
EVALUATION_KEYS = (
    "data.dir", "data.source", "data.tfds_name", "data.tfds_dir",
    "data.on_error", "data.cache_dir", "data.eval_batch_size",
)  # fmt: skip

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment, a file in experiments/.")
_MODE = flags.DEFINE_string("mode", "train", "One of " + ", ".join(MODES) + ".")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run lives; default runs/<experiment>.")
_KERAS = flags.DEFINE_string("keras", None, "--mode import: the model, a .keras or .weights.h5 file.")
_FORMAT = flags.DEFINE_string("format", "keras", "--mode export: keras.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "--mode export: the file; default model.keras in the workdir. --mode predict: a .csv or .json."
)
_IMAGES = flags.DEFINE_list("images", [], "--mode predict: photographs and folders, separated by commas.")


def parse(argv: list[str]) -> None:
    """Parses flags and overrides.

    Raises:
        UserError: a flag, a key or a value that cannot be used.
    """
    try:
        rest = flags.FLAGS(argv)
        if _CONFIG.present:
            len(_CONFIG.value)  # a file that cannot be loaded fails at first use
    except Exception as error:  # config files and overrides raise many types
        raise UserError(_explain(error, argv)) from None
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}: overrides look like --config.train.epochs=2")
    if _MODE.value not in MODES:
        raise UserError(f"--mode is {_MODE.value!r}: needs one of {', '.join(MODES)}")
    if _MODE.value == "import" and not _KERAS.value:
        raise UserError("--mode import needs --keras, a .keras or .weights.h5 file")
    if _MODE.value == "predict" and not _IMAGES.value:
        raise UserError("--mode predict needs --images, photographs or folders of them")
    if _FORMAT.value != "keras":
        raise UserError(f"--format is {_FORMAT.value!r}: needs keras")


def _explain(error: Exception, argv: list[str]) -> str:
    """Turns what absl and ml_collections raise into a line that names the override and the nearest key."""
    path = next((a.split("=", 1)[1] for a in argv if a.startswith("--config=")), None)
    if path is None and "--config" in argv[:-1]:
        path = argv[argv.index("--config") + 1]
    if path is None:
        return f"{error}".splitlines()[0]
    if not Path(path.split(":")[0]).is_file():
        return f"--config {path} does not exist: needs a file such as experiments/food10.py"
    try:
        spec = config_flags.DEFINE_config_file("probe", path, flag_values=(probe := flags.FlagValues()))
        probe(["probe"])
        keys = dict(config_lib.flatten(spec.value))
    except Exception as broken:
        return f"--config {path} cannot be read: {type(broken).__name__}: {broken}".splitlines()[0]
    for argument in argv[1:]:
        name, _, value = argument.removeprefix("--").partition("=")
        if name.startswith("config.") and argument.startswith("--"):
            key = name.removeprefix("config.")
            if key not in keys:
                return f"config has no key {key!r}{config_lib.nearest(key, keys)}"
            if f"{name}" in str(error) or repr(value) in str(error):
                kind = type(keys[key]).__name__
                return f"{key} is {value!r}: needs a value of type {kind}, such as {keys[key]!r}"
    return str(error).splitlines()[0]


def load_config(workdir: Path | None):
    """Returns the file's config, or for an evaluation or export the workdir's own with its data replaced."""
    config = _CONFIG.value
    if config is None and _MODE.value == "import":
        from experiments import food10

        config = food10.get_config()  # a reader's model is the tutorial's
    if config is not None:
        config_lib.validate(config)
    if _MODE.value not in ("evaluate", "export", "predict"):
        if config is None:
            raise UserError("--config is missing: needs a file such as experiments/food10.py")
        return config
    from foodjax import checkpoint

    if workdir is None:
        raise UserError(f"--mode {_MODE.value} needs --workdir or --config")
    stored, _ = checkpoint.read_description(workdir)
    if config is None:
        return stored
    overrides = config_flags.get_override_values(flags.FLAGS["config"])
    for key in overrides:
        if key not in EVALUATION_KEYS:
            raise UserError(f"--mode {_MODE.value} cannot change {key}: takes {', '.join(EVALUATION_KEYS)}")
    found = config_lib.difference({"model": stored.model}, {"model": config.model})
    if found:
        raise UserError(f"the checkpoint in {workdir} does not fit the model of --config: {found}")
    for key, value in overrides.items():
        stored.update_from_flattened_dict({key: value})
    return stored


def main(argv: list[str]) -> int:
    """Runs one command and returns the exit status."""
    try:
        parse(argv)
        logging.set_verbosity(logging.ERROR)
        workdir = Path(_WORKDIR.value) if _WORKDIR.value else None
        if workdir is None and _CONFIG.value is not None:
            workdir = Path("runs") / _CONFIG.value.name
        config = load_config(workdir)
        workdir = workdir or Path("runs") / config.name
        if _MODE.value == "summary":
            from foodjax import summary
            from foodjax.model import create_model

            num_classes = len(config.data.class_names) or config.data.num_classes or 101
            model = create_model(config, num_classes)
            logs.console.print(summary.to_table(summary.layers(model, config.data.image_size)))
            return 0
        if _MODE.value in ("import", "export"):
            from foodjax import keras_exchange

            if _MODE.value == "import":
                keras_exchange.import_model(config, Path(_KERAS.value or ""), workdir)
            else:
                keras_exchange.export_model(config, workdir, Path(_OUTPUT.value or workdir / "model.keras"))
            return 0
        if _MODE.value == "predict":
            from foodjax import predict

            predict.predict_workdir(workdir, _IMAGES.value, Path(_OUTPUT.value) if _OUTPUT.value else None)
            return 0
        if _MODE.value == "evaluate":
            from foodjax import evaluate

            evaluate.evaluate_workdir(config, workdir)
        else:
            from foodjax import train

            train.train(config, workdir)
        return 0
    except UserError as error:
        logs.fail(str(error))
        return 2
    except Interrupted as interrupted:
        # Being asked to end is no failure; shells expect 130 after Ctrl-C all the same.
        return 0 if interrupted.signum == signal.SIGTERM else 128 + signal.SIGINT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv))
