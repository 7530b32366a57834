import jax
import jax.export
import numpy as np
import pytest

from foodjax.models.slices import cut

X = np.arange(2 * 6 * 5 * 4 * 3).reshape(2, 6, 5, 4, 3)
CUTS = [
    ((slice(1, 5), slice(3)), 1, X[:, 1:5, :3]),
    ((slice(None, None, 2), slice(1, None, 3)), 1, X[:, ::2, 1::3]),
    ((0,), 1, X[:, 0]),
    ((1, slice(None), 2), 2, X[:, :, 1, :, 2]),
    ((slice(None), slice(None)), 1, X),
    ((slice(9),), 1, X),
]


@pytest.mark.parametrize("parts,axis,expected", CUTS)
def test_a_cut_is_numpys_slice_and_no_gather(parts, axis, expected):
    np.testing.assert_array_equal(cut(jax.numpy.asarray(X), *parts, axis=axis), expected)
    (batch,) = jax.export.symbolic_shape("b")
    jaxpr = jax.make_jaxpr(lambda x: cut(x, *parts, axis=axis))(jax.ShapeDtypeStruct((batch, *X.shape[1:]), np.int32))
    assert "gather" not in str(jaxpr)


def test_an_axis_of_length_1_goes_too():
    x = jax.numpy.ones((2, 1, 3))
    assert cut(x, 0).shape == (2, 3)
