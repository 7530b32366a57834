"""Networks in Flax Linen: blocks, layers, operations, layer table and receptive fields."""
