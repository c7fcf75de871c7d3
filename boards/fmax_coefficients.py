"""Nanoseconds per unit of what makes paths long, written by bench/fmax.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "LFE5U-6": {
        "logic": 4.82235,
        "wires": 0.0063,
        "memories": 0.03109,
        "window": 0.0,
        "multiplier": 0.61727,
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
MARGIN: dict[str, float] = {"LFE5U-6": 0.76, "iCE40UP": 0.06}

#: Configurations that the fit has seen.
BUILDS: dict[str, int] = {"LFE5U-6": 8, "iCE40UP": 7}
