"""Nanoseconds per unit of what makes paths long, written by bench/fmax.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "LFE5U-6": {
        "logic": 7.4027,
        "wires": 0.0,
        "memories": 0.03063,
        "window": 0.0,
        "multiplier": 0.32235,
    },
    "iCE40UP": {
        "logic": 18.36669,
        "wires": 0.0,
        "memories": 0.0,
        "window": 1.57952,
        "multiplier": 18.60826,
    },
}

#: Largest error, as a share, on a build that the fit has not seen.
MARGIN: dict[str, float] = {"LFE5U-6": 0.59, "iCE40UP": 0.13}

#: Configurations that the fit has seen.
BUILDS: dict[str, int] = {"LFE5U-6": 6, "iCE40UP": 7}
