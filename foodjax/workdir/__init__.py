"""Workdirs: description, checkpoints, run record and logs."""
