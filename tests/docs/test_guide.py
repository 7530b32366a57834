"""The code of docs/ablations.md does what the guide says."""

import re

import jax
from helpers import ROOT

from foodjax.config import blocks as specs
from foodjax.config.check import checked
from foodjax.models import blocks, summary
from foodjax.models.convnet import create_model


def test_the_new_kind_of_block_works_as_written_in_under_20_lines(monkeypatch):
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ablations.md").read_text(), re.S)
    fields, layers, experiment = code[1:4]
    new_lines = [line for line in (fields + layers).splitlines() if line.strip()]
    assert len(new_lines) < 20
    monkeypatch.setitem(specs.KINDS, "separable", specs.Block)  # takes the entry out again at the end
    monkeypatch.setattr(specs, "Separable", None, raising=False)
    exec(fields, vars(specs))  # as if written into the file
    monkeypatch.setitem(blocks.LAYERS, specs.Separable, None)  # pyright: ignore
    exec(layers, dict(vars(blocks)))
    written: dict = {}
    exec(experiment, written)
    config = checked(written["get_config"]("block4=separable,seed=3"))
    assert config.seed == 3
    assert [b.kind for b in config.model.blocks] == ["conv", "conv", "conv", "separable"]
    model = create_model(config, 10)
    rows = {row.name: row for row in summary.layers(model, 48)}
    assert rows["block4/depthwise"].num_params == 25 * 64 + 64
    assert rows["block4/pointwise"].num_params == 64 * 128 + 128
    assert rows["block4/depthwise"].multiply_adds == 4 * 4 * 25 * 64
    images = jax.numpy.zeros((2, 48, 48, 3))
    params = jax.eval_shape(lambda: model.init(jax.random.PRNGKey(0), images, train=False))
    assert jax.eval_shape(lambda p: model.apply(p, images, train=False), params).shape == (2, 10)
    assert written["get_sweep"]() == ["", "block4=separable"]
    assert [b.kind for b in written["get_config"]("").model.blocks] == ["conv"] * 4
