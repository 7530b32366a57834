"""All 101 classes of Food-101 by fine-tuning ResNet-50, for a GPU.

    foodjax train --config food101_transfer

Weights: timm's on the hub (`pip install 'foodjax[pretrained]'`).
Data: TFDS downloads 5 GB once; the prepared cache takes 20 GB.
Time and result: not measured.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the fine-tuning of ResNet-50 over all classes, or the variant `arg` of it."""
    config = load_config("food10_transfer")
    config.name = "food101_transfer"

    config.data.num_classes = 0  # all
    config.data.image_size = 256
    config.data.batch_size = 128
    config.augment.update(crop_area=(0.25, 1.0), cutmix=0.5)

    config.model.update(backbone="resnet50", init_from="hf://timm/resnet50.a1_in1k", input_size=224, drop_path=0.05)
    config.optimizer.update(learning_rate=4e-4, layer_decay=0.8, clip_norm=1.0)

    config.train.update(epochs=20, patience=20, ema_decay=0.9995, freeze_batch_stats=False)
    config.train.progressive_resizing = ((0, 160), (8, 192), (14, 224))
    config.eval.size = 256
    return variants.apply(config, arg)
