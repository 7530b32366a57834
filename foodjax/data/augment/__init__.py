"""Augmentation: random parameters of a batch, and the pure functions that apply them."""
