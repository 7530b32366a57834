"""The runs of a sweep: a list of variants, written out, made by a grid, or sampled at random.

An experiment file defines `get_sweep(arg)`, which returns a list of variants or a `Sweep`:

    def get_sweep(arg: str = ""):
        return Sweep(["", "drop_block=4", *grid(lr=[1e-4, 3e-4], dropout=[0.2, 0.5])], seeds=3)
"""

import itertools
import math
from pathlib import Path
from typing import Any, NamedTuple

from foodjax.config import variants as variants_lib
from foodjax.config.check import checked, difference
from foodjax.config.experiments import Experiment, load, split_variant
from foodjax.config.fold import Fold
from foodjax.config.keys import Config
from foodjax.config.override import assign
from foodjax.system.errors import UserError, first_line


class Sweep(NamedTuple):
    """The runs of a sweep: every variant with every seed.

    Attributes:
        variants: as after the colon of --config; the first is the baseline, "" is the experiment itself.
        seeds: number of seeds; they are 0, 1, ...

    Example:
        >>> import foodjax
        >>> foodjax.Sweep(["", "drop_block=4"], seeds=3)
        Sweep(variants=['', 'drop_block=4'], seeds=3)
    """

    variants: list[str]
    seeds: int = 1


class Trial(NamedTuple):
    """One run of a sweep.

    Attributes:
        label: the variant as a folder name; "baseline" for "".
        argument: value of --config, EXPERIMENT:VARIANT.
        seed: seed of the run; on folds each has its own.
        config: config with variant, overrides and seed applied.
        workdir: folder of the run.
    """

    label: str
    argument: str
    seed: int
    config: Config
    workdir: Path


def grid(**values: list[Any]) -> list[str]:
    """Returns a variant for each combination of values.

    Example:
        >>> import foodjax
        >>> foodjax.grid(lr=[1e-4, 3e-4], dropout=[0.2, 0.5])
        ['lr=0.0001,dropout=0.2', 'lr=0.0001,dropout=0.5', 'lr=0.0003,dropout=0.2', 'lr=0.0003,dropout=0.5']
    """
    return [_join(dict(zip(values, point, strict=True))) for point in itertools.product(*values.values())]


def random(num: int, seed: int = 0, **space: Any) -> list[str]:
    """Returns `num` variants sampled by Optuna's random sampler, the same for the same seed.

    Args:
        num: number of variants.
        seed: seed of the sampler.
        **space: for each name a list of values, or (low, high); log-uniform when both are above zero.

    Raises:
        UserError: Optuna is not installed.

    Example:
        >>> import foodjax
        >>> len(foodjax.random(8, lr=(1e-5, 1e-2), dropout=[0.0, 0.5]))
        8
    """
    try:
        import optuna
    except ImportError:
        raise UserError("random variants need Optuna: pip install 'foodjax[study]'") from None
    distributions: dict[str, Any] = {
        name: optuna.distributions.FloatDistribution(*values, log=values[0] > 0)
        if isinstance(values, tuple)
        else optuna.distributions.CategoricalDistribution(values)
        for name, values in space.items()
    }
    # Asked without a study, which would write to Optuna's log.
    sampler: Any = optuna.samplers.RandomSampler(seed)

    def draw(name: str) -> Any:
        if distributions[name].single():
            return float(space[name][0]) if isinstance(space[name], tuple) else space[name][0]
        return sampler.sample_independent(None, None, name, distributions[name])

    drawn = [{name: draw(name) for name in space} for _ in range(num)]
    # Values are rounded to three digits, so that the folder's name holds the exact value of the training.
    return [_join({k: float(f"{v:.3g}") if isinstance(v, float) else v for k, v in point.items()}) for point in drawn]


def _join(point: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in point.items())


def load_sweep(argument: str, folds: int = 0) -> tuple[Experiment, Sweep]:
    """Loads the experiment of --config, EXPERIMENT or EXPERIMENT:VARIANT, and its sweep.

    Args:
        argument: value of --config.
        folds: of each variant; with some, an experiment that defines no sweep is the only variant.

    Raises:
        UserError: it defines no sweep, or an invalid one.
    """
    name, arg = split_variant(argument)
    experiment = load(name)
    if folds and not hasattr(experiment.module, "get_sweep"):
        return experiment, Sweep([""])
    if not hasattr(experiment.module, "get_sweep"):
        raise UserError(f"{name} defines no get_sweep(): a sweep needs one that returns a list of variants")
    found = experiment.call("get_sweep", arg)
    sweep = found if isinstance(found, Sweep) else Sweep(found)
    if not isinstance(sweep.variants, list) or not all(isinstance(v, str) for v in sweep.variants) or sweep.seeds < 1:
        raise UserError(f"get_sweep() of {name} is {found!r}: needs a list of variants such as ['', 'drop_block=4']")
    return experiment, sweep


def create_trials(argument: str, overrides: dict[str, Any], folder: Path, folds: int = 0) -> list[Trial]:
    """Returns the runs of an experiment's sweep with checked configs, the baseline first.

    Args:
        argument: value of --config, EXPERIMENT or EXPERIMENT:VARIANT.
        overrides: from --config.KEY=VALUE; they apply to every run.
        folder: folder of the sweep; each run gets one inside.
        folds: so many runs of each variant and seed, each on a fold and with a seed of its own; 0: one, without folds.

    Raises:
        UserError: a variant is invalid (the message names it and the reason), or two are the same, or data.fold is
            given beside folds.
    """
    if folds and "data.fold" in overrides:
        raise UserError(f"--folds is {folds} and data.fold is {overrides['data.fold']!r}: needs one of them")
    experiment, sweep = load_sweep(argument, folds)
    name, arg = split_variant(argument)
    trials: list[Trial] = []
    for variant in sweep.variants:
        # The variance over folds then has that over seeds in it.
        for seed in range(sweep.seeds * max(1, folds)):
            fold = Fold(seed % folds + 1, folds) if folds else None
            text = ",".join(filter(None, [arg, variant, f"seed={seed}", f"data.fold={fold}" if fold else ""]))
            try:
                draft = experiment.config(text)
                for key, value in overrides.items():
                    assign(draft, key, value)
                config = checked(draft)
            except UserError as error:
                raise UserError(f"variant {variant!r} of the sweep: {first_line(error)}") from None
            label = variants_lib.slug(variant) or "baseline"
            of_fold = f"-fold{fold.number}of{fold.count}" if fold else ""
            trial = Trial(label, f"{name}:{text}", seed, config, folder / f"{label}{of_fold}-seed{seed}")
            for other in trials:
                if difference(other.config, config, ignore=("name",)) is None:
                    raise UserError(f"variants {other.label!r} and {label!r} have the same config: needs distinct ones")
            trials.append(trial)
    # Ordered by seed, so that an early comparison has every variant.
    return sorted(trials, key=lambda trial: trial.seed)


def rungs(num_variants: int, epochs: int, eta: int) -> list[tuple[int, int]]:
    """Returns the rungs of successive halving (Jamieson & Talwalkar 2016): (epoch, variants kept after it).

    With 9 variants, 27 epochs and eta 3: [(3, 3), (9, 1)]; the last variant trains to the end.

    Args:
        num_variants: variants at the start.
        epochs: epochs of a whole run.
        eta: each rung keeps 1 / eta of the variants and trains eta times as long; 0: no rungs.
    """
    count = int(math.log(num_variants, eta) + 1e-9) if eta and num_variants > 1 else 0
    steps = [(max(1, epochs // eta ** (count - k)), max(1, num_variants // eta ** (k + 1))) for k in range(count)]
    return [(epoch, kept) for epoch, kept in steps if epoch < epochs]
