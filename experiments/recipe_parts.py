"""From the tutorial's recipe to food10_fast, one change at a time, over three seeds.

    foodjax sweep --config recipe_parts --config.data.dir=../food-101

Every run trains on 48 pixels for 6 epochs. The tutorial's block 4 is padded: unpadded it leaves nothing of 48 pixels.
docs/recipe.md has the results.
"""

from ml_collections import ConfigDict

from foodjax import Sweep, load_config, variants

STEPS = ("tutorial", "network", "norm", "augment", "adamw", "muon", "mix", "flip")  # each adds to those before


def get_config(arg: str = "") -> ConfigDict:
    """Returns the recipe with all steps, or with those up to `step=...`."""
    variant = variants.parse(arg, step=STEPS[::-1])  # the first value is the default: all steps
    taken = STEPS[: STEPS.index(variant.own["step"]) + 1]
    ours, config = load_config("food10_fast"), load_config("food10")
    config.name = "recipe_parts"
    config.data.update(image_size=48, resize="box", batch_size=128)
    config.model.blocks[3].padding = ("SAME", "SAME")
    config.train.update(epochs=6, patience=6)
    if "network" in taken:
        config.model = ours.model.copy_and_resolve_references()
        config.model.norm = "none"
    if "norm" in taken:
        config.model.norm = ours.model.norm
    if "augment" in taken:
        config.augment = ours.augment.copy_and_resolve_references()
        config.augment.cutmix = 0.0
        config.data.image_size = ours.data.image_size
        config.eval.size = ours.eval.size
    if "adamw" in taken:
        config.optimizer = ours.optimizer.copy_and_resolve_references()
        config.optimizer.update(name="adamw", momentum=0.9)
    if "muon" in taken:
        config.optimizer = ours.optimizer
    if "mix" in taken:
        config.augment.cutmix = ours.augment.cutmix
        config.train.label_smoothing = ours.train.label_smoothing
    if "flip" in taken:
        config.eval.update(flip=ours.eval.flip, calibrate=ours.eval.calibrate)
    return variants.apply(config, variant)


def get_sweep(arg: str = "") -> Sweep:
    """Returns the recipe up to each step, over three seeds; the tutorial's is the baseline."""
    return Sweep([f"step={step}" for step in STEPS], seeds=3)
