"""Searches for inputs that break weft, of any length: `python -m tests.fuzz --help`."""
