# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The tutorial: from photographs to a network that other programs run
#
# A well-known Keras tutorial trains a convolutional network on ten classes of Food-101. This notebook goes the same
# way with `import foodjax`. The tutorial's facts, and what foodjax makes of them:
#
# | | the tutorial | foodjax |
# |---|---|---|
# | network | 4 blocks, 10,588,458 parameters | the same in `food10`; 1.9 million in `food10_fast` |
# | to train | 6,380 photographs | the same in `food10` |
# | to validate | 370, a part of the test photographs | 1,120 that neither training nor test has |
# | test accuracy | 56.96 % | `food10_fast`: 59.8 ± 1.5 %, three seeds, with half of the photographs |
# | time | 45 minutes on a GTX 1080 Ti | `food10_fast`: two minutes on two CPU cores |
#
# [recipe.md](recipe.md) says how the last two rows were measured.
#
# The notebook has two forms. The **short** one trains on shapes that foodjax draws itself, without a download. The
# **long** one trains on photographs: set `DATA` below, or the environment variable `FOODJAX_TUTORIAL_DATA` before
# Jupyter starts. Both need `pip install 'foodjax[export,notebook]'`.

# %%
# %matplotlib inline
import os
import random
import tempfile

import onnxruntime
from IPython.display import clear_output, display

import foodjax

foodjax.setup()  # logs, warnings and JAX, as the command line sets them

DATA = os.environ.get("FOODJAX_TUTORIAL_DATA", "")  # food-101/, food-101.tar.gz, a folder of classes; "": short form
WEIGHTS = os.environ.get("FOODJAX_TUTORIAL_WEIGHTS", "")  # a file of EfficientNet-Lite0, for DATA; "": none
EPOCHS = int(os.environ.get("FOODJAX_TUTORIAL_EPOCHS", "0"))  # of the training; 0: as the experiment says

DATA, WEIGHTS = (os.path.abspath(os.path.expanduser(path)) if path else "" for path in (DATA, WEIGHTS))
os.chdir(tempfile.mkdtemp())  # of the runs; without this line they stay in runs/ beside the notebook

# %% [markdown]
# ## Experiment
#
# `load_config` returns the config of an experiment. It holds every value of a run, and any may be changed: here by
# keywords, with `__` for the dots.

# %%
if DATA:
    config = foodjax.load_config("food10_fast", data__dir=DATA)
else:
    config = foodjax.load_config("demo", data__drawn_train=100, data__drawn_test=30, train__epochs=6)
    config.data.backend = "threads"  # makes the batches of tf.data without TensorFlow, which takes seconds to start
    config.augment.rotation = 15.0  # degrees; with 90, as in the tutorial, learning takes longer
    config.model.norm = "batch"  # learns in few epochs
    config.model.head.update(pooling="average", hidden=())
    for block in config.model.blocks:
        block.padding = ("SAME",)  # one convolution in the place of two
    config.optimizer.learning_rate = 2e-3
if EPOCHS:
    config.train.epochs = EPOCHS

# %% [markdown]
# ## Data
#
# `inspect` prepares the photographs once, as squares of one size, and shows them. It also writes a page with more than
# is shown here: `runs/first/inspect/inspect.html`.
#
# **See:** the number of images of each class. All classes have as many, so that nobody gains by guessing one of them.

# %%
inspected = foodjax.inspect(config, "runs/first")
display(inspected.figures["class_counts"])
{part: int(counts.sum()) for part, counts in inspected.counts.items()}

# %% [markdown]
# **See:** one image of each class. Which of them would you confuse?

# %%
firsts = [images[0] for images in inspected.samples.values()]
display(foodjax.figures.photo_grid(firsts, list(inspected.samples), 5))

# %% [markdown]
# A photograph is a matrix: height x width x 3 channels, each a number from 0 to 255. The tutorial shows one of 400 x
# 682 x 3. Here are the shape of the first photograph as it was taken (at most 256 pixels long), its shape as it was
# prepared, and the red values of its upper left corner.

# %%
if inspected.original is not None:
    print("as taken:", inspected.original.shape)
print("prepared:", inspected.photo.shape, inspected.photo.dtype)
inspected.photo[:4, :4, 0]

# %% [markdown]
# **See:** the red, green and blue channel. White is bright in all three, red in the first alone.

# %%
display(inspected.figures["channels"])

# %% [markdown]
# ## Augmentation
#
# Training never gets a photograph twice in the same form: it is turned, moved, cropped, flipped, darkened or mixed
# with another one, as `config.augment` says. Validation and test images stay as they are. (The tutorial augments its
# validation images too.)
#
# **See:** the photograph, then twelve versions of it. You should know its class in each; otherwise the augmentation is
# too strong. A percentage is what a mixture keeps of the photograph.

# %%
display(inspected.figures["augmented"])

# %% [markdown]
# ## Layers
#
# `summary` returns the layer table, without data or weights; this is the tutorial's. On W pixels a convolution with
# kernel F, padding P and stride S makes `floor((W - F + 2P) / S) + 1` pixels. (The tutorial divides by S + 1, which is
# wrong.) It has `F * F * channels in * channels out` weights and a bias for each channel out: 3 * 3 * 3 * 32 + 32 =
# 896 in the first row. "sees" is the receptive field, in pixels.
#
# **See:** two convolutions of 5 x 5 and the first dense layer have 97 % of the parameters.

# %%
tutorial = foodjax.summary(foodjax.load_config("food10"))
print(f"{tutorial.num_params:,} parameters, {tutorial.multiply_adds:,} multiply-adds for one image")
tutorial

# %% [markdown]
# **See:** the network of this notebook is smaller. It averages over the pixels of the last block, where the tutorial's
# flattens them.

# %%
layers = foodjax.summary(config)
print(f"{layers.num_params:,} parameters, {layers.multiply_adds:,} multiply-adds for one image")
layers

# %% [markdown]
# ## Training
#
# `train` goes on until the last epoch, or until the validation loss has not fallen for `train.patience` epochs. It
# keeps the checkpoint with the lowest validation loss and evaluates that on the test set. Stopped midway, the same
# call continues the run.
#
# An observer is called after every epoch. This one draws the curves again and prints minimum, maximum and current
# value of each, as the tutorial does. A text that it returns ends the training; so does an exception.


# %%
def redraw(epoch):
    clear_output(wait=True)
    display(foodjax.figures.curves(epoch.rows, epoch.stopping.best_epoch))
    for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
        values = [row[name] for row in epoch.rows]
        print(f"{name:12}  min {min(values):.3f}  max {max(values):.3f}  now {values[-1]:.3f}")


# %% [markdown]
# **See:** both losses fall. Validation may be better than training, whose images are augmented. Once the validation
# loss rises while the training loss falls, the network learns its images by heart. The dot marks the epoch whose
# weights are kept.

# %%
trained = foodjax.train(config, "runs/first", observers=[redraw])

# %% [markdown]
# `trained.history` has the numbers of every epoch. The files of the run are in its workdir; `report.html` is a page
# with what follows here, and more.

# %%
print(trained)
print(*sorted(path.name for path in trained.workdir.iterdir()))

# %% [markdown]
# ## Evaluation
#
# `evaluate` loads the best checkpoint and prints a table of the classes, best F-score first. Precision is the share of
# right ones among the images that were predicted as the class; recall is the share of the class's images that were
# found.
#
# **See:** the classes at the end of the table, and the interval: with another sample of so many test images the
# accuracy could lie anywhere in it.

# %%
evaluation = foodjax.evaluate("runs/first")
low, high = evaluation.scores.interval
print(f"\n{evaluation.accuracy:.2%} of {evaluation.scores.num_examples} test images are right: {low:.1%} to {high:.1%}")
print("the tutorial, on ten classes of Food-101: 56.96% of 2500")

# %% [markdown]
# **See:** the confusion matrix, true classes by predicted ones. Right predictions are on the diagonal. A dark cell
# beside it is a pair that the network confuses, a dark column a class that attracts too many predictions.

# %%
predictions, names = evaluation.predictions, evaluation.engine.class_names
display(foodjax.figures.confusion(predictions.confusion, names))

# %% [markdown]
# **See:** twenty random test images, each under `predicted (true)`. Are the mistakes some that you could make?

# %%
picked = random.Random(0).sample(range(len(predictions.labels)), 20)
images = evaluation.data.images[predictions.rows[picked]]  # uint8 (20, S, S, 3)
titles = []
for guess, truth in zip(predictions.probabilities[picked].argmax(axis=1), predictions.labels[picked], strict=True):
    titles.append((f"{'✓' if guess == truth else '✗'} {names[guess]}", f"({names[truth]})"))
display(foodjax.figures.photo_grid(images, titles, 5))

# %% [markdown]
# ## Inside the network
#
# `explain` returns the feature maps of photographs, and Grad-CAM.
#
# **See:** the six maps that vary most after each block, bright where they are large. Early ones are sharp and follow
# edges and colours. Late ones are coarse: each of their pixels stands for a part of the photograph.

# %%
predictor = foodjax.Predictor("runs/first")
explained = foodjax.explain(predictor, images[0])
taps = {tap.split("/")[0]: tap for tap in explained.maps}  # the last one of every block
maps, titles = [], []
for block, tap in taps.items():
    values = explained.maps[tap][0]  # (h, w, C)
    channels = values.var(axis=(0, 1)).argsort()[::-1][:6]
    maps += [values[..., k] for k in channels]
    titles += [f"{block}, channel {k}" for k in channels]
display(foodjax.figures.photo_grid(maps, titles, 6))

# %% [markdown]
# **See:** Grad-CAM, bright where the photograph speaks for the predicted class, as the last activation of each block
# has it. In the last block bright places should lie on the object. If they lie on the plate, the network knows plates.

# %%
views = [explained.overlay(tap) for tap in taps.values()]
display(foodjax.figures.photo_grid([explained.seen[0], *views], ["the network's view", *taps], 5))

# %% [markdown]
# ## Transfer
#
# The tutorial ends with a pointer to transfer learning. `probe` keeps a network that was trained on something else,
# takes its features of every photograph, and fits the last layer alone.
#
# With `WEIGHTS` the features are those of EfficientNet-Lite0, which was trained on ImageNet: 81.5 % of the test
# photographs in a minute and a half ([transfer.md](transfer.md)). Without, as in the short form, no other network is
# at hand. The probe then fits the last layer of the run above once more, on images that are not augmented: it shows
# the call, and no transfer.

# %%
if DATA and WEIGHTS:
    second = foodjax.load_config("food10_probe", data__dir=DATA, model__init_from=WEIGHTS)
    second.model.backbone = "tf_efficientnet_lite0"
else:
    second = config.copy_and_resolve_references()
    second.model.init_from = "runs/first"
second.name = "probe"
probed = foodjax.probe(second, "runs/probe")

# %% [markdown]
# ## Comparison
#
# `compare` sets finished runs side by side and tests their difference, image by image.
#
# **See:** the interval of the difference. One that contains 0 is no evidence for either run. One run of each cannot
# show how much another seed would change; [ablations.md](ablations.md) repeats them.

# %%
rows = foodjax.compare("runs/first", "runs/probe")
(low, high), points = rows[1].interval, 100 * rows[1].difference
print(f"\nprobe - first: {points:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}")

# %% [markdown]
# ## Export
#
# `export` writes a file for other programs: here for ONNX Runtime, on servers, desktops and phones. `run_onnx.py`
# beside it classifies JPEGs in about 20 lines. [export.md](export.md) has the other formats.
#
# **See:** ONNX Runtime returns the probabilities that foodjax returns.

# %%
path = foodjax.export("runs/first", "onnx")
(probabilities,) = onnxruntime.InferenceSession(path).run(None, {"images": images})
difference = abs(probabilities - predictor.probabilities(images)).max()
print(f"\nlargest difference of a probability, in 20 images: {difference:.0e}")

# %% [markdown]
# ## Next
#
# - Your own photographs: `foodjax.load_config("photos", data__dir="MY_FOLDER")` ([photographs.md](photographs.md)).
# - More and fewer layers, other dropout and learning rates, as the tutorial suggests:
#   `foodjax.load_config("food10", "drop_block=4", lr=3e-4)` ([ablations.md](ablations.md)).
# - A page that classifies photographs: `foodjax serve --workdir runs/first`.
