"""Division by a power of two, to the nearest integer."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import data_delay
from weft.hw.primitives.choose import choose

#: Bits of the shift that each stage takes: the highest first. For shifts up to 31, and up to 47.
_STAGES = ((3, 2), (1, 2), (0, 1))
_LONG_STAGES = ((4, 2), (2, 2), (0, 2))
#: The largest shift of the long ones.
_MOST = 47


class RoundingShift(wiring.Component):
    """A number of halves, shifted to the right and rounded, once or twice.

    With `up`, ties go upward::

        r = floor(value / 2**(1 + shift) + 1 / 2)

    Without it there is a result of `shift = fraction` before, whose ties go upward, and those of
    the second division away from zero::

        q = floor(value / 2**(1 + fraction) + 1 / 2)
        r = round(q / 2**(shift - fraction))

    The second needs no q. With the halves of a whole shift cut off, r is one more or not: q is
    their floor, or one more where bit `fraction` of `value` is set, and that reaches the bits
    that remain only through ones.

    The last addition is left to whoever takes the result, as he adds something anyway.

    Parameters
    ----------
    width : int
    kept : int
        Bits of the result.
    fraction : int
        0, or 12 for shifts up to 47, which are 12 at least without `up`.

    Members
    -------
    value : In(signed(width))
    shift : In(5), or In(6) with a fraction
    up : In(1)
        With the value.
    result : Out(signed(kept))
    carry : Out(1)
        To be added to it.
    beyond : Out(1)
        The result does not fit: it is far from zero to the side that `sign` says.
    sign : Out(1)
        All these come `latency` cycles later.
    """

    latency = len(_STAGES)

    def __init__(self, *, width: int, kept: int, fraction: int = 0):
        assert fraction in (0, 12)
        self.kept = kept
        self.fraction = fraction
        super().__init__(
            {
                "value": In(signed(width)),
                "shift": In(6 if fraction else 5),
                "up": In(1),
                "result": Out(signed(kept)),
                "carry": Out(1),
                "beyond": Out(1),
                "sign": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        value: Value = self.value
        shift: Value = self.shift
        sign: Value = self.value[-1]
        # Ties away from a negative result need one bit below that is not zero; ones that carry
        # upward are stopped by one bit that is. Either is `stuck`, which begins with what q has
        # more. (An inversion and three bits fit a lookup table.)
        away: Value = sign & ~self.up
        stuck: Value = (self.value[self.fraction] & ~self.up) ^ ~away
        beyond: Value = Signal(name="beyond_0")
        for low, count in _LONG_STAGES if self.fraction else _STAGES:
            unit = 1 << low
            # Bits that a later stage may still bring down.
            room = min(self.kept + unit, len(value))
            following = Signal(signed(room), name=f"value_{low}", reset_less=True)
            found = Signal(name=f"stuck_at_{low}", reset_less=True)
            lost = Signal(name=f"beyond_at_{low}", reset_less=True)
            # What lies under the fraction is not looked at: the first stage knows its place, and
            # unless it has moved, the second takes it out.
            first = self.fraction if shift is self.shift else 0
            looked = shift[low + count :].any() if self.fraction and low == 2 else Const(1)
            distances = range(0, min(unit << count, _MOST + 1), unit)
            stops: list[Value] = []
            lost_bits: list[Value] = []
            for by in distances:
                under = value[first : max(by, first)]
                above = value[min(by + room - 1, len(value) - 1) : -1]
                stops.append(looked & (under ^ (~away).replicate(len(under))).any())
                lost_bits.append((above ^ value[-1].replicate(len(above))).any())
            index = shift[low : low + count]
            m.d.sync += [
                found.eq(stuck | choose(m, None, index, stops, name=f"stops_{low}")),
                lost.eq(beyond | choose(m, None, index, lost_bits, name=f"lost_{low}")),
            ]
            for bit in range(room):
                # Beyond its end the value goes on with its sign.
                places = [min(bit + by, len(value) - 1) for by in distances]
                cells = platform if len(set(places)) == len(places) else None
                moved = choose(
                    m, cells, index, [value[at] for at in places], name=f"moved_{low}_{bit}"
                )
                m.d.sync += following[bit].eq(moved)
            sign = data_delay(m, sign, 1, name=f"sign_{low}")
            away = data_delay(m, away, 1, name=f"away_{low}")
            shift = data_delay(m, shift, 1, name=f"shift_{low}")
            value, stuck, beyond = following, found, lost
        m.d.comb += [
            self.result.eq(value >> 1),
            self.carry.eq(Mux(away, value[0] & stuck, value[0] | ~stuck)),
            self.beyond.eq(beyond),
            self.sign.eq(sign),
        ]
        return m
