import csv

import numpy as np
import pytest
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.run import find_lr
from foodjax.system.errors import UserError


def test_rates_rise_by_equal_factors():
    rates = [find_lr.rate_at(step) for step in range(find_lr.NUM_STEPS)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e6) / (find_lr.NUM_STEPS - 1))


def test_the_mean_is_corrected_for_its_start():
    np.testing.assert_allclose(find_lr.smooth([2.0, 2.0, 2.0]), 2.0)
    np.testing.assert_allclose(find_lr.smooth([1.0, 3.0]), [1, (0.9 * 0.1 + 0.1 * 3) / 0.19])


def test_the_suggestion_is_the_steepest_fall():
    rates = [find_lr.rate_at(step) for step in range(80)]
    lucky_start = [1.0] * 5 + [2.3] * 45  # of a first batch that happens to be easy
    falling = list(np.linspace(2.3, 1.4, 11))
    assert find_lr.suggest(rates, lucky_start + falling + [9.0] * 19) == rates[55]
    for flat in (np.linspace(2, 9, 80), 2.3 + 0.01 * np.sin(np.arange(80))):
        with pytest.raises(UserError, match="the loss falls by less than 3% in 80 steps"):
            find_lr.suggest(rates, list(flat))


def test_nothing_waits_for_its_unfreezing(tiny_config, monkeypatch):
    class Built(Exception):
        """Ends the test where the engine would be built."""

    def engine(config, *arguments, **options):
        raise Built(config)

    monkeypatch.setattr(find_lr, "Engine", engine)
    tiny_config.optimizer.unfreeze = 3
    with pytest.raises(Built) as caught:
        find_lr.range_test(tiny_config)
    (config,) = caught.value.args
    assert config.optimizer.unfreeze == 0


@pytest.mark.slow
def test_it_finds_a_rate_that_trains_and_leaves_plot_and_numbers(tiny_config, tmp_path, capsys):
    tiny_config.data.drawn_train = 30
    tiny_config.model.blocks = (ConfigDict(dict(kind="stem", features=16, patch=2, kernel=3)),)
    tiny_config.model.norm = "batch"
    tiny_config.optimizer.update(name="adamw", momentum=0.9, decay=0.99)
    result = find_lr.find_lr(checked(tiny_config), tmp_path / "lr")
    assert 1e-5 < result.suggestion < 0.1
    assert result.smoothed[-1] > min(result.smoothed)  # the test went on until too high a rate
    with (tmp_path / "lr" / "find_lr.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == result.losses
    assert (tmp_path / "lr" / "find_lr.png").read_bytes().startswith(b"\x89PNG")
    assert f"--config.optimizer.learning_rate={result.suggestion:.1e}" in capsys.readouterr().out
