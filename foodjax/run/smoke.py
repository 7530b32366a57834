"""A smoke test of an experiment: one batch of every stage, from its own photographs, in seconds."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from foodjax.config.check import replace
from foodjax.config.fold import parse
from foodjax.config.keys import Config
from foodjax.data.choose import choose
from foodjax.data.sets import Data, load_source
from foodjax.data.sources.base import Source
from foodjax.data.sources.few import FewOfEach
from foodjax.data.sources.find import create_source, select_classes
from foodjax.system.console import say
from foodjax.system.files import PathLike, to_path


def prepare_smoke(config: Config, workdir: PathLike) -> tuple[Config, Path, Data]:
    """Prepares a run of one training step: its config, its workdir and its data.

    The network, the optimizer and the sizes are the experiment's own. Of the photographs only as many of each class
    are read as a batch needs. The training, validation and test parts are a batch each, with all classes in them where
    a batch has room.

    Args:
        config: the experiment.
        workdir: of the experiment's run, which is not touched.

    Returns:
        (the config with one epoch; WORKDIR-smoke, or the first free WORKDIR-smoke-2, ...; the data).

    Raises:
        UserError: the data cannot be used.
    """
    folder = next(f for f in _folders(to_path(workdir)) if not f.exists())
    config = replace(config, {"train.epochs": 1, "data.cache_dir": str(folder.absolute() / "prepared")})
    config = replace(config, {"eval.more": (), "train.profile": ()})  # a single step, and few photographs
    source = create_source(config)
    config = choose(config, source, jax.device_count())
    few = FewOfEach(source, _count(config, source))
    # With duplicates left out a batch might not be filled.
    data = load_source(few, replace(config, {"data.duplicates": "tell"}))
    size, eval_size = config.data.batch_size, config.data.eval_batch_size
    parts = data.parts._replace(
        train=_spread(data.parts.train, size),
        validation=_spread(data.parts.validation, eval_size),
        test=_spread(data.parts.test, eval_size),
    )
    say(f"smoke test in {folder}: {size} train, {len(parts.validation)} validation, {len(parts.test)} test images")
    return config, folder, data._replace(parts=parts)


def _folders(workdir: Path) -> Iterator[Path]:
    yield workdir.with_name(f"{workdir.name}-smoke")
    yield from (workdir.with_name(f"{workdir.name}-smoke-{k}") for k in itertools.count(2))


def _count(config: Config, source: Source) -> int:
    """Returns how many photographs of each class suffice for a batch after validation is held out of them."""
    listing = select_classes(source.listing(), config.data.num_classes, config.data.class_names)
    share, fold = config.data.validation_fraction, parse(config.data.fold)
    smallest = math.ceil(1 / share)  # a class with fewer gives none to validation
    examples = [*listing.train, *listing.validation] if fold else listing.train
    of_each = np.array(list(Counter(example.class_name for example in examples).values()) or [0])
    if config.data.group:
        return int(of_each.max())  # the first photographs of a class may all be of one group
    if fold:
        smallest = max(2 * fold.count, smallest + fold.count)
    for count in range(smallest, int(of_each.max()) + 1):
        kept = np.minimum(of_each, count)
        kept = kept - -(-kept // fold.count) if fold else kept
        if (kept - (share * kept).astype(int)).sum() >= config.data.batch_size:
            return count
    return max(smallest, int(of_each.max()))


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` of the rows, evenly spread over the classes that they are sorted by; all if they are fewer."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
