"""The sequencer never hangs: its loops end, its steps come, every instruction begins.

Four claims, which together bound a run of any program of which one instruction is marked as the
end, as `weft.compiler.verify_program` asks:

1. The loop counters go through all turns, innermost first, and then say so: the number of steps is
   the product of the turns.
2. While an instruction runs, a step is issued in one of any `groups + 1` cycles without a hold.
3. After `start`, or after the last step of an instruction that is not the end, the next one begins
   within a bounded number of cycles in which no copy holds it up; it is the one that follows in the
   program. After the last step of the end `busy` falls.
4. A copy ends after as many cycles as it has words, and a few, in which the program memory is free.
"""

from functools import reduce
from operator import and_

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from weft.hw import bank, copier, decoder, loops, sequencer
from weft.hw.config import Config, Space
from weft.hw.isa import LOOPS, fetch_cycles, instruction_words

from .claim import Claim, watched
from .proof import Fault, Induction, Proof, Window

#: Small memories, so that fields are narrow; all that the control has.
CONFIG = Config(
    rows=6,
    columns=2,
    lanes=1,
    activation_depth=16,
    weight_depth=16,
    parameter_depth=8,
    program_depth=256,
    window=2,
    line_depth=8,
    copies=1,
    tables=0,
    stream=1,
)

#: Bits of each limit that may be other than 0: the width of the fields is the gateware's own.
LOOPS_FILE = "hw/loops.py"


class Counts(Claim):
    """`Loops` against seven nested counters."""

    anywhere = True

    def state(self) -> None:
        m = self.m
        with watched(loops) as signals:
            dut = self.part(loops.Loops(CONFIG))
        limits = {}
        for loop in LOOPS:
            limits[loop] = self.constant(dut.limits[loop].shape(), f"last_{loop}")
            m.d.comb += dut.limits[loop].eq(limits[loop])
        begin, issue = self.free(1, "begin"), self.free(1, "issue")
        m.d.comb += [dut.begin.eq(begin), dut.issue.eq(issue)]

        # Limits have stood still long enough when an instruction begins.
        age = Signal(range(loops.Loops.settle + 1), name="age")
        with m.If(age != loops.Loops.settle):
            m.d.sync += age.eq(age + 1)
        settled = age == loops.Loops.settle
        running, over = Signal(name="running"), Signal(name="over")
        self.assume(~begin | (settled & ~running & ~over))
        self.assume(~issue | running)
        at = {loop: Signal.like(limits[loop], name=f"at_{loop}") for loop in LOOPS}
        ends = {loop: at[loop] == limits[loop] for loop in LOOPS}
        outside, through = {}, Const(1)
        for loop in LOOPS:
            through = through & ends[loop]
            outside[loop] = self.show(f"expected_outside_{loop}", through)
            self.show(f"outside_{loop}", dut.outside[loop])
        with m.If(begin):
            m.d.sync += [running.eq(1), *(at[loop].eq(0) for loop in LOOPS)]
        with m.If(issue):
            inside: Value = Const(1)
            for loop in LOOPS:
                with m.If(inside):
                    m.d.sync += at[loop].eq(Mux(ends[loop], 0, at[loop] + 1))
                inside = outside[loop]
            with m.If(outside[LOOPS[-1]]):
                m.d.sync += [running.eq(0), over.eq(1)]

        for loop in LOOPS:
            self.implies(running, dut.outside[loop] == outside[loop])
            self.implies(running, at[loop] <= limits[loop])
        self.implies(running, dut.last_tile == ends["tile"])
        self.implies(running | over, settled & ~(running & over))
        soon, moved = Signal(name="soon_before"), Signal(name="moved")
        m.d.sync += [soon.eq(dut.soon_outside_digit), moved.eq(begin | issue)]
        self.implies(running & moved, dut.outside["digit"] == soon)

        self._know(dut, signals, limits, at, (running, settled, begin, over))

    def _know(self, dut, signals, limits, at, flags) -> None:
        """What an induction needs to know of the counters."""
        running, settled, begin, over = flags
        zero = {loop: limits[loop] == 0 for loop in LOOPS}
        none: Value = Const(1)
        turns: Value = Const(0)
        here: Value = Const(0)
        for loop in LOOPS:
            inner = none & ~zero[loop]
            none = none & zero[loop]
            turns, here = Mux(inner, limits[loop], turns), Mux(inner, at[loop], here)
            idle = zero[loop] | inner
            self.implies(settled, signals[f"once_{loop}"] == zero[loop])
            self.implies(settled, signals[f"inner_{loop}"] == inner)
            self.implies(settled, dut.inside_inner[loop] == none)
            self.implies(settled, signals[f"idle_{loop}"] == idle)
            count, ended, end = (signals[f"{name}_{loop}"] for name in ("count", "ended", "ends"))
            self.implies(running, ended == (idle | (at[loop] == limits[loop])))
            self.implies(running & ~idle, count == (at[loop] + 1)[: len(count)])
            changed, before = (
                Signal(name=f"changed_{loop}"),
                Signal.like(count, name=f"before_{loop}"),
            )
            self.m.d.sync += before.eq(count)
            self.m.d.comb += changed.eq(before != count)
            fresh = Signal(name=f"fresh_{loop}")
            self.m.d.sync += fresh.eq(1)
            self.implies(fresh, end == (before == limits[loop]))
            # Right after its count has changed, the inner loop is at its beginning.
            self.implies(running & fresh & changed & ~idle, here == 0)
        self.implies(settled, dut.turns == turns)
        self.implies(settled, dut.one_turn == (turns == 1))
        self.implies(settled, dut.two_turns == (turns == 2))
        self.implies(settled, dut.turns_beyond == (turns - 3)[: len(dut.turns_beyond)])
        moves, ends, soon, left = (
            signals[f"_count_inner.{name}"] for name in ("moves", "ends", "ends_soon", "left")
        )
        rest = turns - here
        self.implies(running, moves == (rest != 0))
        self.implies(running, ends == (rest == 1))
        self.implies(running & (rest != 0), soon == (rest == 2))
        self.implies(running & (rest != 0), left == (rest - 3)[: len(left)])
        # Between instructions nothing moves: so an instruction finds it that has begun before.
        self.assume(~begin | (~moves & ~ends))
        long_over = Signal(name="long_over")
        self.m.d.sync += long_over.eq(over)
        self.implies(long_over, ~moves & ~ends)


class Issues(Claim):
    """A step is issued within `groups + 1` cycles without a hold, whatever the counters say."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def state(self) -> None:
        rows, columns = 12, 4
        config = Config(rows=rows, columns=columns, lanes=columns // self.groups,
                        activation_depth=16, weight_depth=16, window=3, line_depth=8)  # fmt: skip
        with watched(sequencer) as signals:
            dut = self.part(sequencer.Sequencer(config))
        m = self.m
        m.d.comb += dut.fields.eq(self.free(dut.fields.shape().size, "fields"))
        m.d.comb += [dut.begin.eq(self.free(1, "begin")), dut.hold.eq(self.free(1, "hold"))]
        cycles = self.groups + 1
        issue, running = signals["_issue.issue"], signals["_issue.running"]
        self.show("done", dut.done)
        # From any state: so many cycles without a hold, in which it runs.
        running_all = reduce(and_, (self.late(running, n, name=f"ran_{n}") for n in range(cycles)))
        # What decides on the step of a cycle is the hold of the cycle before.
        free = reduce(and_, (self.late(~dut.hold, n, name=f"free_{n}") for n in range(1, cycles)))
        any_issue = Cat(self.late(issue, n, name=f"issue_{n}") for n in range(cycles)).any()
        self.implies(running_all & free, any_issue)
        # It runs on until its last step, and done is that step.
        ran, was_done = self.late(running, 1, name="ran"), self.late(dut.done, 1, name="was_done")
        began = self.late(dut.begin, 1, name="began")
        self.check(running == (began | (ran & ~was_done)))


class Begins(Claim):
    """An instruction is fetched and begins; after the end `busy` falls."""

    anywhere = True

    #: More than a wait can be: the counter of cycles stands still at all ones.
    def __init__(self, which: str, config: Config = CONFIG):
        super().__init__()
        self.which, self.config = which, config

    @staticmethod
    def cycles(config: Config = CONFIG) -> int:
        """To fetch and to wait as long as a field can say, which is no longer than the counter."""
        part = decoder.Decoder(config)
        part._MustUse__used = True
        wait = max(len(part.fields.wait), (part._longest() + 1).bit_length())
        return bank.Bank.latency + fetch_cycles(config) + (1 << wait) + 4

    def state(self) -> None:
        with watched(decoder) as signals:
            dut = self.drive(decoder.Decoder(self.config))
        m, words = self.m, instruction_words(self.config)
        token, fetched = signals["_fetch.token"], signals["_fetch.fetched"]
        cycle = Signal(range(self.cycles(self.config) + 2), name="cycle")
        m.d.sync += cycle.eq(cycle + 1)
        first, last = cycle == 0, cycle == self.cycles(self.config)
        # What "phases of a run" says of every cycle that these windows begin with.
        draining, was_done = signals["elaborate.draining"], signals["elaborate.was_done"]
        idle = (token == 0) & ~fetched & ~dut.asking & ~dut.begin
        self.assume(~first | (~draining & (dut.busy | ~was_done)))
        # The sequencer is done once for each `begin`: not again in this window.
        self.assume(~dut.copying & (first | ~dut.done))
        self.assume(~first | idle)
        if self.which == "ends":
            self.assume(~first | (dut.done & dut.busy & dut.fields.end))
            self.assume(~dut.start)
            self.implies(last, ~dut.busy)
            return
        self.assume(~first | Mux(dut.done, dut.busy & ~dut.fields.end, dut.start & ~dut.busy))
        begun, twice = Signal(name="begun"), Signal(name="twice")
        where = Signal.like(dut.read_address, name="where")
        with m.If(dut.begin):
            m.d.sync += [begun.eq(1), twice.eq(begun)]
        with m.If(first):
            m.d.sync += where.eq(Mux(dut.done, dut.read_address, 0) + words)
        for name, value in (("cycle", cycle), ("begun", begun), ("twice", twice), ("where", where)):
            self.show(name, value)
        # One, no more and no less, and of the words that follow.
        self.implies(last, begun & ~twice & idle)
        self.implies(last, dut.read_address == where)


class Phases(Claim):
    """`Decoder`: at rest, fetching, running or draining, and nothing is left over from before."""

    resets = True

    def state(self) -> None:
        with watched(decoder) as signals:
            dut = self.drive(decoder.Decoder(CONFIG))
        m, words = self.m, instruction_words(CONFIG)
        token, fetched = signals["_fetch.token"], signals["_fetch.fetched"]
        draining, was_done = signals["elaborate.draining"], signals["elaborate.was_done"]
        fetching, running, ending = (
            Signal(name=name) for name in ("fetching", "running", "ending")
        )
        # The sequencer is done once for each `begin`.
        self.assume(~dut.done | running)
        with m.If(~dut.busy):
            m.d.sync += ending.eq(0)
        with m.If(dut.start & ~dut.busy):
            m.d.sync += fetching.eq(1)
        with m.If(dut.begin):
            m.d.sync += [fetching.eq(0), running.eq(1)]
        with m.If(dut.done):
            m.d.sync += [running.eq(0), fetching.eq(~dut.fields.end), ending.eq(dut.fields.end)]
        for name, value in (("fetching", fetching), ("running", running), ("ending", ending)):
            self.show(name, value)
        still = (token == 0) & ~fetched & ~dut.asking & ~dut.begin & ~draining
        self.implies(~dut.busy, still & ~fetching & ~running & ~was_done)
        self.implies(running, still & dut.busy & ~fetching & ~ending)
        self.implies(fetching, dut.busy & ~draining & ~ending)
        self.implies(ending & dut.busy, (token == 0) & ~fetched & (draining | was_done))
        # What an induction needs to know.
        self.check((token & (token - 1)) == 0)
        self.check(dut.asking == token[:words].any())
        self.implies(dut.busy, fetching | running | ending)
        self.implies(token.any() | fetched | dut.begin, fetching)
        # The token is no longer looked at when it has said so.
        under_way = token[: bank.Bank.latency + fetch_cycles(CONFIG) - 1].any()
        self.check(~(under_way & fetched) & ~(fetched & dut.begin) & ~(token.any() & dut.begin))
        self.implies(draining, ending & dut.busy)
        self.implies(was_done, (ending & dut.fields.end) | (fetching & ~dut.fields.end & token[0]))


class Copying(Claim):
    """`Copier`: every word once, in order, and never a read while blocked; it ends."""

    resets = True

    def state(self) -> None:
        m = self.m
        with watched(copier) as signals:
            dut = self.part(copier.Copier(CONFIG))
        words = self.constant(dut.fields.copy_words.shape(), "copy_words")
        source = self.constant(dut.fields.copy_source.shape(), "copy_source")
        row = self.constant(dut.fields.copy_row.shape(), "copy_row")
        begin, blocked = self.free(1, "begin"), self.free(1, "blocked")
        m.d.comb += [
            dut.fields.copy_words.eq(words), dut.fields.copy_source.eq(source),
            dut.fields.copy_row.eq(row), dut.begin.eq(begin), dut.blocked.eq(blocked),
        ]  # fmt: skip
        for name in ("read_address", "busy", "arrived", "address"):
            self.show(name, getattr(dut, name))
        # One instruction at a time; the first cycle is that before `begin`.
        known, began = Signal(name="known"), Signal(name="began")
        m.d.sync += known.eq(1)
        self.assume(~begin | (known & ~began))
        with m.If(begin):
            m.d.sync += began.eq(1)
        width = len(words) + 1
        asked, come = Signal(width, name="asked"), Signal(width, name="come")
        reading = began & (asked != words)
        read = self.show("read", reading & ~blocked)
        with m.If(read):
            m.d.sync += asked.eq(asked + 1)
        with m.If(dut.arrived):
            m.d.sync += come.eq(come + 1)
        # Words are asked for in order whenever that is possible: so it ends.
        self.implies(read, dut.read_address == (source + asked)[: len(source)])
        lately = Signal(bank.Bank.latency, name="lately")
        m.d.sync += lately.eq(Cat(read, lately))
        self.check(dut.arrived == lately[-1])
        self.check(come + sum(lately) == asked)
        self.check(dut.busy == (reading | lately.any()))
        # Where they go: tile by tile.
        tile = CONFIG.tile_words
        index, tiles = Signal(range(tile), name="model_index"), Signal.like(row, name="model_tiles")
        with m.If(dut.arrived):
            m.d.sync += index.eq(index + 1)
            with m.If(index == tile - 1):
                m.d.sync += [index.eq(0), tiles.eq(tiles + 1)]
        bits = (CONFIG.row_words(Space.WEIGHT) - 1).bit_length()
        self.implies(
            began & (words != 0),
            dut.address == Cat(index, (row + tiles)[: len(row)])[: len(dut.address)],
        )
        self.check(bits == len(signals["elaborate.index"]))
        # What an induction needs to know.
        self.implies(known, signals["elaborate.wanted"] == (words != 0))
        self.check(signals["elaborate.reading"] == reading)
        self.check(signals["elaborate.arriving"] == lately)
        self.implies(reading, signals["elaborate.left"] == (words - asked)[: len(words)])
        self.implies(began & (words != 0), dut.read_address == (source + asked)[: len(source)])
        self.implies(began, asked <= words)
        self.implies(~began, (asked == 0) & (index == 0) & (tiles == 0) & (come == 0))


SEQUENCER, DECODER, COPIER = "hw/sequencer.py", "hw/decoder.py", "hw/copier.py"
_WAIT = Begins.cycles()

PROOFS = (
    Proof(
        name="loop counters",
        says="steps go through all turns, innermost loop first; the last one alone says so",
        files=LOOPS_FILE,
        method=Induction(8),
        domain="all limits, all patterns of issue, any state in which nothing moves",
        assumes="limits stand still from 6 cycles before begin (the decoder fetches them first)",
        make=Counts,
        faults=(
            Fault(
                file=LOOPS_FILE,
                old="ends_soon.eq(left == 0),",
                new="ends_soon.eq(left == 1),",
                within=24,
            ),
            Fault(
                file=LOOPS_FILE,
                old="count.eq(Mux(restart, 1, count + 1))",
                new="count.eq(Mux(restart, 0, count + 1))",
                within=24,
            ),
            Fault(
                file=LOOPS_FILE,
                old="self.turns_beyond.eq(self.turns - 3)",
                new="self.turns_beyond.eq(self.turns - 2)",
                within=24,
            ),
        ),
    ),
    *(
        Proof(
            name=f"steps come, {groups} group{'s' * (groups > 1)}",
            says=f"while it runs, one of {groups + 1} cycles without a hold has a step; "
            "it runs until its last step",
            files=SEQUENCER,
            method=Window(groups + 1),
            domain="any state of all counters, all fields",
            make=lambda groups=groups: Issues(groups),
            faults=(
                Fault(
                    file=SEQUENCER,
                    old="m.d.sync += left.eq(left - 1)",
                    new="m.d.sync += left.eq(left)",
                )
                if groups > 1
                else Fault(
                    file=SEQUENCER,
                    old="self.begin | (running & ~self.done)",
                    new="self.begin | (running & ~self.done & ~self.hold)",
                ),
            ),
        )
        for groups in (1, 4)
    ),
    Proof(
        name="phases of a run",
        says="at rest no fetch is under way and nothing drains; nor while an instruction runs",
        files=DECODER,
        method=Induction(3),
        domain="all programs, all patterns of start, done and copying",
        assumes="done comes once for each begin",
        make=Phases,
        faults=(
            Fault(file=DECODER, old="with m.Elif(settled):", new="with m.Elif(0):", within=0),
            Fault(
                file=DECODER, old="with m.Elif(token[words - 1]):", new="with m.Elif(token[words]):"
            ),
        ),
    ),
    Proof(
        name="instructions begin",
        says="after start, or the last step of one that is not the end, exactly one begins "
        f"within {_WAIT} "
        "cycles; its words are those that follow in the program",
        files=DECODER,
        method=Window(_WAIT),
        domain="all instructions, all waits, all states that phases of a run allows",
        assumes="phases of a run; no copy holds it up meanwhile; done comes once for each begin",
        make=lambda: Begins("begins"),
        faults=(
            Fault(
                file=DECODER, old="with m.Elif(~elapsed.all()):", new="with m.Elif(~elapsed[-1]):"
            ),
            Fault(
                file=DECODER,
                old="with m.If(token[ready]):",
                new="with m.If(token[ready] & ~self.fields.end):",
            ),
        ),
    ),
    Proof(
        name="a run ends",
        says=f"busy falls within {_WAIT} cycles of the last step of the end",
        files=DECODER,
        method=Window(_WAIT),
        domain="all states that phases of a run allows",
        assumes="phases of a run",
        make=lambda: Begins("ends"),
        faults=(
            Fault(
                file=DECODER,
                old="draining.eq(self.fields.end)",
                new="draining.eq(self.fields.end & self.start)",
            ),
        ),
    ),
    Proof(
        name="copier",
        says="every word of a copy is read once, in order, in every free cycle, and goes to its "
        "place; busy until the last has arrived",
        files=COPIER,
        method=Induction(4),
        domain="all sources, targets, lengths and patterns of blocked cycles",
        assumes="one copy at a time (the verifier's and the decoder's rule)",
        make=Copying,
        faults=(
            Fault(file=COPIER, old="read.eq(reading & ~self.blocked)", new="read.eq(reading)"),
            Fault(file=COPIER, old="reading.eq(left != 1)", new="reading.eq(left != 2)"),
            Fault(
                file=COPIER,
                old="self.busy.eq(reading | arriving.any())",
                new="self.busy.eq(reading)",
            ),
        ),
    ),
)
