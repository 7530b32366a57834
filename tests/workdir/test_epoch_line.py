import pytest

from foodjax.workdir.epoch_line import epoch_line

ROWS = [
    {"epoch": 9, "loss": 2.5, "accuracy": 0.25, "val_loss": 1.25, "val_accuracy": 0.5},
    {"epoch": 10, "loss": 1.23456, "accuracy": 0.056789, "val_loss": 1.5, "val_accuracy": 0.4375},
]
TIMING = {"images_per_second": 1234.56, "data_wait": 0.0123}
WIDE = (
    "epoch  10/100  loss 1.2346 (1.2346 to 2.5000)  accuracy 0.0568 (0.0568 to 0.2500)  "
    "val_loss 1.5000 (1.2500 to 1.5000)  val_accuracy 0.4375 (0.4375 to 0.5000)  "
    "1234.6 images/s, 1.2% waiting for data  best"
)
FULL = "epoch  10/100  loss 1.2346  accuracy 0.0568  val_loss 1.5000  val_accuracy 0.4375  1235 images/s  best"
NARROW = "epoch  10/100  loss 1.235, val 1.500  acc  5.7%, val 43.8%  1235 images/s  best"
SHORTEST = "epoch  10/100  loss 1.235, val 1.500  acc  5.7%, val 43.8%  best"


@pytest.mark.parametrize(
    "width,line",
    [
        (len(WIDE), WIDE),
        (len(WIDE) - 1, FULL),
        (len(FULL), FULL),
        (len(FULL) - 1, NARROW),
        (80, NARROW),
        (60, SHORTEST),
    ],
)
def test_the_longest_form_that_fits(width, line):
    assert epoch_line(ROWS, TIMING, 100, best=True, width=width) == line
    assert epoch_line(ROWS, TIMING, 100, best=False, width=width - len("  best")) == line.removesuffix("  best")


@pytest.mark.parametrize("loss", [0.0, 2.302, 123.456, float("nan"), float("inf")])
def test_80_columns_suffice_for_any_run(loss):
    row = {"epoch": 10000, "loss": loss, "accuracy": 1.0, "val_loss": loss, "val_accuracy": 1.0}
    line = epoch_line([row], {"images_per_second": 123456.7, "data_wait": 1.0}, 10000, best=True, width=80)
    assert len(line) <= 80
    assert line.endswith("  best")
