"""Lookup tables per unit of each part of a core, written by bench/area.py."""

COEFFICIENTS: dict[str, dict[str, float]] = {
    "ecp5": {
        "core": 0.0,
        "sequencer": 43.1421,
        "words": 3.7955,
        "banks": 4.2052,
        "parts": 0.6543,
        "array": 0.8895,
        "table_multipliers": 153.5695,
        "window": 1.0525,
        "accumulators": 3.5043,
        "shifts": 6.1424,
        "multipliers": 9.5524,
        "multiplier_bits": 0.9881,
        "products": 104.8692,
        "elementwise": 162.8344,
        "elementwise_bits": 7.9647,
        "elementwise_lanes": 10.6316,
        "tables": 4.4318,
    },
    "ice40": {
        "core": 863.5207,
        "sequencer": 1.1181,
        "words": 0.0,
        "banks": 0.0,
        "parts": 1.3974,
        "array": 1.3594,
        "table_multipliers": 116.7391,
        "window": 1.8026,
        "accumulators": 2.2053,
        "shifts": 4.7322,
        "multipliers": 13.6699,
        "multiplier_bits": 62.7598,
        "products": 218.9292,
        "elementwise": 441.2337,
        "elementwise_bits": 27.3233,
        "elementwise_lanes": 0.0,
        "tables": 5.9603,
    },
}

#: Largest error, as a share, on a configuration that the fit has not seen.
MARGIN: dict[str, float] = {"ecp5": 0.07, "ice40": 0.11}
