"""Division by a power of two, to the nearest integer."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay

#: Bits of the shift that each stage takes: the highest first.
_STAGES = ((3, 2), (1, 2), (0, 1))


class RoundingShift(wiring.Component):
    """``saturate(round(value / 2**shift))``; ties go away from zero, or upward with `up`.

    The last addition is left to whoever takes the result, as he adds something anyway.

    Parameters
    ----------
    width : int
    kept : int, optional
        Bits of the result, to which it saturates; by default all.

    Members
    -------
    value : In(signed(width))
    shift : In(5)
    up : In(1)
        Constant while results are on their way.
    result : Out(signed(kept))
    carry : Out(1)
        To be added to it. Both come `latency` cycles later.
    """

    latency = len(_STAGES)

    def __init__(self, *, width: int, kept: int | None = None):
        self.width = width
        self.kept = width if kept is None else kept
        super().__init__(
            {
                "value": In(signed(width)),
                "shift": In(5),
                "up": In(1),
                "result": Out(signed(self.kept)),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # One more bit, that of a half; `sticky` tells of ones below it, `beyond` of bits above
        # the result that are not its sign.
        value: Value = Cat(0, self.value).as_signed()
        sign = self.value[-1]
        sticky: Value = Signal(name="sticky_0")
        beyond: Value = Signal(name="beyond_0")
        shift: Value = self.shift
        for low, count in _STAGES:
            unit = 1 << low
            # Bits that a later stage may still bring down.
            room = min(self.kept + 1 + unit - 1, len(value))
            following = Signal(signed(room), name=f"value_{low}")
            stuck, lost = Signal(name=f"sticky_at_{low}"), Signal(name=f"beyond_at_{low}")
            with m.Switch(shift[low : low + count]):
                for turns in range(1 << count):
                    by = unit * turns
                    above = value[min(by + room - 1, len(value) - 1) :]
                    with m.Case(turns):
                        m.d.sync += [
                            following.eq(value >> by),
                            stuck.eq(sticky | value[:by].any()),
                            lost.eq(beyond | (above.any() & ~above.all())),
                        ]
            sign = delay(m, sign, 1, name=f"sign_{low}")
            shift = delay(m, shift, 1, name=f"shift_{low}")
            value, sticky, beyond = following, stuck, lost
        extreme = Mux(sign, -(1 << self.kept - 1), (1 << self.kept - 1) - 1)
        m.d.comb += [
            self.result.eq(Mux(beyond, extreme, value >> 1)),
            self.carry.eq(~beyond & value[0] & (self.up | ~sign | sticky)),
        ]
        return m
