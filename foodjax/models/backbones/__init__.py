"""Backbones: networks whose weights others trained on ImageNet, one page each."""
