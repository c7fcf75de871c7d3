"""Nanoseconds per unit of what makes paths long, written by bench/fmax.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "LFE5U-6": {
        "logic": 4.96421,
        "wires": 0.00027,
        "memories": 0.03691,
        "window": 0.0,
        "multiplier": 0.70217,
    },
    "iCE40UP": {
        "logic": 18.94722,
        "wires": 0.01596,
        "memories": 0.0,
        "window": 2.10233,
        "multiplier": 17.38606,
    },
}

#: Largest error, as a share, on a build that the fit has not seen.
MARGIN: dict[str, float] = {"LFE5U-6": 0.28, "iCE40UP": 0.06}

#: Configurations that the fit has seen.
BUILDS: dict[str, int] = {"LFE5U-6": 9, "iCE40UP": 7}
