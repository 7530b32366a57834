"""The command line: flags, dispatch, and one line for a user's mistake.

python main.py --config experiments/food10.py[:VARIANT] [--mode MODE] [--workdir DIR] [--config.KEY=VALUE ...]
python main.py --mode import --keras FILE [--config FILE] [--workdir DIR]
python main.py --mode export [--format keras] [--output FILE] --workdir DIR
python main.py --mode sweep --config FILE [--jobs N] [--prune ETA] [--workdir DIR]
python main.py --mode compare --runs 'DIR/*' [--baseline LABEL] [--output DIR]
python main.py --mode reproduce --workdir DIR [--output DIR]
python main.py --mode predict --images FILE,FOLDER,... [--output FILE] --workdir DIR
python main.py --mode serve [--host ADDRESS] [--port PORT] --workdir DIR
python main.py --mode inspect --config experiments/food10.py [--workdir DIR]
"""

import glob
import os
import signal
import sys
from pathlib import Path
from typing import Any

from foodjax.allocator import tune_malloc
from foodjax.interrupt import Interrupted, end_at_once

if __name__ == "__main__":
    tune_malloc()  # before anything large is loaded: it starts the program again
    trains = not any("mode" in argument and "train" not in argument for argument in sys.argv)
    end_at_once(sigterm_status=0 if trains else 128 + signal.SIGTERM)

# TensorFlow reads both when it is imported; it does no mathematics here, and announces oneDNN on every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from absl import flags, logging
from ml_collections import config_flags

from foodjax import cli, logs
from foodjax.cli import Mode
from foodjax.errors import UserError


def _train(config: Any, workdir: Path) -> None:
    from foodjax import train
    from foodjax.report import live, run_report

    train.train(config, workdir, [live.observe], origin=cli.origin(), report=run_report.write_report)


def _evaluate(config: Any, workdir: Path) -> None:
    from foodjax import evaluate
    from foodjax.report import run_report

    run_report.write_report(evaluate.evaluate_workdir(config, workdir), workdir)


def _predict(config: Any, workdir: Path) -> None:
    from foodjax import predict

    predict.predict_workdir(workdir, _IMAGES.value, Path(_OUTPUT.value) if _OUTPUT.value else None, config)


def _inspect(config: Any, workdir: Path) -> None:
    from foodjax.report import inspect

    inspect.inspect_workdir(config, workdir)


def _serve(config: Any, workdir: Path) -> None:
    try:
        from foodjax import serve
    except ModuleNotFoundError as error:
        raise UserError(f"--mode serve needs {error.name}: pip install -e '.[serve]'") from None
    serve.serve_workdir(workdir, _HOST.value, _PORT.value, config)


def _summary(config: Any, workdir: Path) -> None:
    from foodjax import summary
    from foodjax.config import input_size
    from foodjax.model import create_model

    num_classes = len(config.data.class_names) or config.data.num_classes or 101
    model = create_model(config, num_classes)
    logs.console.print(summary.to_table(summary.layers(model, input_size(config))))


def _find_lr(config: Any, workdir: Path) -> None:
    from foodjax import find_lr

    find_lr.find_lr(config, workdir.with_name(f"{workdir.name}-find_lr"))


def _import(config: Any, workdir: Path) -> None:
    from foodjax import keras_exchange

    keras_exchange.import_model(config, Path(_KERAS.value or ""), workdir)


def _export(config: Any, workdir: Path) -> None:
    from foodjax import keras_exchange

    keras_exchange.export_model(config, workdir, Path(_OUTPUT.value or workdir / "model.keras"))


def _sweep(config: Any, workdir: Path) -> None:
    from foodjax.study import page, space, sweep

    asked = cli.origin()
    trials = space.create_trials(asked["config"], asked["overrides"], workdir)
    failed = sweep.sweep(trials, asked["overrides"], _JOBS.value, _PRUNE.value)
    if any(sweep.is_finished(trial) for trial in trials):
        page.write_comparison(f"{glob.escape(str(workdir))}/*", _BASELINE.value, workdir / "comparison")
    if failed:
        raise UserError(failed)


def _compare(config: None, workdir: None) -> None:
    from foodjax.study import page

    folder = Path(_RUNS.value.split(",")[0]).parent / "comparison"
    page.write_comparison(_RUNS.value, _BASELINE.value, Path(_OUTPUT.value) if _OUTPUT.value else folder)


def _reproduce(config: Any, workdir: Path) -> int:
    from foodjax.study import reproduce

    again = Path(_OUTPUT.value or workdir.with_name(workdir.name + "-again"))
    return 0 if reproduce.reproduce(config, workdir, again, cli.origin()) else 1


# A new mode is a function above and a line here.
MODES = {
    "train": Mode(_train, "file"),
    "evaluate": Mode(_evaluate, "stored"),
    "predict": Mode(_predict, "stored", {"images": "photographs or folders of them"}),
    "summary": Mode(_summary, "file"),
    "find_lr": Mode(_find_lr, "file"),
    "import": Mode(_import, "file", {"keras": "a .keras or .weights.h5 file"}),
    "export": Mode(_export, "stored"),
    "inspect": Mode(_inspect, "file"),
    "serve": Mode(_serve, "stored"),
    "sweep": Mode(_sweep, "file"),
    "compare": Mode(_compare, "none", {"runs": "workdirs such as 'runs/ablate_blocks/*'"}),
    "reproduce": Mode(_reproduce, "stored"),
}

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment, a file in experiments/.")
_MODE = flags.DEFINE_string("mode", "train", "One of " + ", ".join(MODES) + ".")
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run lives; default runs/<experiment>.")
_KERAS = flags.DEFINE_string("keras", None, "--mode import: the model, a .keras or .weights.h5 file.")
_FORMAT = flags.DEFINE_string("format", "keras", "--mode export: keras.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "--mode export: the file; default model.keras in the workdir. --mode predict: a .csv or .json. "
    "--mode compare: the folder; default comparison beside the runs. --mode reproduce: the new workdir.",
)
_IMAGES = flags.DEFINE_list("images", [], "--mode predict: photographs and folders, separated by commas.")


_HOST = flags.DEFINE_string("host", "127.0.0.1", "--mode serve: address to listen on; 0.0.0.0 is all of them.")
_PORT = flags.DEFINE_integer("port", 8000, "--mode serve: port to listen on; 0 takes a free one.", 0, 65535)
_RUNS = flags.DEFINE_string("runs", "", "--mode compare: workdirs, * and ? allowed, several between commas.")
_BASELINE = flags.DEFINE_string("baseline", "", "--mode compare, sweep: label of the runs to compare the others with.")
_JOBS = flags.DEFINE_integer("jobs", 1, "--mode sweep: runs at once.", lower_bound=1)
_PRUNE = flags.DEFINE_integer("prune", 0, "--mode sweep: ETA of successive halving, at least 2; 0 prunes nothing.")


def parse(argv: list[str]) -> tuple[Mode, list[str]]:
    """Parses flags and overrides and returns the mode, and the overrides of a command without --config.

    Raises:
        UserError: a flag, a key or a value that cannot be used.
    """
    argv, overrides = cli.split_overrides(argv)
    try:
        rest = flags.FLAGS(argv)
        if _CONFIG.present:
            len(_CONFIG.value)  # a file that cannot be loaded fails at first use
    except Exception as error:  # config files and overrides raise many types
        raise UserError(cli.explain(error, argv)) from None
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}: overrides look like --config.train.epochs=2")
    if _FORMAT.value != "keras":
        raise UserError(f"--format is {_FORMAT.value!r}: needs keras")
    if _PRUNE.value and _PRUNE.value < 2:
        raise UserError(f"--prune is {_PRUNE.value}: needs 0, or at least 2: one variant of so many is kept")
    return cli.check_mode(_MODE.value, MODES), overrides


def main(argv: list[str]) -> int:
    """Runs one command and returns the exit status."""
    try:
        mode, overrides = parse(argv)
        logging.set_verbosity(logging.FATAL)  # orbax logs a traceback of every error that it raises as well
        config = _CONFIG.value
        if config is None and _MODE.value == "import":
            from experiments import food10

            config = food10.get_config()  # a reader's model is the tutorial's
        return mode.run(*cli.load(_MODE.value, mode, config, _WORKDIR.value, overrides)) or 0
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
