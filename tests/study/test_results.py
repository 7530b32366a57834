import pytest
from helpers import fake_run

from foodjax.study import results


@pytest.mark.parametrize("baseline,order", [("", "baeinr"), ("a", "abeinr"), ("r", "rbaein")])
def test_variants_stand_in_the_order_of_their_start(tmp_path, monkeypatch, baseline, order):
    started = {label: f"2026-11-2{k}T00:00:00+00:00" for k, label in enumerate("baeinr")}
    for label in started:
        for seed in (0, 1):
            (tmp_path / f"{label}-seed{seed}").mkdir()
            (tmp_path / f"{label}-seed{seed}" / "config.json").touch()

    def read_run(folder):
        label, seed = folder.name.split("-seed")
        # A seed that was made once more, later than everything else, does not move its variant.
        return fake_run(label, int(seed), [1], started=started[label] if seed == "0" else "2027")

    monkeypatch.setattr(results, "read_run", read_run)
    groups, _ = results.read_groups([f"{tmp_path}/*"], baseline)
    assert "".join(group[0].label for group in groups) == order
    assert all(len(group) == 2 for group in groups)
