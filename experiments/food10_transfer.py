"""Ten classes by fine-tuning EfficientNet-Lite, which was trained on ImageNet.

    foodjax train --config food10_transfer
    foodjax train --config food10_transfer:size=2 --config.model.init_from=WEIGHTS

Weights: those of timm on the hub (`pip install 'foodjax[pretrained]'`), or WEIGHTS: a .pth or .safetensors file of the
network (docs/weights.md), or the workdir of `foodjax probe` with the same network, with whose last layer it starts.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the fine-tuning of EfficientNet-Lite0, or the variant `arg` of it; size=2 is Lite2."""
    variant = variants.parse(arg, size=(0, 1, 2))
    config = load_config(f"food10_probe:size={variant.own['size']}")
    config.name = "food10_transfer"

    sides = {0: (192, 224), 1: (208, 240), 2: (224, 260)}[variant.own["size"]]
    config.data.batch_size = 32
    config.augment.update(crop_area=(0.45, 1.0), crop_aspect=1.33, flip_horizontal=True, cutmix=0.3)

    config.optimizer.update(name="adamw", learning_rate=2e-4, schedule="cosine", warmup=0.1)
    config.optimizer.update(momentum=0.9, decay=0.999, epsilon=1e-8, weight_decay=0.05)
    config.optimizer.rates = (("logits/*", 10.0),)

    config.train.update(solver="steps", epochs=8, label_smoothing=0.1, ema_decay=0.99, freeze_batch_stats=True)
    config.train.progressive_resizing = tuple(zip((0, 4), sides, strict=True))  # small ones first: they are faster
    config.train.patience = config.train.epochs  # no early stop: the schedule ends with its lowest rate
    return variants.apply(config, variant)
