"""The browser page that predicts a photograph."""
