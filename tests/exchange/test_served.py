import jax
import numpy as np
import pytest

from foodjax.config.check import checked
from foodjax.exchange.served import Served
from foodjax.models.convnet import create_model, init_variables


@pytest.mark.parametrize("plain", [False, True])
def test_an_exported_program_has_no_kernels_of_this_machine(tiny_config, plain):
    tiny_config.model.blocks[0].features, tiny_config.model.dtype = 32, "bfloat16"
    config = checked(tiny_config)
    model = create_model(config, 2, "avx512_bf16").clone(dtype="float32")  # as a CPU may compute it
    variables = jax.eval_shape(lambda: init_variables(create_model(config, 2), jax.random.PRNGKey(0), 16))
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables)
    program = Served(config, ("a", "b"), model, variables, 1, 1.0).function(plain=plain)
    text = str(jax.make_jaxpr(program)(np.zeros((1, 16, 16, 3), np.uint8)))
    assert "ffi_call" not in text
    assert ("bf16" in text) == (not plain)
