"""What a config may hold: keys, their rules, stored configs and variants. Imports no JAX and no TensorFlow."""
