"""HTML pages, charts and pictures of a run and its data."""
