"""Each backbone against timm's own model, with the same random weights, on the same pictures."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foodjax.config.backbones import BACKBONES
from foodjax.config.check import checked, default_config
from foodjax.models.backbones.convert import to_variables
from foodjax.models.convnet import create_model, init_variables
from foodjax.models.summary import walk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs timm, which brings PyTorch of 5.5 GB"),
]

SIDES = {"vit_small_patch16_224": 64, "vit_small_patch14_dinov2": 56}  # of others 75: odd sizes on the way
BATCH = 5
HEADS = ("fc", "classifier", "head", "head.fc")


class Pair:
    """A backbone here and at timm."""

    def __init__(self, name, folder):
        side = SIDES.get(name, 75)
        rng = np.random.default_rng(1)
        images = rng.uniform(0, 1, (BATCH, side, side, 3))
        config = default_config()
        config.model.backbone = name
        config.data.image_size = side
        config.model.head.pooling = "token" if BACKBONES[name].has_token else "average"
        self.model = create_model(checked(config), 7)
        expects = BACKBONES[name]
        np.save(folder / "images.npy", ((images - expects.mean) / expects.deviation).transpose(0, 3, 1, 2))
        script = Path(__file__).with_name("timm_side.py")
        subprocess.run([sys.executable, script, name, str(side), folder], check=True)
        self.arrays = dict(np.load(folder / "weights.npz"))
        self.theirs = dict(np.load(folder / "results.npz"))
        like = jax.eval_shape(lambda: init_variables(self.model, jax.random.PRNGKey(0), side))
        self.name, self.like, self.images, self.images64 = name, like, images.astype(np.float32), images
        self.variables = to_variables(name, self.arrays, like, "timm")
        head = next(head for head in HEADS if f"{head}.weight" in self.arrays)
        logits = {"kernel": self.arrays[f"{head}.weight"].T, "bias": self.arrays[f"{head}.bias"]}
        self.variables["params"]["logits"] = logits
        self.head = head

    def named(self, prefix):
        """Returns timm's results of a kind in Flax's layout, as the parameters of the backbone."""
        arrays = {k.removeprefix(prefix): v for k, v in self.theirs.items() if k.startswith(prefix)}
        whole = {k: arrays.get(k, v) for k, v in self.arrays.items()}
        return to_variables(self.name, whole, self.like, "timm")


@pytest.fixture(scope="module", params=BACKBONES)
def pair(request, tmp_path_factory):
    return Pair(request.param, tmp_path_factory.mktemp("timm"))


def largest(ours, theirs):
    """Returns the largest difference, as a share of the largest value."""
    return np.abs(np.asarray(ours, np.float64) - theirs).max() / np.abs(theirs).max()


def test_logits_in_evaluation(pair):
    logits = jax.jit(lambda v, x: pair.model.apply(v, x, train=False))(pair.variables, pair.images)
    found = largest(logits, pair.theirs["eval"])
    print(f"{pair.name}: evaluation {found:.1e}")
    assert found < 1e-4


def test_logits_and_statistics_in_training(pair):
    run = jax.jit(lambda v, x: pair.model.apply(v, x, train=True, mutable=["batch_stats"]))
    logits, state = run(pair.variables, pair.images)
    found = largest(logits, pair.theirs["train"])
    assert found < 1e-4
    theirs, before = pair.named("stats/")["batch_stats"], pair.variables["batch_stats"]
    worst = 0.0
    sizes = dict(_sizes_of_norms(pair))
    for (path, ours), (_, new), (_, old) in zip(
        walk(dict(state).get("batch_stats", {})), walk(theirs), walk(before), strict=True
    ):
        if path.endswith("/var"):  # PyTorch keeps n / (n - 1) times the variance
            count = sizes[path.rsplit("/", 1)[0]]
            new = 0.9 * old + (new - 0.9 * old) * (count - 1) / count
        worst = max(worst, largest(ours, new))
    print(f"{pair.name}: training {found:.1e}, statistics {worst:.1e}")
    assert worst < 1e-4


def _sizes_of_norms(pair):
    """Yields the path of each normalisation and the number of its pixels in a batch."""
    shape = (BATCH, *pair.images.shape[1:])
    _, state = jax.eval_shape(
        lambda v, x: pair.model.apply(v, x, train=False, capture_intermediates=True, mutable=["intermediates"]),
        pair.variables, jax.ShapeDtypeStruct(shape, np.float32),
    )  # fmt: skip
    for path, value in walk(dict(state)["intermediates"]):
        output = jax.tree.leaves(value)[0]
        if output.ndim == 4:
            yield path.removesuffix("/__call__"), int(np.prod(output.shape[:3]))


def test_gradients_in_training(pair):
    """In float64: PyTorch's own gradients in float32 are 1 % away from those in float64, at the kinks of ReLU."""
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda x: np.asarray(x, np.float64), pair.variables)
        images = jnp.asarray(pair.images64)

        def loss_fn(params):
            logits, _ = pair.model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            chosen = jax.nn.log_softmax(logits)[np.arange(BATCH), np.arange(BATCH) % 7]
            return -chosen.mean()

        loss, grads = jax.jit(jax.value_and_grad(loss_fn))(variables["params"])
    assert float(loss) == pytest.approx(float(pair.theirs["loss"]), rel=1e-6)
    theirs = pair.named("grads/")["params"]
    head = {"kernel": pair.theirs[f"grads/{pair.head}.weight"].T, "bias": pair.theirs[f"grads/{pair.head}.bias"]}
    theirs["logits"] = head
    ours = dict(walk(grads))
    scale = max(np.abs(new).max() for _, new in walk(theirs))
    worst = max(np.abs(np.asarray(ours[path]) - new).max() / scale for path, new in walk(theirs))
    print(f"{pair.name}: gradients {worst:.1e}")
    assert worst < 1e-5
