"""`blocks.play` in Amaranth's own simulator: nothing to compile, and no Verilog in between."""

from amaranth.hdl import Value
from amaranth.sim import Simulator


def play(component, inputs, outputs):
    """Raw values of the outputs in every cycle, by port name.

    Parameters
    ----------
    component : wiring.Component
    inputs : mapping of str to list of int
        Raw, that is unsigned, values of every cycle. Other inputs stay 0.
    outputs : iterable of str
    """
    ports = {
        "__".join(map(str, path)): Value.cast(value)
        for path, _, value in component.signature.flatten(component)
    }
    driven = [(ports[port].as_unsigned(), values) for port, values in inputs.items()]
    wanted = [ports[port].as_unsigned() for port in outputs]
    seen = []

    async def bench(ctx):
        before = [None] * len(driven)
        for row in zip(*(values for _, values in driven), strict=True):
            for (port, _), value, old in zip(driven, row, before, strict=True):
                if value != old:
                    ctx.set(port, value)
            before = row
            _, _, *values = await ctx.tick().sample(*wanted)
            seen.append(values)

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return dict(zip(outputs, map(list, zip(*seen, strict=True)), strict=True))
