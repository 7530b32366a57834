"""Runs: the wiring of network, steps and data, and what is done with them: train, evaluate, predict."""
