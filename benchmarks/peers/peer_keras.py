"""The tutorial's own stack: Keras on TensorFlow, compiled into a graph (model.compile's default)."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


def create_model(num_classes=10):
    """Returns the tutorial's network, compiled."""
    layers = [keras.Input((128, 128, 3)), keras.layers.Rescaling(1 / 255)]
    for features, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
        layers += [
            keras.layers.Conv2D(features, kernel, padding="same", activation="relu"),
            keras.layers.Conv2D(features, kernel, activation="relu"),
            keras.layers.MaxPooling2D(pool),
            keras.layers.Dropout(0.2),
        ]
    layers += [keras.layers.Flatten(), keras.layers.Dense(1024, activation="relu"), keras.layers.Dropout(0.2)]
    model = keras.Sequential([*layers, keras.layers.Dense(num_classes, activation="softmax")])
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def create_steps(images, labels):
    """Returns the callables "train" and "predict"."""
    model = create_model()
    images, labels = tf.constant(images), tf.constant(labels)
    forward = tf.function(lambda x: model(x, training=False))
    return {
        "train": lambda: model.train_on_batch(images, labels),
        "predict": lambda: forward(images).numpy(),
    }
