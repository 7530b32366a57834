import foodjax
from experiments import ablate_blocks
from foodjax.config.check import checked
from foodjax.models import summary
from foodjax.models.convnet import create_model


def test_multiply_adds_of_the_tutorial():
    config = checked(ablate_blocks.get_config())
    rows = summary.layers(create_model(config, 10), 128)
    counts = {row.name: row.multiply_adds for row in rows}
    assert counts["block1/conv1"] == 128 * 128 * 32 * 27
    assert counts["block4/conv2"] == 10 * 10 * 512 * 25 * 512
    assert counts["dense1"] == 2048 * 1024
    assert counts["block1/dropout"] == 0


def test_the_table_of_an_experiment():
    rows = foodjax.summary(foodjax.load_config("food10"))
    assert rows.num_params == 10_588_458  # shared by the tutorial
    assert rows.multiply_adds == sum(row.multiply_adds for row in rows)
    assert "| block4/conv2 | 10, 10, 512 | 5, 5, 512, 512 | 6,554,112 |" in rows._repr_markdown_()
    assert rows._repr_markdown_().splitlines()[-1].startswith("| total |  |  | 10,588,458 |")


def test_the_number_of_classes_is_given_or_the_experiment_s():
    config = foodjax.load_config("demo")
    assert foodjax.summary(config, 3)[-1].output == (3,)
    config.data.class_names = ("star", "ring")
    assert foodjax.summary(config)[-1].output == (2,)
    config.data.update(class_names=(), num_classes=0)
    assert foodjax.summary(config)[-1].output == (101,)
