"""The tutorial: ten classes of Food-101, a four-block CNN with 10,588,458 parameters.

    python main.py --config experiments/food10.py
    python main.py --config experiments/food10.py:drop_block=4,lr=3e-4

Data: TFDS downloads 5 GB once; `--config.data.dir=PATH` takes a copy that is already there.
Time: the tutorial took 45 min on a GTX 1080 Ti.
Result: the tutorial reports 56.96 % test accuracy (best validation loss 1.209).
"""

from ml_collections import ConfigDict

from foodjax import variants


def get_config(arg: str = "") -> ConfigDict:
    """Returns every value of the tutorial's experiment, or of the variant `arg` of it."""
    config = ConfigDict()
    config.name = "food10"
    config.seed = 0

    config.data = ConfigDict()
    config.data.backend = "tf"  # tf: batches come from tf.data | device: pictures lie in the accelerator's memory
    config.data.source = "tfds"  # tfds | drawn; used when dir is empty
    config.data.dir = ""  # food-101.tar.gz, food-101/, or a folder with train/<class>/ and test/<class>/
    config.data.tfds_name = "food101:2.1.0"
    config.data.tfds_dir = ""  # where TFDS keeps its data; empty: its default, ~/tensorflow_datasets
    config.data.num_classes = 10  # the first N in alphabetical order; 0 takes all
    config.data.class_names = ()  # or exactly these; ('baklava','bibimbap') on the command line
    config.data.image_size = 128  # pixels, square; the aspect ratio is not kept
    config.data.resize = "nearest"  # nearest | bilinear | bicubic | lanczos | box
    config.data.protocol = "holdout"  # holdout: validation from train; tutorial: validation from test, augmented
    config.data.validation_fraction = 0.15  # of each class
    config.data.train_per_class = 0  # photographs to train on, of each class at most; 0 takes all
    config.data.batch_size = 32
    config.data.eval_batch_size = 50
    config.data.on_error = "stop"  # stop | skip pictures that do not decode
    config.data.cache_dir = ""  # prepared pictures; empty: $XDG_CACHE_HOME/foodjax or ~/.cache/foodjax
    config.data.drawn_train = 150  # pictures per class that source=drawn draws
    config.data.drawn_test = 30

    config.augment = ConfigDict()
    config.augment.rotation = 90.0  # degrees, uniform in +-rotation
    config.augment.shift_rows = 0.5  # fraction of the height, uniform in +-; Keras calls it width_shift_range
    config.augment.shift_columns = 0.0  # fraction of the width; Keras calls it height_shift_range
    config.augment.brightness = (0.1, 0.7)  # factor, uniform; (1.0, 1.0) changes nothing
    config.augment.flip_horizontal = True
    config.augment.flip_vertical = True
    config.augment.crop_area = (1.0, 1.0)  # share of the picture that a crop shows, uniform; it may lie anywhere
    config.augment.crop_aspect = 1.0  # width to height of the crop, log-uniform in [1 / crop_aspect, crop_aspect]
    config.augment.contrast = 0.0  # factor about mid-grey, uniform in 1 +- contrast
    config.augment.saturation = 0.0  # factor about the grey picture, uniform in 1 +- saturation
    config.augment.hue = 0.0  # degrees, uniform in +-hue
    config.augment.random_ops = 0  # RandAugment: operations drawn for each picture, on top of the above
    config.augment.random_strength = 0.5  # and how strong they are, 0 to 1
    config.augment.cutout = 0.0  # side of a grey square, as a fraction of the picture's
    config.augment.mixup = 0.0  # share of the pictures that are mixed with another one
    config.augment.mixup_alpha = 0.2  # of the Beta distribution of the mixture
    config.augment.cutmix = 0.0  # share of the pictures that get a box out of another one
    config.augment.cutmix_alpha = 1.0  # of the Beta distribution of the box's area

    config.model = ConfigDict()
    config.model.init_from = ""  # start from the weights of this workdir, or of a ResNet's .safetensors; "": random
    config.model.dtype = "float32"  # float32 | bfloat16 to compute in; weights, loss and sums are always float32
    config.model.input_size = 0  # pixels, the side of what the network trains on; 0: data.image_size
    config.model.activation = "relu"  # relu | gelu | silu
    config.model.norm = "none"  # none | batch | group
    config.model.norm_momentum = 0.9  # batch: how much of the running statistics a step keeps
    config.model.norm_groups = 8  # group
    config.model.blocks = (
        ConfigDict(dict(kind="conv", features=32, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=64, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=128, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)),
        ConfigDict(dict(kind="conv", features=512, kernel=5, padding=("SAME", "VALID"), pool=4, dropout=0.2)),
    )
    config.model.head = ConfigDict()
    config.model.head.pooling = "flatten"  # flatten | average | max
    config.model.head.hidden = (1024,)
    config.model.head.dropout = 0.2

    config.optimizer = ConfigDict()
    config.optimizer.name = "rmsprop"  # rmsprop | adamw | sgd | muon
    config.optimizer.learning_rate = 1e-4  # the highest of the schedule
    config.optimizer.lower_blocks = 0  # the first blocks, which learn at another rate:
    config.optimizer.lower_rate = 0.0  # a share of learning_rate; 0 freezes them
    config.optimizer.schedule = "constant"  # constant | cosine | one_cycle, over all train.epochs
    config.optimizer.warmup = 0.0  # share of the steps in which the rate rises
    config.optimizer.final_rate = 0.0  # cosine, one_cycle: where it ends, as a share of the highest
    config.optimizer.momentum = 0.0  # rmsprop, sgd (Nesterov's), muon; adamw: beta 1
    config.optimizer.decay = 0.9  # of the mean square. Keras: rho; adamw: beta 2
    config.optimizer.epsilon = 1e-7  # added to the mean square, under the root, as Keras does; adamw: to the root
    config.optimizer.weight_decay = 0.0  # of kernels alone, times the learning rate
    config.optimizer.clip_norm = 0.0  # longest gradient, all weights together; 0 does not clip

    config.train = ConfigDict()
    config.train.epochs = 100
    config.train.steps_per_dispatch = 8  # backend=device: steps in one call of the accelerator; 1 on CPU
    config.train.patience = 10  # epochs without a lower validation loss before training stops
    config.train.label_smoothing = 0.0
    config.train.class_weights = ()  # one for each class, in alphabetical order; () weighs all the same
    config.train.ema_decay = 0.0  # of averaged weights, which are then evaluated; 0 does not average
    config.train.sizes = ()  # ((0, 32), (10, 48)): the side from epoch 0 and 10 on; () is model.input_size always

    config.eval = ConfigDict()
    config.eval.size = 0  # pixels; 0: model.input_size
    config.eval.crop_area = 1.0  # share of the picture that is shown, in its middle
    config.eval.flip = False  # average the probabilities of the picture and its mirror image
    config.eval.calibrate = False  # mend the probabilities with a temperature, fitted on the validation images

    config.checkpoint = ConfigDict()  # after every epoch, and within one
    config.checkpoint.every_steps = 0  # 0: only after epochs
    config.checkpoint.every_minutes = 10.0  # 0: never by the clock

    return variants.apply(config, arg)
