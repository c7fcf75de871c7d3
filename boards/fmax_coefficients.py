"""Nanoseconds per unit of what makes paths long, written by bench/fmax.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "LFE5U-6": {
        "logic": 7.36491,
        "wires": 0.0,
        "memories": 0.03211,
        "multiplier": 0.326,
    },
    "iCE40UP": {
        "logic": 15.00988,
        "wires": 0.28669,
        "memories": 0.0,
        "window": 6.11886,
        "multiplier": 7.23689,
    },
}

#: Largest error, as a share, on a build that the fit has not seen.
MARGIN: dict[str, float] = {"LFE5U-6": 0.59, "iCE40UP": 0.07}

#: Configurations that the fit has seen.
BUILDS: dict[str, int] = {"LFE5U-6": 5, "iCE40UP": 7}
