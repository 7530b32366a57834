"""Your own photographs: a folder for each class, or any layout of docs/photographs.md.

    foodjax train --config photos --config.data.dir=MY_FOLDER
    foodjax train --config photos:pretrained=tf_efficientnet_lite0 --config.data.dir=MY_FOLDER
    foodjax probe --config photos:pretrained=tf_efficientnet_lite0 --config.data.dir=MY_FOLDER

All classes are taken, of any number and size. The network is that of food10_fast. With `pretrained=` it is one that was
trained on ImageNet: its weights are downloaded, or read from `--config.model.init_from=FILE` (docs/weights.md); `train`
trains it further, `probe` its last layer alone, which is faster (docs/transfer.md). What is 0 or () here is chosen when
the run starts, told in a line and kept in the run's config.json.
"""

from ml_collections import ConfigDict

from foodjax import load_config, variants
from foodjax.config.backbones import BACKBONES


def get_config(arg: str = "") -> ConfigDict:
    """Returns the experiment for own photographs, or the variant `arg` of it; pretrained=NAME takes a backbone."""
    variant = variants.parse(arg, pretrained=("none", *BACKBONES))
    backbone = variant.own["pretrained"]
    config = load_config("food10_fast" if backbone == "none" else "food10_transfer")
    config.name = "photos"

    config.data.tfds_name = ""
    config.data.num_classes = 0  # all
    config.data.image_size = 0  # chosen
    config.data.batch_size = 0  # chosen
    config.data.validation_fraction = 0.0  # chosen
    config.data.geometry = "crop"

    config.augment.update(crop_area=(0.5, 1.0), brightness=(0.8, 1.2), contrast=0.2, cutmix=0.0)

    config.model.input_size = 0  # data.image_size
    config.eval.update(size=0, calibrate=False)  # few validation pictures make no good temperature

    if backbone == "none":
        config.train.update(epochs=30, patience=30)
    else:
        config.train.update(epochs=15, patience=15, progressive_resizing=())
        config.model.update(backbone=backbone, init_from=BACKBONES[backbone].weights)
        config.model.head.pooling = "token" if BACKBONES[backbone].has_token else "average"
    return variants.apply(config, variant)
