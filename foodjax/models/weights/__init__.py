"""Pretrained weights from files of other people: read as data, checked, and never executed."""
