"""The elementwise units of all lanes, and the way around them."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Config
from weft.hw.delay import data_delay
from weft.hw.elementwise import Elementwise
from weft.hw.isa import Elementwise as Operation
from weft.hw.primitives.sums import chosen_sum


def latency(config: Config) -> int:
    """Cycles from values to results."""
    return Elementwise.latency + config.shared_elementwise


class ElementwiseLanes(wiring.Component):
    """Values of all lanes, changed by the instruction's operation.

    Two activations come in two steps. So where the lanes take all columns at once, they have
    results every other cycle at most, and two lanes share a unit (``config.shared_elementwise``).

    Members
    -------
    values : In
        `lanes` values of `accumulator_bits`.
    biases : In
        `lanes` values of 32 bits, added to the results when these are there.
    valid : In(1)
        With values; with an operation and shared units not in two cycles running.
    operation, zero_0, zero_1, factor, factor_shift, single : In
        As of `Elementwise`.
    results : Out
        `lanes` values of 32 bits and their biases: the units' results, `latency` cycles later;
        without an operation the values themselves, at once.
    """

    def __init__(self, config: Config):
        self.config = config
        self.latency = latency(config)
        super().__init__(
            {
                "values": In(config.accumulator_bits * config.lanes),
                "biases": In(32 * config.lanes),
                "valid": In(1),
                "operation": In(Operation),
                "zero_0": In(signed(9)),
                "zero_1": In(signed(9)),
                "factor": In(max(config.multiplier_bits, 1)),
                "factor_shift": In(5),
                "single": In(1),
                "results": Out(32 * config.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        values = [
            self.values.word_select(lane, config.accumulator_bits).as_signed()
            for lane in range(config.lanes)
        ]
        if config.shared_elementwise:
            made = []
            for lane in range(0, config.lanes, 2):
                second = data_delay(m, values[lane + 1], 1, name=f"second_{lane}")
                result = self._unit(m, lane, values[lane], second, ~self.valid)
                made += [data_delay(m, result, 1, name=f"first_{lane}"), result]
        else:
            made = [
                self._unit(m, lane, value, value, Const(0)) for lane, value in enumerate(values)
            ]
        untouched = Signal()
        m.d.sync += untouched.eq(self.operation == Operation.NONE)
        for lane, (value, result) in enumerate(zip(values, made, strict=True)):
            bias = self.biases.word_select(lane, 32)
            shown = chosen_sum(
                m, platform, bias, choice=untouched, b=value, c=result, name=f"shown_{lane}"
            )
            m.d.comb += self.results.word_select(lane, 32).eq(shown)
        return m

    def _unit(self, m: Module, lane: int, value: Value, other: Value, choose_other: Value) -> Value:
        config = self.config
        unit = Elementwise(width=len(value), multiplier_bits=config.multiplier_bits)
        m.submodules[f"unit_{lane}"] = unit
        m.d.comb += [
            unit.value.eq(value),
            unit.other.eq(other),
            unit.choose_other.eq(choose_other),
        ]
        for name in ("operation", "zero_0", "zero_1", "factor", "factor_shift", "single"):
            m.d.comb += getattr(unit, name).eq(getattr(self, name))
        return unit.result
