import numpy as np
import pytest

from foodjax.data.split import keras_split, split


def official_listing(num_train, num_test, num_classes=10):
    """Ids as on the official lists: each class's numbers in no order, mixed lengths."""
    rng = np.random.default_rng(0)
    train, test = [], []
    for k in range(num_classes):
        numbers = rng.choice(4_000_000, num_train + num_test, replace=False)
        ids = [f"class{k:03}/{n}" for n in numbers]
        train += ids[:num_train]
        test += ids[num_train:]
    labels = lambda ids: np.array([int(i[5:8]) for i in ids])  # noqa: E731
    return train, labels(train), test, labels(test)


@pytest.mark.parametrize(
    "num_classes,num_train,num_test,protocol,expected",
    [
        (10, 750, 250, "holdout", (6380, 1120, 2500)),
        (10, 750, 250, "tutorial", (6380, 370, 2500)),
        (101, 750, 250, "holdout", (101 * 638, 101 * 112, 101 * 250)),
        (10, 375, 75, "holdout", (3190, 560, 750)),
        (10, 375, 75, "tutorial", (3190, 110, 750)),
    ],
)
def test_counts_follow_the_official_rule(num_classes, num_train, num_test, protocol, expected):
    listing = official_listing(num_train, num_test, num_classes)
    parts = split(*listing, protocol, 0.15)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == expected
    if protocol == "holdout":
        assert not set(parts.train) & set(parts.validation)
    else:
        assert parts.validation_is_from_test
        assert set(parts.validation) <= set(parts.test)


def test_validation_takes_the_first_names_in_string_order():
    ids = [f"a/{k}" for k in range(11)] + ["b/7", "b/70", "b/8"]
    labels = np.array([0] * 11 + [1] * 3)
    train, validation = keras_split(ids, labels, 0.35)
    assert [ids[row] for row in validation] == ["a/0", "a/1", "a/10", "b/7"]
    assert [ids[row] for row in train[-2:]] == ["b/70", "b/8"]
