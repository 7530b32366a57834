"""One step as pure functions: state, train and evaluation step, optimizer, metrics, devices."""
