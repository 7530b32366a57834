"""Where photographs come from and how they become batches: source, split, prepare, augment, pipeline."""
