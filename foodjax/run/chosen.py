"""The data of a run, with the values that are chosen from its photographs once and then kept in its config.json."""

from pathlib import Path

import jax

from foodjax.config.keys import Config
from foodjax.data.choose import choose, choose_for, keep, open_keys
from foodjax.data.sets import Data, load_source
from foodjax.data.sources.find import create_source
from foodjax.workdir.description import read_description


def with_stored(config: Config, workdir: Path) -> Config:
    """Returns a config with the values that the run of a workdir has chosen; unchanged where there is no run.

    Raises:
        UserError: the workdir is damaged.
    """
    if not open_keys(config) or not (workdir / "config.json").exists():
        return config
    return keep(config, read_description(workdir)[0])


def load_chosen(config: Config, data: Data | None = None) -> tuple[Config, Data]:
    """Chooses the values that a config leaves open, and prepares its photographs.

    Args:
        config: the experiment.
        data: prepared sets; None prepares those that config names.

    Returns:
        The config, with a value for every key, and the data.

    Raises:
        UserError: the data cannot be used.
    """
    devices = jax.device_count()
    if data is not None:
        return choose_for(config, data.train, devices), data
    source = create_source(config)  # once: it lists its photographs for the choice and for the preparation
    config = choose(config, source, devices)
    return config, load_source(source, config)
