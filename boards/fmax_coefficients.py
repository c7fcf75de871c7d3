"""Nanoseconds per unit of what a path is made of, written by bench/fmax.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {}

MARGIN: dict[str, float] = {}

BUILDS: dict[str, int] = {}
