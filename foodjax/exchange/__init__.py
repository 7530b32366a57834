"""Exchange of models with other frameworks."""
