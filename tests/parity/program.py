"""The other side: the tutorial's Keras program, as its reader writes it."""

import json

import keras
import numpy as np
from keras.src.legacy.preprocessing.image import ImageDataGenerator

LAYERS = keras.layers
RESCALE = 1.0 / 255


def create_generator(**changes):
    """The tutorial's augmentation and split."""
    arguments = dict(
        rotation_range=90, width_shift_range=0.5, brightness_range=(0.1, 0.7), horizontal_flip=True,
        vertical_flip=True, validation_split=0.15, rescale=RESCALE,
    )  # fmt: skip
    return ImageDataGenerator(**(arguments | changes))


def create_model(size=128, width=1, dropout=0.2, **compile_arguments):
    """The tutorial's network, compiled; `width` divides the channels and `dropout` None leaves the layers out."""
    model = keras.Sequential([keras.Input((size, size, 3))])
    for features, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        model.add(LAYERS.Conv2D(features // width, kernel, padding="same", activation="relu"))
        model.add(LAYERS.Conv2D(features // width, kernel, activation="relu"))
        if features == 128:
            model.add(LAYERS.Activation("relu"))  # the tutorial's one too many
        model.add(LAYERS.MaxPooling2D(pool))
        if dropout is not None:
            model.add(LAYERS.Dropout(dropout))
    model.add(LAYERS.Flatten())
    model.add(LAYERS.Dense(1024 // width, activation="relu"))
    if dropout is not None:
        model.add(LAYERS.Dropout(dropout))
    model.add(LAYERS.Dense(10, activation="softmax"))
    optimizer = keras.optimizers.RMSprop(**({"learning_rate": 1e-4} | compile_arguments))
    model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def rescale(images, dtype=np.float32):
    """What ImageDataGenerator(rescale=1/255) makes of uint8 images."""
    return images.astype(dtype) * dtype(RESCALE)


def move_files(root, target):
    """Makes train/<class>/ and test/<class>/ as meta/*.json list them (links in place of the tutorial's moves)."""
    for part in ("train", "test"):
        for name, ids in json.loads((root / "meta" / f"{part}.json").read_text()).items():
            (target / part / name).mkdir(parents=True)
            for i in ids:
                (target / part / f"{i}.jpg").symlink_to((root / "images" / f"{i}.jpg").resolve())
    return target
