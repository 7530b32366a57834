"""Errors, files, signals, memory and the terminal. Imports no other folder."""
