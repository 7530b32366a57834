"""Evaluates the best checkpoint of a run on its own or on other photographs."""

import itertools
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data import identity, photographs
from foodjax.data.cache import with_known_cache
from foodjax.data.leaks import Duplicates
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.told import tell
from foodjax.evaluation import numbers
from foodjax.evaluation import temperature as temperature_lib
from foodjax.evaluation.predictions import Predictions
from foodjax.evaluation.scores import ClassScores, Scores, compute_scores, sentence, to_table, write_files
from foodjax.run import addresses
from foodjax.run.test_set import open_test_set
from foodjax.run.trained_data import duplicates_of_test, find_duplicates_of
from foodjax.run.wiring import Engine
from foodjax.steps.devices import local
from foodjax.system import files, hosts
from foodjax.system.console import say, show
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.system.shared import check_shared
from foodjax.system.text import cut
from foodjax.workdir import views
from foodjax.workdir.data_check import place_of
from foodjax.workdir.description import read_description
from foodjax.workdir.older_data import distrust


class Evaluation(NamedTuple):
    """An evaluation, with the network, data and predictions behind it.

    `accuracy`, `loss` and `classes` are those of `scores`, which has more.

    Attributes:
        engine: the network and its steps.
        step: of the checkpoint.
        variables: the weights of the checkpoint, as `TrainState.variables`.
        data: the prepared set that was evaluated.
        predictions: of the network, for this set.
        scores: the numbers.
        folder: where they were written.
        temperature: of the probabilities; None without eval.calibrate.
        duplicates: among the photographs of the run and those that were evaluated; None where these are not known.
        view: values of eval.size and others in which the evaluation differs from its run, by the names of the keys.
    """

    engine: Engine
    step: int
    variables: Any
    data: Prepared
    predictions: Predictions
    scores: Scores
    folder: Path
    temperature: temperature_lib.Temperature | None
    duplicates: Duplicates | None = None
    view: dict[str, Any] = {}

    @property
    def accuracy(self) -> float:
        """Share of the images that are predicted right, 0..1."""
        return self.scores.accuracy

    @property
    def loss(self) -> float:
        """Mean cross-entropy, nats; with a temperature, at that."""
        return self.scores.loss

    @property
    def classes(self) -> list[ClassScores]:
        """The name, precision, recall, f_score and support of each class, highest F-score first."""
        return self.scores.classes

    def __repr__(self) -> str:
        temperature = self.temperature and round(self.temperature.temperature, 3)
        return (
            f"Evaluation(folder={str(self.folder)!r}, step={self.step}, num_examples={self.scores.num_examples}, "
            f"accuracy={self.accuracy:.4f}, loss={self.loss:.4f}, temperature={temperature})"
        )


def choose_folder(workdir: Path, name: str, data: dict[str, Any]) -> Path:
    """Returns the folder for an evaluation: evaluation/ as the run's config says, evaluation-NAME/ of something else.

    Args:
        workdir: of the run.
        name: of other photographs, of another view, or of both; "" for the run's own.
        data: what evaluation.json says of them; others of one name get a number.
    """
    if not name:
        return workdir / "evaluation"
    name = cut(name, 200)
    for number in itertools.count(1):
        folder = workdir / (f"evaluation-{name}" if number == 1 else f"evaluation-{name}-{number}")
        if not folder.exists() or {path.name for path in folder.glob("*")} <= {temperature_lib.FILE}:
            return folder
        try:
            found = files.read_json(folder / "evaluation.json")["data"]
            if found.get("view") != data.get("view"):
                continue
            if found.get("content", data["content"]) == data["content"]:
                # Before format 10 the place alone was stored.
                if "content" in found or found == {k: v for k, v in data.items() if k != "content"}:
                    return folder
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # not ours to overwrite
    raise AssertionError


def evaluate_best(
    engine: Engine,
    workdir: Path,
    data: Prepared,
    rows: Any,
    name: str = "",
    validation: Data | None = None,
    duplicates: Duplicates | None = None,
    output: Path | None = None,
) -> Evaluation:
    """Evaluates the best checkpoint, prints the tables and writes the files to the workdir.

    With eval.calibrate the probabilities are those at the checkpoint's temperature. Another view than the run's, such
    as another eval.size, has a folder and a temperature of its own.

    Args:
        engine: the network; its config names the photographs in `data`.
        workdir: of the run.
        data: the prepared test set.
        rows: of the set, to evaluate.
        name: of the source, for photographs that are not the run's own; "" for its own.
        validation: the run's own data, to fit the temperature on; None reads the temperature from the workdir.
        duplicates: for the report.
        output: folder that gets the files in the place of the workdir.

    Raises:
        UserError: there is no checkpoint or no temperature, or the files cannot be written; or eval.top5 is set with
            five classes or fewer.
    """
    numbers.check(engine.config, len(engine.class_names))
    addresses.check("evaluate", engine.config, engine.model, engine.eval_batch_size(len(rows)))
    step, variables = engine.load_weights(workdir)
    base, view = workdir if output is None else output, views.changes(engine.config, workdir)
    if engine.config.eval.calibrate and validation is not None:
        temperature = temperature_lib.fit(engine.validate(variables, validation), step)
        if hosts.is_first():
            temperature_lib.write(views.place(base, view), temperature)
    else:
        temperature = temperature_lib.of_checkpoint(engine.config, workdir, step)
    predictions = engine.evaluate_rows(variables, data, rows)
    if temperature is not None:
        predictions = temperature_lib.apply(predictions, temperature)
    scores = compute_scores(predictions, engine.class_names)
    top5 = numbers.top_accuracy(predictions) if engine.config.eval.top5 else None
    of = place_of(engine.config) | {"content": identity.content(identity.photographs(data, rows))}
    if view:
        of["view"] = view
        say(f"with {views.words(view)}, unlike the run's own evaluation")
    label = "-".join(filter(None, (name, views.label(view))))
    folder = Path(hosts.by_first(lambda: str(choose_folder(base, label, of))))
    if hosts.is_first():
        more = {"step": step, "temperature": temperature.temperature if temperature else None, "data": of}
        more |= {} if top5 is None else {"top5": top5}
        write_files(folder, scores, predictions, data.ids, engine.class_names, more)
        originals = duplicates.originals if duplicates else {}
        of_set = "train" if engine.config.data.fold and not name else "test"  # as the data has them
        files.write_all(folder, photographs.to_files(photographs.of_evaluation(data, rows, originals, of_set)))
    show(to_table(scores))
    if temperature is not None:
        print(temperature)
    print(sentence(scores, top5))
    say(f"checkpoint of step {step}; tables in {folder}")
    own = local(variables)  # of several processes the first one alone explains pictures in the report
    return Evaluation(engine, step, own, data, predictions, scores, folder, temperature, duplicates, view)


def evaluate_workdir(
    config: Config | ConfigDict | None, workdir: PathLike, output: PathLike | None = None
) -> Evaluation:
    """Evaluates the best checkpoint of `workdir` on the test set that `config.data` names.

    With eval.calibrate, a missing temperature is fitted, on the run's own data alone.

    Args:
        config: the workdir's own config, perhaps with other values of the keys that an evaluation may change; None
            reads it.
        workdir: folder of a run; its class names are the labels.
        output: folder that gets the files in the place of the workdir, which then may be read-only.

    Raises:
        UserError: the data or the workdir cannot be used.
    """
    workdir, base = to_path(workdir), to_path(workdir if output is None else output)
    _check_writable(base)
    if output is None:
        files.refuse_links(workdir)
    stored, class_names = read_description(workdir)
    config = with_known_cache(stored if config is None else checked(config), stored)
    check_shared(base, "folder", "a --workdir on a file system that all processes share")
    if line := distrust(workdir):
        say(line)
    test_set, name, rows, whole = open_test_set(config, workdir, class_names)
    if whole is None:  # else told already
        tell(test_set.found)
    if not len(rows):
        raise UserError("the data has no test images: needs at least one")
    duplicates = duplicates_of_test(whole) if whole else find_duplicates_of(workdir, stored, config, test_set)
    tested, total = len(np.unique(test_set.labels[rows])), len(class_names)
    of = f"{tested} of the run's {total}" if tested < total else f"{total}"
    print(f"data: {of} classes, {len(rows)} test images" + (f"; {duplicates}" if duplicates else ""))
    if duplicates and (leaks := duplicates.num_leaks()):
        print(
            f"{leaks:,} of the {len(rows):,} test images are among the run's training or validation images too: the "
            f"accuracy is not that of new photographs"
        )
    validation = None if name else temperature_lib.data_to_fit_on(config, workdir, class_names)
    engine = Engine(config, class_names, batch_size=jax.device_count())  # an evaluation fits any number of devices
    return evaluate_best(engine, workdir, test_set, rows, name, validation, duplicates, base)


def _check_writable(folder: Path) -> None:
    """Raises UserError before the evaluation where its files cannot be written."""
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UserError(f"cannot write to {folder}: needs --output FOLDER, a place for the files of the evaluation")
