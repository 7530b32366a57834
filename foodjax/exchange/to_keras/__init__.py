"""Writes networks as Keras models, from the graph that the ONNX export makes of their jaxpr."""
