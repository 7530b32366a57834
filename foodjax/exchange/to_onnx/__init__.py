"""Writes networks as ONNX, from their jaxpr: one exporter for every block and backbone."""
