"""Sums and choices of an ECP5's own cells, and their plain forms, against Python."""

from types import SimpleNamespace

import blocks
import ecp5_cells
import numpy as np
import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.testing import assert_array_equal

from weft.hw.primitives.choose import choose
from weft.hw.primitives.sums import chosen_sum, signed_sum
from weft.hw.rounding_shift import RoundingShift

COUNT = 3000
WIDTH = 13

PLATFORMS = {"plain": "", "ecp5": "LFE5U-85F"}


class Cells(wiring.Component):
    """All of them at once."""

    def __init__(self, device):
        self.device = device
        super().__init__(
            {
                "a": In(WIDTH),
                "b": In(signed(WIDTH)),
                "c": In(signed(9)),
                "first": In(1),
                "second": In(1),
                "chosen": Out(WIDTH),
                "chosen_more": Out(WIDTH),
                "signed": Out(WIDTH),
                "three": Out(1),
                "four": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        platform = SimpleNamespace(device=self.device)
        sides = {"choice": self.first, "b": self.b, "c": self.c}
        index = self.a[:2]
        bits = [self.b[bit] for bit in range(4)]
        m.d.comb += [
            self.chosen.eq(chosen_sum(m, platform, self.a, **sides, name="sum_0")),
            self.chosen_more.eq(chosen_sum(m, platform, self.a, **sides, carry=1, name="sum_1")),
            self.signed.eq(
                signed_sum(
                    m, platform, self.a, self.c, use=self.first, invert=self.second, name="sum_2"
                )
            ),
            self.three.eq(choose(m, platform, index, bits[:3], name="three")),
            self.four.eq(choose(m, platform, index, bits, name="four")),
        ]
        return m


@pytest.mark.parametrize("platform", PLATFORMS)
def test_sums_and_choices(platform, monkeypatch):
    print("seed 0")
    rng = np.random.default_rng(0)
    a = rng.integers(0, 1 << WIDTH, COUNT)
    b = rng.integers(-(1 << WIDTH - 1), 1 << WIDTH - 1, COUNT)
    c = rng.integers(-256, 256, COUNT)
    first, second = rng.integers(0, 2, (2, COUNT))
    add_models(monkeypatch, PLATFORMS[platform])
    seen = blocks.play(
        Cells(PLATFORMS[platform]),
        {"a": a, "b": b, "c": c, "first": first, "second": second},
        simulator="icarus",
    )
    mask = (1 << WIDTH) - 1
    total = a + np.where(first, b, c)
    assert_array_equal(seen["chosen"], total & mask)
    assert_array_equal(seen["chosen_more"], total + 1 & mask)
    assert_array_equal(seen["signed"], a + np.where(first, np.where(second, ~c, c), 0) & mask)
    assert_array_equal(seen["four"], b >> (a & 3) & 1)
    assert_array_equal(seen["three"], b >> np.minimum(a & 3, 2) & 1)


class Ecp5Shift(RoundingShift):
    """The form that an ECP5 gets."""

    def elaborate(self, platform):
        return super().elaborate(SimpleNamespace(device="LFE5U-85F"))


@pytest.mark.parametrize("fraction", [0, 12])
def test_the_rounding_shift_is_the_plain_one(fraction, monkeypatch):
    print("seed 0")
    rng = np.random.default_rng(0)
    size = rng.integers(1, 46, COUNT)
    stimulus = {
        "value": rng.integers(-(1 << size - 1), 1 << size - 1),
        "shift": rng.integers(fraction, 44 if fraction else 32, COUNT),
        "up": rng.integers(0, 2, COUNT),
    }
    sizes = {"width": 45, "kept": 10, "fraction": fraction}
    plain = blocks.play(RoundingShift(**sizes), stimulus, simulator="icarus")
    add_models(monkeypatch, "LFE5U-85F")
    seen = blocks.play(Ecp5Shift(**sizes), stimulus, simulator="icarus")
    for name, values in plain.items():
        assert_array_equal(seen[name], values, err_msg=name)


def add_models(monkeypatch, device):
    plain = blocks.convert

    def with_models(component, *, name):
        text = plain(component, name=name)
        assert ("PFUMX " in text) == bool(device)
        return text + ecp5_cells.tables()

    monkeypatch.setattr(blocks, "convert", with_models)
