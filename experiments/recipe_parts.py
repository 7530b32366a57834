"""What each part of food10_fast is worth: from the tutorial's recipe to it, one change at a time, over three seeds.

    python main.py --mode sweep --config experiments/recipe_parts.py --config.data.dir=../food-101

Everything is at food10_fast's 48 pixels, for 6 epochs. The tutorial's block 4 is padded, since nothing of 48 pixels
would be left otherwise. The result is in docs/recipe.md.
"""

from ml_collections import ConfigDict

from experiments import food10, food10_fast
from foodjax import variants
from foodjax.study.space import Sweep

# Each holds those before it. The first is the tutorial, the last food10_fast.
STEPS = ("smoothing", "tutorial", "network", "norm", "augment", "adamw", "muon")
_ORDER = (*STEPS[1:], STEPS[0])


def get_config(arg: str = "") -> ConfigDict:
    """Returns food10_fast with 6 epochs, or what it was before the steps behind `step=...` were taken."""
    variant = variants.parse(arg, step=STEPS)
    taken = _ORDER[: _ORDER.index(variant.own["step"]) + 1]
    ours, config = food10_fast.get_config(), food10.get_config()
    config.name = "recipe_parts"
    config.data.update(image_size=54, resize="box", batch_size=128)
    config.augment.crop_area = ours.augment.crop_area
    config.eval.crop_area = ours.eval.crop_area
    config.model.input_size = ours.model.input_size
    config.model.blocks[3].padding = ("SAME", "SAME")
    config.train.update(epochs=6, patience=6)
    if "network" in taken:
        config.model = ours.model.copy_and_resolve_references()
        config.model.norm = "none"
    if "norm" in taken:
        config.model.norm = ours.model.norm
    if "augment" in taken:
        config.augment = ours.augment
    if "adamw" in taken:
        config.optimizer = ours.optimizer.copy_and_resolve_references()
        config.optimizer.update(name="adamw", momentum=0.9)
    if "muon" in taken:
        config.optimizer.update(name="muon", momentum=ours.optimizer.momentum)
    if "smoothing" in taken:
        config.train.label_smoothing = ours.train.label_smoothing
        config.eval.flip = ours.eval.flip
    return variants.apply(config, variant)


def get_sweep(arg: str = "") -> Sweep:
    """Returns the steps, the last one first, and three seeds."""
    return Sweep(["", *(f"step={step}" for step in _ORDER[:-1])], seeds=3)
