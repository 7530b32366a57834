"""Sweeps of an experiment, comparisons of runs, and the reproduction of a run."""
