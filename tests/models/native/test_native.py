"""The native kernels against XLA's convolution. They are compiled here, where a CPU and a compiler are there."""

import dataclasses
import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import food10
from foodjax.config.blocks import Conv, ResNetStage
from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.models import forms
from foodjax.models.convolution import conv, direct_conv, form_on_cpu
from foodjax.models.native import library
from foodjax.models.native.choice import Choice, choose, dtype_of
from foodjax.models.native.conv import native_conv
from foodjax.models.ops import max_pool


@pytest.fixture(scope="module")
def level():
    """The level of this machine's kernels."""
    if not library.level():
        pytest.skip("this CPU has no AVX-512")
    if reason := library.load():
        pytest.skip(reason)
    return library.level()


# (batch, height, width, channels, features, kernel, padding): of the tutorial; with 32 and 64 features at a time; odd
# sides; few channels; more rows and columns than a task has; kernels that are not square; maps smaller than the kernel.
SHAPES = {
    "tutorial's first": (3, 16, 14, 3, 32, (3, 3), ((1, 1), (1, 1))),
    "valid": (2, 19, 17, 32, 32, (3, 3), ((0, 0), (0, 0))),
    "64 features": (2, 9, 21, 32, 64, (3, 3), ((1, 1), (1, 1))),
    "part of the rows": (2, 11, 11, 64, 64, (3, 3), ((1, 0), (1, 0))),
    "96 features": (9, 6, 5, 64, 96, (3, 3), ((1, 1), (1, 1))),
    "five by five": (2, 14, 13, 32, 128, (5, 5), ((2, 2), (2, 2))),
    "more channels than a task has": (2, 6, 7, 160, 32, (3, 3), ((0, 0), (0, 0))),
    "two by three": (2, 8, 9, 32, 32, (2, 3), ((0, 1), (1, 1))),
    "one by one": (2, 5, 6, 32, 32, (1, 1), ((0, 0), (0, 0))),
    "one pixel": (1, 1, 1, 32, 32, (3, 3), ((1, 1), (1, 1))),
    "an odd number of channels": (2, 7, 9, 33, 32, (3, 3), ((1, 1), (1, 1))),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", SHAPES)
def test_values_and_gradients_are_those_of_xla(level, dtype, name):
    if dtype == "bfloat16" and level != "avx512_bf16":
        pytest.skip("this CPU does not multiply bfloat16")
    batch, height, width, channels, features, taps, padding = SHAPES[name]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(batch, height, width, channels)), dtype)
    kernel = jnp.asarray(rng.normal(size=(*taps, channels, features)), dtype)
    y, vjp = jax.vjp(lambda x, k: direct_conv(x, k, padding), x.astype(jnp.float32), kernel.astype(jnp.float32))
    gradient = jnp.asarray(rng.normal(size=y.shape), dtype)
    expected = y, *vjp(gradient.astype(jnp.float32))

    @jax.jit
    def run(x, kernel, gradient):
        y, vjp = jax.vjp(lambda x, k: native_conv(x, k, padding), x, kernel)
        return y, *vjp(gradient)

    bound = 1e-6 if dtype == "float32" else 4e-3  # bfloat16 rounds the result to 8 bits
    for found, true in zip(run(x, kernel, gradient), expected, strict=True):
        assert found.dtype == dtype
        assert found.shape == true.shape
        assert np.linalg.norm(np.subtract(found, true, dtype=float)) < bound * np.linalg.norm(true)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("pool,relu", [(1, True), (2, True), (2, False), (3, True), (4, True)])
def test_bias_pooling_and_relu_are_those_of_xla(level, dtype, pool, relu):
    if dtype == "bfloat16" and level != "avx512_bf16":
        pytest.skip("this CPU does not multiply bfloat16")
    rng = np.random.default_rng(0)
    # Few digits, so that bfloat16 rounds nothing and there are windows with equal maxima.
    x, kernel = (jnp.asarray(rng.integers(-2, 3, shape), dtype) for shape in ((3, 15, 14, 32), (3, 3, 32, 96)))
    bias = jnp.asarray(rng.integers(-8, 9, 96), jnp.float32)
    padding = ((1, 1), (0, 1))

    def run(form, *arguments):
        y, vjp = jax.vjp(form, *arguments)
        return y, *vjp(jnp.asarray(rng.integers(-1, 2, y.shape), y.dtype))

    def expected(x, kernel, bias):
        y = max_pool(direct_conv(x, kernel, padding) + bias, pool)
        return jax.nn.relu(y) if relu else y

    found = run(lambda *a: native_conv(a[0], a[1], padding, a[2], pool=pool, relu=relu), x, kernel, bias)
    rng.bit_generator.state = np.random.default_rng(0).bit_generator.state
    rng.integers(-2, 3, (3, 15, 14, 32)), rng.integers(-2, 3, (3, 3, 32, 96)), rng.integers(-8, 9, 96)
    true = run(expected, x.astype(jnp.float32), kernel.astype(jnp.float32), bias)
    bound = 0 if dtype == "float32" else 4e-3
    for ours, theirs in zip(found, true, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=bound, atol=bound)


@pytest.mark.parametrize("pool", [2, 18])
def test_a_layer_with_kernels_is_the_one_without(level, pool):
    rng = np.random.default_rng(0)
    x, kernel, bias = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((2, 40, 37, 3), (3, 3, 3, 32), (32,)))

    def run(level):
        with forms.native(level):
            layer = functools.partial(conv, padding="SAME", size=(36, 36), bias=bias, pool=pool, relu=True)
            y, vjp = jax.vjp(layer, x, kernel)
            return y, *vjp(y)

    for own, xla in zip(run(level), run(""), strict=True):
        assert own.shape == xla.shape
        assert np.linalg.norm(own - xla) < 1e-6 * np.linalg.norm(xla)


def test_a_nan_stays_one(level):
    x = jnp.ones((1, 8, 8, 32)).at[0, 3, 3, 3].set(jnp.nan)
    y = native_conv(x, jnp.ones((3, 3, 32, 32)), ((1, 1), (1, 1)), pool=2, relu=True)
    np.testing.assert_array_equal(
        np.isnan(y[0, :, :, 0]),
        np.isnan(max_pool(direct_conv(x, jnp.ones((3, 3, 32, 32)), ((1, 1), (1, 1))), 2)[0, :, :, 0]),
    )


THREADS = """
import sys, hashlib, jax, jax.numpy as jnp, numpy as np
from foodjax.models.native import library
from foodjax.models.native.conv import native_conv
from foodjax.models.ops import max_pool
assert library.load() == ""
rng = np.random.default_rng(0)
x, k = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((10, 20, 20, 64), (3, 3, 64, 64)))
g = jax.jit(jax.grad(lambda x, k: (native_conv(x, k, ((1, 1), (1, 1))) ** 3).sum(), argnums=(0, 1)))(x, k)
print(hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in g)).hexdigest())
"""


def test_the_bits_are_the_same_with_one_thread(level):
    commands = [[sys.executable, "-c", THREADS], ["taskset", "-c", "0", sys.executable, "-c", THREADS]]
    found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]
    assert found[0] == found[1]


def test_a_mapped_convolution_is_a_batch_of_it(level):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 6, 6, 32)), jnp.float32)
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3, 32, 32)), jnp.float32)
    pads = ((1, 1), (1, 1))
    mapped = jax.jit(jax.vmap(lambda x: native_conv(x, kernel, pads)))(x)
    np.testing.assert_array_equal(mapped[1], jax.jit(lambda x: native_conv(x, kernel, pads))(x[1]))


def test_the_context_chooses_the_kernels_and_the_plain_form_has_none(level):
    x, kernel = jnp.ones((1, 8, 8, 32)), jnp.ones((3, 3, 32, 32))

    def traced():
        return str(jax.make_jaxpr(lambda x: conv(x, kernel, "SAME"))(x))

    assert "ffi_call" not in traced()
    with forms.native(level):
        assert "ffi_call" in traced()
        with forms.plain():
            assert "ffi_call" not in traced()


FORMS = [
    ("avx512_bf16", "float32", (3, 3, 3, 32), 900, "native"),
    ("avx512_bf16", "bfloat16", (3, 3, 32, 64), 900, "native"),
    ("avx512", "bfloat16", (3, 3, 32, 64), 900, "native32"),
    ("avx512", "float64", (3, 3, 32, 64), 900, "direct"),
    ("avx512", "float32", (3, 3, 32, 48), 900, "direct"),
    ("avx512_bf16", "bfloat16", (5, 5, 128, 512), 196, "winograd"),
    ("avx512", "float32", (3, 3, 32, 64), 4, "product"),
    ("", "float32", (3, 3, 32, 64), 900, "direct"),
    ("", "bfloat16", (3, 3, 32, 64), 900, "direct"),
]  # fmt: skip


@pytest.mark.parametrize("level,dtype,kernel,pixels,expected", FORMS)
def test_the_form_is_a_function_of_the_cpu_the_layer_and_the_precision(level, dtype, kernel, pixels, expected):
    assert form_on_cpu(level, dtype, kernel, pixels) == expected


@pytest.mark.parametrize(
    "features,expected",
    [
        ({"avx512f", "avx512bw", "avx512vl", "avx512_bf16", "sse"}, "avx512_bf16"),
        ({"avx512f", "avx512bw", "avx512vl"}, "avx512"),
        ({"avx512f"}, ""),
        (set(), ""),
    ],
)
def test_the_level_of_a_cpu(features, expected):
    assert library.level_of(frozenset(features)) == expected


def test_xlas_convolutions_are_chosen_on_demand_and_for_several_devices(monkeypatch):
    monkeypatch.setattr(library, "level", lambda: "avx512")
    monkeypatch.setattr(library, "load", lambda: "no C++ compiler (c++)")
    assert choose("xla", 1) == Choice("")
    assert choose("auto", 2) == Choice("", "2 devices share a batch")
    assert choose("auto", 1) == Choice("", "no C++ compiler (c++)")
    assert choose("auto", 1).name == "xla"
    monkeypatch.setattr(library, "load", lambda: "")
    assert choose("auto", 1) == Choice("avx512")
    assert choose("native", 1).name == "native"
    monkeypatch.setattr(library, "level", lambda: "")
    assert choose("auto", 1) == Choice("")
    assert choose("native", 1) == Choice("", "this CPU has no AVX-512")


CONV = Conv(64, 3, ("SAME",), 2, 0.0)


@pytest.mark.parametrize(
    "blocks,backbone,level,platform,expected",
    [
        ((CONV,), "", "avx512_bf16", "cpu", "bfloat16"),
        ((CONV,), "", "avx512", "cpu", "float32"),
        ((CONV,), "", "", "cpu", "float32"),
        ((CONV,), "", "", "gpu", "bfloat16"),
        ((dataclasses.replace(CONV, features=48),), "", "avx512_bf16", "cpu", "float32"),
        ((CONV, ResNetStage(64, 1, 1)), "", "avx512_bf16", "cpu", "float32"),
        ((), "resnet18", "avx512_bf16", "cpu", "float32"),
        ((), "resnet18", "", "gpu", "bfloat16"),
    ],
)
def test_bfloat16_is_computed_where_it_pays(blocks, backbone, level, platform, expected):
    model = dataclasses.replace(checked(food10.get_config()).model, dtype="bfloat16", blocks=blocks, backbone=backbone)
    assert dtype_of(Config(model=model), level, platform) == expected
    assert dtype_of(Config(model=dataclasses.replace(model, dtype="float32")), level, platform) == "float32"


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Sets the compiler of an empty cache to a script of this text."""
    if not library.level():
        pytest.skip("this CPU has no AVX-512")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library._load.cache_clear()

    def write(text):
        path = tmp_path / "compiler"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    yield write
    library._load.cache_clear()


def test_a_compiler_that_fails_is_told_in_a_line(compiler, tmp_path):
    compiler("echo 'conv.cc:1: error: no such thing' >&2; exit 1")
    assert library.load() == f"{tmp_path}/compiler cannot compile them: conv.cc:1: error: no such thing"
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_compiler_may_have_options(compiler, monkeypatch, tmp_path):
    compiler('echo "error: $1" >&2; exit 1')
    monkeypatch.setenv("CXX", f"{tmp_path}/compiler -pipe")
    assert library.load() == f"{tmp_path}/compiler cannot compile them: error: -pipe"


def test_a_missing_compiler_is_told_in_a_line(compiler, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert library.load() == "no C++ compiler (no-such-compiler)"


def test_a_library_that_is_none_is_told_in_a_line(compiler):
    compiler('while [ "$1" != -o ]; do shift; done; echo nothing > "$2"')
    assert "file too short" in library.load() or "invalid ELF header" in library.load()


def test_a_cache_that_cannot_be_written_is_told_in_a_line(compiler, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "Not a directory" in library.load()
