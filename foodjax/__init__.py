"""foodjax: image classification in JAX and Flax, from photographs on disk to an evaluated model."""
