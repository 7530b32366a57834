import pytest
from ml_collections import ConfigDict

import foodjax
from experiments import food10
from foodjax import load_config
from foodjax.config import variants
from foodjax.config.check import checked
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.system.errors import UserError

CONVOLUTIONS = [
    ("block1/conv1", 896), ("block1/conv2", 9248), ("block2/conv1", 18496), ("block2/conv2", 36928),
    ("block3/conv1", 73856), ("block3/conv2", 147584), ("block4/conv1", 1638912), ("block4/conv2", 6554112),
]  # fmt: skip


def table(variant):
    """The layer table of food10:variant: name -> (output, kernel, parameters)."""
    config = checked(food10.get_config(variant))
    rows = summary.layers(create_model(config, 10), config.data.image_size)
    return {row.name: (row.output, row.kernel, row.num_params) for row in rows}


def total(rows):
    return sum(row[-1] for row in rows.values())


def test_rates_are_a_variant_like_any_other_key():
    config = checked(food10.get_config("optimizer.rates=(block[12]/*:0.1,logits/*:10),lr=3e-4"))
    assert config.optimizer.rates == (("block[12]/*", 0.1), ("logits/*", 10.0))
    assert config.optimizer.learning_rate == 3e-4
    assert config.name == "food10-optimizer.rates=-block-12-0.1-logits-10-lr=3e-4"
    same = load_config("food10", optimizer__rates=config.optimizer.rates, lr=3e-4)
    assert checked(same).optimizer == config.optimizer
    grid = foodjax.grid(**{"optimizer.rates": [(), (("block1/*", 0.1), ("logits/*", 2.0))]})
    assert [checked(food10.get_config(point)).optimizer.rates for point in grid] == [
        (), (("block1/*", 0.1), ("logits/*", 2.0))
    ]  # fmt: skip


def test_without_a_variant_the_tutorial_is_the_tutorial():
    rows = table("")
    assert [(name, row[-1]) for name, row in rows.items() if "conv" in name] == CONVOLUTIONS
    assert total(rows) == 10_588_458


# Expected counts are the tutorial's own rows or kernel * kernel * inputs * outputs + outputs, worked out by hand.
@pytest.mark.parametrize(
    "variant,layer,output,kernel,num_params",
    [
        ("drop_block=1", "block1/conv1", (128, 128, 64), (3, 3, 3, 64), 1_792),
        ("drop_block=1", "block3/conv1", (30, 30, 512), (5, 5, 128, 512), 1_638_912),
        ("drop_block=4", "block3/conv2", (28, 28, 128), (3, 3, 128, 128), 147_584),
        ("drop_block=4", "dense1", (1024,), (25_088, 1024), 25_691_136),
        ("blocks=3", "block3/conv2", (28, 28, 128), (3, 3, 128, 128), 147_584),
        ("blocks=3", "dense1", (1024,), (25_088, 1024), 25_691_136),
        ("blocks=1", "dense1", (1024,), (127_008, 1024), 130_057_216),
        ("pool=avg", "block4/conv2", (10, 10, 512), (5, 5, 512, 512), 6_554_112),
        ("pool=avg", "dense1", (1024,), (512, 1024), 525_312),
        ("kernel=3", "block4/conv1", (14, 14, 512), (3, 3, 128, 512), 590_336),
        ("kernel=3", "block4/conv2", (12, 12, 512), (3, 3, 512, 512), 2_359_808),
        ("kernel=3", "dense1", (1024,), (4_608, 1024), 4_719_616),
        ("kernel=5", "block1/conv1", (128, 128, 32), (5, 5, 3, 32), 2_432),
        ("add_block=3", "block4/conv2", (14, 14, 128), (3, 3, 128, 128), 147_584),
        ("add_block=3", "block5/conv2", (10, 10, 512), (5, 5, 512, 512), 6_554_112),
        ("model.blocks[3].kernel=3,pool=avg", "dense1", (1024,), (512, 1024), 525_312),
        ("model.head.hidden=(64,32)", "dense2", (32,), (64, 32), 2_080),
    ],
)
def test_the_layer_table_of_a_variant(variant, layer, output, kernel, num_params):
    assert table(variant)[layer] == (output, kernel, num_params)


@pytest.mark.parametrize(
    "variant,blocks,change",
    [
        ("drop_block=4", 3, -8_193_024 + 23_592_960),
        ("add_block=3", 5, 2 * 147_584),
        ("dropout=0.5", 4, 0),
        ("lr=1", 4, 0),
    ],
)
def test_the_number_of_parameters_of_a_variant(variant, blocks, change):
    rows = table(variant)
    assert total(rows) == 10_588_458 + change
    assert max(int(name[5]) for name in rows if name.startswith("block")) == blocks


def test_values_without_layers():
    config = food10.get_config("dropout=0.5,lr=3e-4,train.epochs=7,data.resize=box,augment.brightness=(0.5,1.0)")
    assert [block.dropout for block in config.model.blocks] == [0.5] * 4
    assert config.model.head.dropout == 0.5
    assert config.optimizer.learning_rate == 3e-4
    assert config.train.epochs == 7
    assert config.data.resize == "box"
    assert config.augment.brightness == (0.5, 1.0)
    assert config.name.startswith("food10-dropout=0.5-lr=3e-4-")
    assert "/" not in config.name
    assert food10.get_config("lr=1").optimizer.learning_rate == 1.0  # an integer where a float is needed


@pytest.mark.parametrize(
    "name,changed",
    [
        ("rotation", {"rotation": 0.0}),
        ("shift", {"shift_rows": 0.0}),
        ("brightness", {"brightness": (1.0, 1.0)}),
        ("flip_horizontal", {"flip_horizontal": False}),
        ("flip_vertical", {"flip_vertical": False}),
        ("crop", {"crop_area": (1.0, 1.0), "crop_aspect": 1.0}),
        ("colour", {"contrast": 0.0, "saturation": 0.0, "hue": 0.0}),
        ("randaugment", {"randaugment_ops": 0}),
        ("random_ops", {"randaugment_ops": 0}),
        ("cutout", {"cutout": 0.0}),
        ("mix", {"mixup": 0.0, "cutmix": 0.0}),
    ],
)
def test_one_augmentation_is_left_out_and_the_others_stay(name, changed):
    everything = (
        "augment.crop_area=(0.5,1.0),augment.crop_aspect=1.3,augment.contrast=0.1,augment.saturation=0.1,"
        "augment.hue=9.0,augment.random_ops=2,augment.cutout=0.2,augment.mixup=0.3,augment.cutmix=0.3"
    )
    before, after = (dict(food10.get_config(v).augment) for v in (everything, f"{everything},drop_augment={name}"))
    assert {key: value for key, value in after.items() if value != before[key]} == changed


def test_blocks_of_any_kind_can_be_added_and_those_without_a_kernel_are_left_alone():
    config = food10.get_config()
    config.model.blocks = (
        ConfigDict(dict(kind="stem", features=16, patch=4, kernel=1)),
        ConfigDict(dict(kind="residual", features=32, pool=2, depth=1, dropout=0.0)),
    )
    variants.apply(config, "add_block=1,kernel=3,dropout=0.5")
    assert [block.kind for block in config.model.blocks] == ["stem", "stem", "residual"]
    assert [block.get("patch", 0) for block in config.model.blocks] == [4, 1, 0]
    assert [block.get("kernel", 0) for block in config.model.blocks] == [3, 3, 0]
    assert config.model.blocks[2].dropout == 0.5
    variants.apply(config, "add_block=3")
    checked(config)
    assert config.model.blocks[3].pool == 1
    assert config.model.blocks[2].pool == 2


def test_changes_apply_from_left_to_right():
    assert len(food10.get_config("drop_block=4,blocks=3").model.blocks) == 3
    assert [b.features for b in food10.get_config("blocks=2,add_block=1").model.blocks] == [32, 32, 64]


@pytest.mark.parametrize(
    "variant,message",
    [
        ("drop_blok=4", r"'drop_blok' is unknown; did you mean 'drop_block'\?: needs drop_block=4, add_block=3, .*lr="),
        ("drop_block=5", "variant drop_block is 5: needs a block from 1 to 4"),
        ("drop_block=0", "needs a block from 1 to 4"),
        ("drop_block=True", "needs a block from 1 to 4"),
        ("blocks=5", "needs a block from 1 to 4"),
        ("pool=mean", "variant pool is 'mean': needs avg, max or flatten"),
        ("kernel=big", r"model.blocks\[0\].kernel is 'big': needs an integer in \[1, 8192\]"),
        ("lr=fast", "optimizer.learning_rate is 'fast': needs a number > 0"),
        ("lr={[]:1}", r"optimizer.learning_rate is '\{\[\]:1\}': needs a number > 0"),
        ("lr=" + "-" * 99_999 + "1", "needs a number > 0"),
        ("lr", "'lr' is not NAME=VALUE: needs drop_block=4"),
        ("lr=", "'lr=' is not NAME=VALUE"),
        ("lr=1e-3,lr=1e-4", "has lr twice"),
        ("drop_augment=noise", "needs one of rotation, shift"),
        ("drop_augment=mixup", "needs one of rotation, shift"),  # a key, not an augmentation: cutmix goes with it
        ("train.epoch=4", "config has no key 'train.epoch'; did you mean 'train.epochs'"),
        (
            "model.blocks[4].kernel=3",
            r"config has no key 'model.blocks\[4\].kernel'; did you mean 'model.blocks\[3\].kernel'",
        ),
    ],
)
def test_a_wrong_variant_says_what_is_valid(variant, message):
    with pytest.raises(UserError, match=message):
        food10.get_config(variant)


def test_an_experiment_may_have_options_of_its_own():
    own = {"budget": ("gpu", "cpu")}
    assert variants.parse("lr=1e-3", **own).own == {"budget": "gpu"}
    variant = variants.parse("budget=cpu,lr=1e-3", **own)
    assert variant.own == {"budget": "cpu"}
    assert variant.changes == (("lr", "1e-3"),)
    assert variants.apply(food10.get_config(), variant).name == "food10-budget=cpu-lr=1e-3"
    with pytest.raises(UserError, match="variant budget is 'tpu': needs one of gpu, cpu"):
        variants.parse("budget=tpu", **own)
    with pytest.raises(UserError, match=r"did you mean 'budget'\?: needs .*budget=gpu\|cpu"):
        variants.parse("budgt=cpu", **own)
