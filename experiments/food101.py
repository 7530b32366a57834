"""All 101 classes of Food-101 with the tutorial's model and recipe.

    python main.py --config experiments/food101.py

Data: TFDS downloads 5 GB once; the prepared cache takes 5 GB.
Time and result: not measured; the tutorial says 20+ hours on a GTX 1080 Ti.
"""

from ml_collections import ConfigDict

from experiments import food10
from foodjax import variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns the tutorial's experiment over all classes, or the variant `arg` of it."""
    config = food10.get_config()
    config.name = "food101"
    config.data.num_classes = 0
    return variants.apply(config, arg)
