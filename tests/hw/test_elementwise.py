"""Two activations made one value, against golden's formulas, for all pairs of codes near ends."""

import numpy as np
import pytest
from blocks import PLAYERS, play
from numpy.testing import assert_array_equal

from weft.compiler.network import Scaling
from weft.hw.elementwise import Elementwise
from weft.hw.isa import Elementwise as Operation
from weft.sim import golden

#: Cycles for which what belongs to an instruction stays as it is.
STRETCH = 120


def constants_of(rng, bits, stretch):
    factor = int(rng.integers(1 << bits - 1, 1 << bits))
    if stretch % 7 == 0:
        factor = int(rng.choice([0, 1 << bits - 1, (1 << bits) - 1]))
    return {
        "operation": [Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY][stretch % 3],
        "zero_0": int(rng.choice([-128, 128, 0, int(rng.integers(-128, 129))])),
        "zero_1": int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))])),
        "factor": factor,
        "factor_shift": int(rng.choice([0, 1, 31, int(rng.integers(0, 32))])),
        "single": int(rng.integers(2)),
    }


def expected_of(constants, x0, x1, bits):
    d0, d1 = x0 - constants["zero_0"], x1 - constants["zero_1"]
    operation = constants["operation"]
    if operation == Operation.MULTIPLY:
        return d0 * d1
    scaling = Scaling(
        np.array([-constants["factor_shift"]]),
        np.array([constants["factor"] << 31 - bits]),
        "single" if constants["single"] else "double",
    )
    scaled = golden.scale_accumulator(d1 << 20, scaling)
    return (d0 << 19) + (scaled if operation == Operation.ADD else -scaled)


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize("bits", [31, 20, 16])
@pytest.mark.parametrize("seed", range(1))
def test_formula(simulator, bits, seed):
    rng = np.random.default_rng(seed)
    stretches = 80 if simulator == "verilator" else 16
    count = stretches * STRETCH
    every = [constants_of(rng, bits, stretch) for stretch in range(stretches)]
    # The first operand may be negated.
    x0, x1 = rng.integers(-128, 129, count), rng.integers(-128, 128, count)
    chosen, idle = rng.integers(0, 2, count), rng.integers(-(2**16), 2**16, count)
    values = x1 - 256 * x0
    seen = play(
        Elementwise(width=32, multiplier_bits=bits),
        {
            "value": np.where(chosen, idle, values),
            "other": np.where(chosen, values, idle),
            "choose_other": chosen,
            **{name: np.repeat([int(c[name]) for c in every], STRETCH) for name in every[0]},
        },
        simulator=simulator,
    )["result"]
    latency = Elementwise.latency
    for stretch, constants in enumerate(every):
        part = slice(stretch * STRETCH + 2, (stretch + 1) * STRETCH - latency)
        shown = slice(part.start + latency, part.stop + latency)
        expected = expected_of(constants, x0[part], x1[part], bits)
        assert_array_equal(seen[shown], expected, err_msg=str(constants))


@pytest.mark.parametrize("width", [17, 18])
def test_products_alone_need_no_multiplier(width):
    rng = np.random.default_rng(0)
    x0, x1 = rng.integers(-128, 128, (2, 1000))
    seen = play(
        Elementwise(width=width, multiplier_bits=0),
        {"value": x1 - 256 * x0, "operation": np.full(1000, int(Operation.MULTIPLY))},
    )["result"]
    assert_array_equal(seen[Elementwise.latency + 2 :], (x0 * x1)[2 : -Elementwise.latency])
