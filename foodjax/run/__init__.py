"""Runs: the wiring of network, steps and data; training, evaluation, prediction."""
