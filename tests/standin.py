"""A component with the core's ports that does next to nothing, and programs for it.

It adds the low byte of the last parameter word to every byte of the activation memory's
first half and puts the sums into the second half: enough to test whatever drives a core.
"""

import numpy as np
from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from weft.compiler.network import Network, Port, Tensor
from weft.compiler.program import Placement, Program
from weft.hw.config import Config, Space
from weft.hw.ports import LoadWord

CONFIG = Config(rows=4, columns=4, activation_depth=64)


class Standin(wiring.Component):
    load: In(stream.Signature(LoadWord))
    read: In(stream.Signature(unsigned(24)))
    data: Out(stream.Signature(unsigned(32)))
    start: In(1)
    busy: Out(1)
    cycles: Out(32)

    def __init__(self, config, *, hangs=False, releases=None):
        super().__init__()
        self.releases = releases
        self.depth = config.activation_depth
        self.hangs = hangs

    def elaborate(self, platform):
        m = Module()
        m.submodules.activations = store = memory.Memory(
            shape=unsigned(32), depth=self.depth, init=[]
        )
        write, fetch = store.write_port(), store.read_port(domain="comb")
        word = self.load.payload
        increment = Signal(8)
        half = self.depth // 2
        index = Signal(range(half))

        with m.If(self.busy):
            sums = Cat((fetch.data.word_select(n, 8) + increment)[:8] for n in range(4))
            m.d.comb += [
                fetch.addr.eq(index),
                write.addr.eq(index + half),
                write.data.eq(sums),
                write.en.eq(1),
            ]
            m.d.sync += [self.cycles.eq(self.cycles + 1), index.eq(index + 1)]
            if self.releases is not None:
                # As a core with an intake; a word that comes then is lost.
                m.d.comb += self.load.ready.eq(
                    (self.cycles >= self.releases) & (word.space == Space.ACTIVATION)
                )
            with m.If((index == half - 1) & (not self.hangs)):
                m.d.sync += self.busy.eq(0)
        with m.Else():
            m.d.comb += [
                self.load.ready.eq(1),
                self.read.ready.eq(~self.data.valid | self.data.ready),
                fetch.addr.eq(self.read.payload),
                write.addr.eq(word.address),
                write.data.eq(word.data),
                write.en.eq(self.load.valid & (word.space == Space.ACTIVATION)),
            ]
            with m.If(self.load.valid & (word.space == Space.PARAMETER)):
                m.d.sync += increment.eq(word.data[:8])
            with m.If(self.start):
                m.d.sync += [self.busy.eq(1), self.cycles.eq(0), index.eq(0)]

        with m.If(self.read.ready):
            m.d.sync += [self.data.valid.eq(self.read.valid), self.data.payload.eq(fetch.data)]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)
        return m


def program(increment, config=CONFIG):
    """A program that adds `increment` to a 4 x 3 image of 5 channels."""
    half = config.activation_depth // 2
    network = Network("standin")
    for name, ports in (("x", network.inputs), ("y", network.outputs)):
        ports.append(Port(name, name, (1, 5, 4, 3)))
        network.tensors[name] = Tensor(name, (4, 3, 5), 1.0)
    parameters = np.zeros((1, config.row_bytes(Space.PARAMETER)), np.uint8)
    parameters[0, -4] = increment
    return Program(
        config=config,
        network=network,
        images={Space.PARAMETER: parameters},
        placements={
            "x": Placement(base=1, height=4, width=3, channels=5, blocks=2),
            "y": Placement(base=half + 1, height=4, width=3, channels=5, blocks=2),
        },
    )


def inputs(seed, samples=3):
    return {"x": np.random.default_rng(seed).integers(-128, 128, (samples, 4, 3, 5), np.int8)}


def expected(increment, x):
    return {"y": (x["x"].view(np.uint8) + np.uint8(increment)).view(np.int8)}
