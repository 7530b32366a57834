"""The folder of prepared photographs."""

from pathlib import Path

from foodjax.config.check import replace
from foodjax.config.keys import Config
from foodjax.system.console import say
from foodjax.system.files import to_path, user_cache


def cache_root(config: Config) -> Path:
    """Returns the folder of all prepared sets: data.cache_dir, or foodjax/ in the user's cache folder."""
    if config.data.cache_dir:
        return to_path(config.data.cache_dir).resolve()
    return user_cache()


def with_known_cache(config: Config, stored: Config) -> Config:
    """Returns a config with the user's own cache where the workdir names a folder that is no cache; prints a line.

    Anyone may have made the workdir, and nothing is written to a folder that it names.

    Args:
        config: of the command.
        stored: of the workdir. Its data.cache_dir is used only where that folder holds prepared photographs.
    """
    place = config.data.cache_dir
    if not place or place != stored.data.cache_dir or next(to_path(place).glob("*/info.json"), None):
        return config
    say(f"data.cache_dir={place} of the workdir holds no prepared photographs: the user's own cache is used")
    return replace(config, {"data.cache_dir": ""})
