"""Evaluation of predictions: scores, calibration, temperature scaling."""
