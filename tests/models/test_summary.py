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
