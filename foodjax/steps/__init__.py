"""Training and evaluation steps as pure functions, with state, optimizer, metrics, early stopping and devices."""
