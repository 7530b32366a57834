import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.models import batch_norm, convolution, depthwise, forms, ops, pointwise


def test_the_form_is_part_of_the_key_of_compiled_functions():
    double = jax.jit(lambda x: forms.by_platform(x, cpu=lambda x: x + x + 1, default=lambda x: 2 * x))
    assert double(3.0) == 7
    with forms.plain():
        assert forms.is_plain()
        assert double(3.0) == 6
    assert not forms.is_plain()
    assert double(3.0) == 7


X = np.random.default_rng(0).normal(size=(2, 9, 9, 64)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(5, 5, 64, 3)).astype(np.float32) / 40
OPERATIONS = {
    "winograd": lambda x: convolution.conv(x, jnp.asarray(KERNEL), "SAME"),
    "conv of tiny maps": lambda x: convolution.conv(x[:, :2, :2], jnp.asarray(KERNEL[:3, :3]), "SAME"),
    "bias": lambda x: ops.add_bias(x, jnp.arange(64.0)),
    "max pool": lambda x: ops.max_pool(x, 2),
    "max pool of single pixels": lambda x: ops.max_pool(x, 1),
    "depthwise": lambda x: depthwise.depthwise_conv(x, jnp.asarray(X[0, :5, :5, None]) / 5, 2, ((2, 2), (2, 2))),
    "pointwise": lambda x: pointwise.pointwise_conv(x, jnp.asarray(KERNEL[:1, :1]), 2),
    "batch normalisation": lambda x: batch_norm.scale_and_shift(x, jnp.arange(64.0), jnp.ones(64)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_plain_form_has_the_same_values_and_no_choice_of_platform(name):
    fast = jax.jit(OPERATIONS[name])(X)
    with forms.plain():
        jaxpr = str(jax.make_jaxpr(lambda x: OPERATIONS[name](x))(X))
        plain = jax.jit(OPERATIONS[name])(X)
    assert "platform_index" not in jaxpr
    assert "custom_vjp" not in jaxpr
    np.testing.assert_allclose(fast, plain, atol=2e-5)
