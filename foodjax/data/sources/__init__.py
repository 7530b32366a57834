"""Sources of encoded photographs: TFDS, an archive, folders, or drawn shapes."""
