"""Data: sources of photographs, the prepared cache, splits, augmentation and batches."""
