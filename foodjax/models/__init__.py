"""Networks in Flax Linen, their layers and operations, and what can be told of them without data."""
