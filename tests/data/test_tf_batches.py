import numpy as np
from helpers import prepared

from foodjax.config.check import checked
from foodjax.data.tf_batches import train_batches


def test_a_batch_is_a_function_of_seed_and_step(tiny_config):
    data = prepared(tiny_config)
    rows = np.arange(0, len(data.ids), 2)  # 60 rows, batch 16: 3 steps an epoch
    config = checked(tiny_config)
    whole = list(train_batches(data, rows, config, 0, 8))
    late = list(train_batches(data, rows, config, 5, 8))
    for ours, theirs in zip(late, whole[5:], strict=True):
        np.testing.assert_array_equal(ours["image"], theirs["image"])
        np.testing.assert_array_equal(ours["label"], theirs["label"])
    assert not np.array_equal(whole[0]["image"], whole[3]["image"])


def test_labels_follow_their_pictures(tiny_config):
    tiny_config.augment.update(
        rotation=0.0,
        shift_rows=0.0,
        shift_columns=0.0,
        brightness=(1.0, 1.0),
        flip_horizontal=False,
        flip_vertical=False,
    )
    data = prepared(tiny_config)
    rows = np.arange(len(data.ids))
    known = {image.tobytes(): label for image, label in zip(data.images, data.labels, strict=True)}
    for batch in train_batches(data, rows, checked(tiny_config), 0, 7):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            assert known[image.tobytes()] == label
