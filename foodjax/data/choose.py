"""Values that are chosen: share of validation, side of the pictures, batch size, and what a backbone expects.

An experiment leaves such a key at 0, or (). It is chosen before anything is prepared, told in a line, and stored in the
run's config, so that a run keeps its values whatever becomes of its photographs.
"""

import io
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import leaves, replace
from foodjax.config.fold import parse
from foodjax.config.keys import Config
from foodjax.config.values import spell
from foodjax.data.formats import FORMATS, open_heif
from foodjax.data.prepared import Prepared
from foodjax.data.sources.base import Example, Source
from foodjax.data.sources.find import select_classes
from foodjax.system.errors import UserError

KEYS = ("data.validation_fraction", "data.image_size", "data.batch_size")
OF_BACKBONE = ("model.input_mean", "model.input_deviation")
SHARE = 0.15  # of validation, where that gives every class a picture
MOST_SHARE = 0.334  # where a few classes have less than 3; where most have, 0.5
SIDES = (32, 48, 64)  # pixels; multiples of 16, which the fast network halves four times without a rest
PIXELS = 1e9  # in one training, of all pictures and epochs: about 20 minutes of the fast network on two cores
BATCHES = (4, 128)  # images: batch normalisation needs some, and more make no step better
STEPS = 20  # in an epoch, where the smallest batch allows it
_LOOKED_AT = 64  # photographs, for their sizes
_MOST_PIXELS = 10**9  # of a photograph whose size is asked for; nothing is decoded


def open_keys(config: Config) -> tuple[str, ...]:
    """Returns the names of the keys that are still to be chosen."""
    values, keys = dict(leaves(config)), KEYS + (OF_BACKBONE if config.model.backbone else ())
    return tuple(name for name in keys if not values[name])


def keep(config: Config, stored: Config) -> Config:
    """Returns a config with the values that its run has chosen already.

    Args:
        config: the experiment.
        stored: the config of its run.
    """
    values = dict(leaves(stored))
    return replace(config, {name: values[name] for name in open_keys(config)})


def choose(config: Config, source: Source, devices: int = 1) -> Config:
    """Chooses the values that a config leaves open, and prints a line for each; asks the source only if there are any.

    Args:
        config: the experiment.
        source: of its photographs.
        devices: the batch size becomes a multiple of their number.

    Raises:
        UserError: the data cannot be used.
    """
    config = _with_standard(config)
    names = open_keys(config)
    if not names:
        return config
    data = config.data
    listing = select_classes(source.listing(), 0 if data.class_names else data.num_classes, data.class_names)
    validates = bool(listing.validation) and not data.fold
    examples = [*listing.train, *listing.validation] if data.fold else listing.train
    counts = Counter(example.class_name for example in examples)
    sides = _short_sides(source, examples) if "data.image_size" in names else []
    return _choose(config, [counts[name] for name in listing.class_names], validates, sides, devices)


def choose_for(config: Config, train: Prepared, devices: int = 1) -> Config:
    """Chooses the values that a config leaves open, for prepared pictures, as `choose` does; their side is theirs.

    Args:
        config: the experiment.
        train: the train set.
        devices: the batch size becomes a multiple of their number.
    """
    config = _with_standard(config)
    if "data.image_size" in open_keys(config):
        config = replace(config, {"data.image_size": train.images.shape[1]})
    if not open_keys(config):
        return config
    counts = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
    return _choose(config, counts, bool(train.found.counts.get("validation")), [], devices)


def _with_standard(config: Config) -> Config:
    """Returns the config with the mean and deviation that its backbone expects, where it leaves them open."""
    names = [name for name in OF_BACKBONE if name in open_keys(config)]
    if not names:
        return config
    found: dict[str, tuple[float, ...]] = dict(zip(OF_BACKBONE, config.standard, strict=True))
    for name in names:
        print(f"chosen: {name}={spell(found[name])}, of {config.model.backbone}")
    return replace(config, {name: found[name] for name in names})


def _choose(config: Config, counts: list[int], validates: bool, sides: Sequence[int], devices: int) -> Config:
    """Chooses by the number of train photographs of each class, and the short sides of some of them."""
    names, data = open_keys(config), config.data
    if fold := parse(data.fold):
        counts = [count - -(-count // fold.count) for count in counts]  # the same values for every fold
    own = validates and data.protocol == "holdout"
    share = data.validation_fraction or validation_share(counts)
    left = [count if own else count - int(share * count) for count in counts]
    total = sum(min(count, data.train_per_class or count) for count in left)
    backbone = BACKBONES.get(config.model.backbone)
    side = data.image_size or (backbone.size if backbone else picture_side(sides, total * config.train.epochs))
    size = data.batch_size or batch_size(total, devices)
    if "data.validation_fraction" in names and not own:
        print(f"chosen: data.validation_fraction={share:g}, as the smallest class has {min(counts)} to train with")
    if "data.image_size" in names:
        seen = f"half of the photographs have a short side of {int(np.median(sides))} or more" if sides else "unknown"
        reason = f"as {config.model.backbone} expects" if backbone else f"for {total:,} images to train on"
        print(f"chosen: data.image_size={side} pixels, {reason}; {seen}")
    if "data.batch_size" in names:
        print(f"chosen: data.batch_size={size}, {total // size if size else 0} steps in each epoch")
    return replace(config, {"data.validation_fraction": share, "data.image_size": side, "data.batch_size": size})


def validation_share(counts: Sequence[int]) -> float:
    """Returns the share of each class that validates.

    It is the least share from `SHARE` on that gives every class a picture, but at most `MOST_SHARE`, or the least that
    gives one to the larger half of the classes: a few tiny classes do not cost the others half of their photographs.

    Args:
        counts: photographs of each class.
    """
    usable = sorted(count for count in counts if count > 1) or [2]
    most = max(MOST_SHARE, share_for(usable[len(usable) // 2]))
    return min(max(SHARE, share_for(usable[0])), most)


def share_for(count: int) -> float:
    """Returns the least share, of three digits, that is a whole picture of a class with `count`."""
    return math.ceil(1000 / count) / 1000


def picture_side(short_sides: Sequence[int], pictures: int) -> int:
    """Returns the side of the prepared pictures, one of `SIDES`.

    It is the largest that does not enlarge most of the photographs, and with which a training shows `PIXELS` at most.

    Args:
        short_sides: of some photographs, in pixels; empty if none is known.
        pictures: that a training shows in all its epochs.
    """
    limit = min(np.median(short_sides) if short_sides else math.inf, math.sqrt(PIXELS / max(1, pictures)))
    return max((side for side in SIDES if side <= limit), default=SIDES[0])


def batch_size(total: int, devices: int = 1) -> int:
    """Returns the size of a training batch.

    It is the largest power of 2 in `BATCHES` with which an epoch has `STEPS` steps, not more than there are images; a
    multiple of the number of devices, where that can be.

    Args:
        total: images to train on.
        devices: their number.
    """
    low, high = BATCHES
    size = 2 ** int(math.log2(min(max(total / STEPS, low), high, max(total, 1))))
    return size if size % devices == 0 else max(size // devices, 1) * devices


def _short_sides(source: Source, examples: Sequence[Example]) -> list[int]:
    """Returns the short sides of some photographs, spread over all; those that cannot be read are left out."""
    ordered = sorted(examples, key=lambda example: example.id)
    some = {round(i) for i in np.linspace(0, len(ordered) - 1, min(_LOOKED_AT, len(ordered)))}
    sides = []
    for _, encoded in source.read([ordered[i] for i in sorted(some)]):
        try:
            with open_heif(encoded, _MOST_PIXELS) or Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
                sides.append(min(image.size))
        except Exception:  # noqa: S112, preparing tells what is wrong with it
            continue
    return sides


def no_validation(config: Config, counts: np.ndarray) -> UserError:
    """Returns the error for a share that takes no picture of any class, with one that takes some of each."""
    fraction = config.data.validation_fraction
    if counts.max() < 2:
        return UserError(
            f"no class has a second image to validate on: needs at least 3 photographs of each class (one to train, to "
            f"validate and to test on), or a part val/ (data.validation_fraction is {fraction:g})"
        )
    share = share_for(counts[counts > 1].min())
    left = int(sum(counts) - sum(int(share * count) for count in counts))
    smaller = f" (with data.batch_size={left} at most)" if left < config.data.batch_size else ""
    return UserError(
        f"data.validation_fraction is {fraction:g}, less than one image of any class: needs at least "
        f"{share_for(counts.max()):g}, and {share:g} for an image of each class{smaller}"
    )
