import numpy as np
from helpers import prepared

from foodjax.data import batches


def test_an_epoch_sees_every_example_at_most_once_and_epochs_differ():
    orders = [np.concatenate([batches.batch_rows(50, 8, 7, epoch * 6 + i) for i in range(6)]) for epoch in (0, 1)]
    for order in orders:
        assert len(set(order)) == 48
        assert order.max() < 50
    assert not np.array_equal(*orders)


def test_evaluation_pads_and_masks(tiny_config):
    data = prepared(tiny_config, "test")
    rows = np.arange(len(data.ids))[:47]
    padded = list(batches.eval_batches(data, rows, 20))
    assert [int(b["mask"].sum()) for b in padded] == [20, 20, 7]
    assert {b["image"].shape for b in padded} == {(20, 16, 16, 3)}
    seen = np.concatenate([b["row"] for b in padded])
    np.testing.assert_array_equal(seen[seen >= 0], rows)
