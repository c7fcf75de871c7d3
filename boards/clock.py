"""The core's clock from the board's, by the family's PLL, and a reset that outlasts start-up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Out

Pll = TypeVar("Pll", "Ice40Pll", "Ecp5Pll", "GowinPll")

#: The pin of the UP5K in its package of 48 that leads straight to the PLL.
PLL_PAD = "35"

#: iCE40 block RAMs read as zeros for about 3 us after configuration.
RESET_SECONDS = 15e-6


@dataclass(frozen=True)
class Ice40Pll:
    """Settings of an SB_PLL40 with simple feedback.

    Parameters
    ----------
    divr, divf, divq : int
        ``output = input / (divr + 1) * (divf + 1) / 2**divq``.
    filter_range : int
    output : float
        Hz.
    """

    divr: int
    divf: int
    divq: int
    filter_range: int
    output: float


@dataclass(frozen=True)
class Ecp5Pll:
    """Settings of an EHXPLLL whose feedback is its own output.

    Parameters
    ----------
    input_divider, feedback_divider, output_divider : int
        ``output = input / input_divider * feedback_divider``; the oscillator runs
        `output_divider` times faster.
    output : float
        Hz.
    """

    input_divider: int
    feedback_divider: int
    output_divider: int
    output: float


@dataclass(frozen=True)
class GowinPll:
    """Settings of an rPLL whose feedback is its own output.

    Parameters
    ----------
    device : str
        As the primitive wants it: ``"GW1NR-9C"``.
    source : float
        Hz.
    input_divider, feedback_divider, output_divider : int
        ``output = source / input_divider * feedback_divider``; the oscillator runs
        `output_divider` times faster.
    output : float
        Hz.
    """

    device: str
    source: float
    input_divider: int
    feedback_divider: int
    output_divider: int
    output: float


@dataclass(frozen=True)
class GowinLimits:
    """Frequencies in Hz that an rPLL keeps to, lowest and highest.

    Parameters
    ----------
    compare, oscillator, output : tuple of float
    """

    compare: tuple[float, float]
    oscillator: tuple[float, float]
    output: tuple[float, float]


#: By series and speed grade. The numbers are those that other open projects, Project Apicula and
#: LiteX, quote from "PLL Switching Characteristics" in Gowin's data sheets DS117 (GW1NR) and DS102
#: (GW2A).
GOWIN_LIMITS = {
    "GW1NR-9C C6/I5": GowinLimits((3e6, 400e6), (400e6, 1200e6), (3.125e6, 600e6)),
    "GW2A-18C C8/I7": GowinLimits((3e6, 500e6), (500e6, 1250e6), (3.90625e6, 625e6)),
}
_GOWIN_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


def _ice40_filter_range(compare: float) -> int:
    for value, limit in ((1, 17e6), (2, 26e6), (3, 44e6), (4, 66e6), (5, 101e6)):
        if compare < limit:
            return value
    return 6


def ice40_pll(source: float, wanted: float) -> Ice40Pll:
    """Find settings for the highest frequency that is not above `wanted` Hz.

    Raises
    ------
    ValueError
        If the PLL cannot come within a tenth of it.
    """
    best = None
    for divr in range(16):
        compare = source / (divr + 1)
        if not 10e6 <= compare <= 133e6:
            continue
        for divq in range(1, 7):
            divf = min(127, math.floor(wanted * 2**divq / compare + 1e-9) - 1)
            oscillator = compare * (divf + 1)
            if divf < 0 or not 533e6 <= oscillator <= 1066e6:
                continue
            pll = Ice40Pll(divr, divf, divq, _ice40_filter_range(compare), oscillator / 2**divq)
            if best is None or pll.output > best.output:
                best = pll
    return _close_enough(best, source, wanted)


def ecp5_pll(source: float, wanted: float) -> Ecp5Pll:
    """Find settings for the highest frequency that is not above `wanted` Hz.

    Raises
    ------
    ValueError
        If the PLL cannot come within a tenth of it.
    """
    best = None
    for input_divider in range(1, 129):
        compare = source / input_divider
        if compare < 3.125e6:
            break
        feedback = min(80, math.floor(wanted / compare + 1e-9))
        if feedback < 1:
            continue
        output = compare * feedback
        # As near to the middle of the oscillator's 400 to 800 MHz as it goes.
        divider = min(128, max(1, round(600e6 / output)))
        if not 400e6 <= output * divider <= 800e6:
            continue
        if best is None or output > best.output:
            best = Ecp5Pll(input_divider, feedback, divider, output)
    return _close_enough(best, source, wanted)


def gowin_pll(device: str, speed: str, source: float, wanted: float) -> GowinPll:
    """Find settings for the highest frequency that is not above `wanted` Hz.

    Parameters
    ----------
    device, speed : str
        ``"GW1NR-9C"`` and ``"C6/I5"``, as Gowin writes them.
    source, wanted : float
        Hz.

    Raises
    ------
    ValueError
        If the PLL cannot come within a tenth of it, or nothing is known of the FPGA's.
    """
    limits = GOWIN_LIMITS.get(f"{device} {speed}")
    if limits is None:
        raise ValueError(f"the limits of the PLL of {device} {speed} are not known")
    best = None
    for input_divider in range(1, 65):
        compare = source / input_divider
        feedback = min(64, math.floor(wanted / compare + 1e-9))
        output = compare * feedback
        if not _within(compare, limits.compare) or not _within(output, limits.output):
            continue
        for divider in _GOWIN_OUTPUT_DIVIDERS:
            if not _within(output * divider, limits.oscillator):
                continue
            # Of several ways to one frequency the first has the highest compared one.
            if best is None or output > best.output:
                best = GowinPll(device, source, input_divider, feedback, divider, output)
    return _close_enough(best, source, wanted)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _close_enough(best: Pll | None, source: float, wanted: float) -> Pll:
    if best is None or best.output < 0.9 * wanted:
        raise ValueError(f"the PLL cannot make {wanted / 1e6:g} MHz from {source / 1e6:g} MHz")
    return best


def make_pll(family: str, platform: Any, wanted: float) -> Ice40Pll | Ecp5Pll | GowinPll:
    """Find a family's settings from a platform's clock; see `ice40_pll` and the others."""
    source = platform.default_clk_frequency
    if family == "gowin":
        return gowin_pll(platform.family, platform.speed, source, wanted)
    return ice40_pll(source, wanted) if family == "ice40" else ecp5_pll(source, wanted)


class ClockGenerator(wiring.Component):
    """Drives the domain `sync`, which its parent defines, from the platform's default clock.

    Its reset lasts until the PLL has locked and `RESET_SECONDS` more. Its frequency
    needs no constraint: nextpnr derives it from the PLL's settings, or, on Gowin's FPGAs, is told.

    Parameters
    ----------
    pll : Ice40Pll, Ecp5Pll or GowinPll

    Members
    -------
    clock : Out(1)
        The clock itself.
    """

    def __init__(self, pll: Ice40Pll | Ecp5Pll | GowinPll):
        self.pll = pll
        super().__init__({"clock": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Build PLL and reset."""
        m = Module()
        lock = Signal()
        pin = platform.request(platform.default_clk, dir="-")
        if isinstance(self.pll, Ice40Pll):
            names = platform.lookup(platform.default_clk).ios[0].names
            self._ice40(m, pin, lock, pad=names == [PLL_PAD])
        elif isinstance(self.pll, GowinPll):
            self._gowin(m, pin, lock)
        else:
            self._ecp5(m, pin, lock)

        m.domains += ClockDomain("start", local=True, reset_less=True)
        m.d.comb += [ClockSignal("start").eq(self.clock), ClockSignal("sync").eq(self.clock)]
        locked = Signal()
        m.submodules.lock = FFSynchronizer(lock, locked, o_domain="start", init=0)
        waited = Signal(range(2 * math.ceil(RESET_SECONDS * self.pll.output)))
        with m.If(locked & ~waited[-1]):
            m.d.start += waited.eq(waited + 1)
        reset = Signal(init=1)
        m.d.start += reset.eq(~waited[-1])
        m.d.comb += ResetSignal("sync").eq(reset)
        return m

    def _ice40(self, m: Module, pin: Any, lock: Signal, *, pad: bool) -> None:
        assert isinstance(self.pll, Ice40Pll)
        # A core PLL cannot share its site with the clock's pad, and a pad's PLL has no other input.
        source: dict[str, Any] = {}
        if pad:
            source["i_PACKAGEPIN"] = pin.io
        else:
            m.submodules.buffer = buffer = io.Buffer("i", pin)
            source["i_REFERENCECLK"] = buffer.i
        m.submodules.pll = Instance(
            "SB_PLL40_PAD" if pad else "SB_PLL40_CORE",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self.pll.divr, 4),
            p_DIVF=Const(self.pll.divf, 7),
            p_DIVQ=Const(self.pll.divq, 3),
            p_FILTER_RANGE=Const(self.pll.filter_range, 3),
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=self.clock,
            o_LOCK=lock,
            **source,
        )

    def _ecp5(self, m: Module, pin: Any, lock: Signal) -> None:
        assert isinstance(self.pll, Ecp5Pll)
        m.submodules.buffer = buffer = io.Buffer("i", pin)
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_CLKI_DIV=self.pll.input_divider,
            p_CLKFB_DIV=self.pll.feedback_divider,
            p_FEEDBK_PATH="CLKOP",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self.pll.output_divider,
            p_CLKOP_CPHASE=self.pll.output_divider - 1,
            p_CLKOP_FPHASE=0,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_CLKI=buffer.i,
            i_CLKFB=self.clock,
            i_ENCLKOP=Const(1),
            o_CLKOP=self.clock,
            o_LOCK=lock,
        )

    def _gowin(self, m: Module, pin: Any, lock: Signal) -> None:
        assert isinstance(self.pll, GowinPll)
        m.submodules.buffer = buffer = io.Buffer("i", pin)
        m.submodules.pll = Instance(
            "rPLL",
            p_DEVICE=self.pll.device,
            p_FCLKIN=f"{self.pll.source / 1e6:g}",
            p_IDIV_SEL=self.pll.input_divider - 1,
            p_FBDIV_SEL=self.pll.feedback_divider - 1,
            p_ODIV_SEL=self.pll.output_divider,
            p_CLKFB_SEL="internal",
            p_CLKOUT_BYPASS="false",
            p_DYN_IDIV_SEL="false",
            p_DYN_FBDIV_SEL="false",
            p_DYN_ODIV_SEL="false",
            i_CLKIN=buffer.i,
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=self.clock,
            o_LOCK=lock,
        )
