"""The tutorial's program: photographs from folders, ImageDataGenerator, fit with its callbacks, evaluate.

    python benchmarks/peers/keras_program.py FOLDER EPOCHS

FOLDER holds train/<class>/ and test/<class>/. Prints the processor seconds so far after each epoch.
"""

import sys
import tempfile
import time
from pathlib import Path

import peer_keras  # sets TensorFlow's log level
from keras.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint
from keras.src.legacy.preprocessing.image import ImageDataGenerator


def main() -> None:
    """Trains and evaluates."""
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    generator = ImageDataGenerator(
        rotation_range=90, width_shift_range=0.5, brightness_range=(0.1, 0.7), horizontal_flip=True,
        vertical_flip=True, validation_split=0.15,
    )  # fmt: skip
    flow = {"target_size": (128, 128), "class_mode": "sparse"}
    train, validation = (
        generator.flow_from_directory(folder / "train", batch_size=32, subset=subset, seed=0, **flow)
        for subset in ("training", "validation")
    )
    test = ImageDataGenerator().flow_from_directory(folder / "test", batch_size=100, shuffle=False, **flow)
    model = peer_keras.create_model(train.num_classes)
    with tempfile.TemporaryDirectory() as runs:
        best = ModelCheckpoint(str(Path(runs) / "best.weights.h5"), save_best_only=True, save_weights_only=True)
        clock = LambdaCallback(
            on_epoch_end=lambda *_: print(f"{time.process_time():.0f} processor seconds", flush=True)
        )
        callbacks = [best, EarlyStopping(patience=10), clock]
        model.fit(train, epochs=epochs, validation_data=validation, callbacks=callbacks, verbose=2)
        model.load_weights(best.filepath)
    print(model.evaluate(test, verbose=0))


if __name__ == "__main__":
    main()
