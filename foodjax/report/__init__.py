"""Pictures and pages: what a run has learned, where it fails and why."""
