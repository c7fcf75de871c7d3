"""Models of FPGA cells on their own: values in every cycle in, values in every cycle out.

`Bench` puts any number of instances, with parameters of their own, into one simulation; each port
has a value in every cycle, and clocks are ports like others. `refused` says how a model refuses a
parameter.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from weft.sim.cache import cached, digest
from weft.sim.netlist.cells import cell_models
from weft.sim.verilog.environment import find_tools

_QUIET = ("-Wno-fatal", "-Werror-USERFATAL", "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD")

_MAIN = """
module bench;
  reg [{width}:0] stimuli [0:{last}];
  reg [{width}:0] s;
  wire [{seen}:0] seen;
  integer t, file;
{instances}
  initial begin
    $readmemh("stimuli.hex", stimuli);
    file = $fopen("seen.hex", "w");
    for (t = 0; t <= {last}; t = t + 1) begin
      s = stimuli[t];
      #5;
      $fwrite(file, "%x\\n", seen);
    end
    $fclose(file);
    $finish;
  end
endmodule
"""


@dataclass
class Cell:
    """An instance: what its inputs are in every step, by name, or by bus of numbered ports.

    A bus is written as ``"A[17]"``: ports A17 to A0. ``"A_[15]"`` are A_15 to A_0, and a port that
    is a vector is ``"A:16"``.
    """

    kind: str
    parameters: dict[str, str]
    inputs: dict[str, list[int]]
    outputs: list[str]
    model: str = ""
    seen: dict[str, list[int]] = field(default_factory=dict)


def ports(name):
    """A bus's ports, the highest first, and how they are connected."""
    bus = re.fullmatch(r"(\w+)\[(\d+)\]", name)
    if bus:
        return [f"{bus[1]}{bit}" for bit in range(int(bus[2]), -1, -1)]
    return [name.partition(":")[0]]


def width(name):
    vector = re.fullmatch(r"\w+:(\d+)", name)
    return int(vector[1]) if vector else len(ports(name))


def run(family, cells, files=None):
    """Simulate cells side by side; each gets `seen`: its outputs after every step of its inputs."""
    steps = {len(values) for cell in cells for values in cell.inputs.values()}
    (count,) = steps
    instances, low, out = [], 0, 0
    lanes = []
    for number, cell in enumerate(cells):
        connections = []
        for name, values in cell.inputs.items():
            lanes.append((low, width(name), values))
            low = connect(connections, name, "s", low)
        for name in cell.outputs:
            out = connect(connections, name, "seen", out)
        given = ", ".join(f".{key}({value})" for key, value in cell.parameters.items())
        instances.append(f"  {cell.kind} #({given}) cell_{number} ({', '.join(connections)});")
    main = _MAIN.format(width=low - 1, last=count - 1, seen=out - 1, instances="\n".join(instances))
    models = "".join(cell.model for cell in cells)
    kinds = [cell.kind for cell in cells if not cell.model]
    binary = build(cell_models(family, kinds) + models + main)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        rows = (
            sum((values[t] & (1 << bits) - 1) << at for at, bits, values in lanes)
            for t in range(count)
        )
        (place / "stimuli.hex").write_text("".join(f"{row:x}\n" for row in rows))
        for name, text in (files or {}).items():
            (place / name).write_text(text)
        done = subprocess.run([binary], cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        seen = [int(line, 16) for line in (place / "seen.hex").read_text().split()]
    out = 0
    for cell in cells:
        for name in cell.outputs:
            bits = width(name)
            cell.seen[name] = [value >> out & (1 << bits) - 1 for value in seen]
            out += bits
    return cells


def connect(connections, name, wire, low):
    bits = width(name)
    if ":" in name:
        connections.append(f".{ports(name)[0]}({wire}[{low + bits - 1}:{low}])")
    else:
        connections += [
            f".{port}({wire}[{low + bits - 1 - place}])" for place, port in enumerate(ports(name))
        ]
    return low + bits


def build(text):
    tools = find_tools("verilator")

    def make(folder):
        (folder / "bench.sv").write_text(text)
        command = ["verilator", "--binary", "-CFLAGS", "-std=c++20", *_QUIET, "--top-module",
                   "bench", "-o", "bench", "bench.sv"]  # fmt: skip
        with tools.active():
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return cached("bench", digest([text, *tools.versions]), make) / "obj_dir" / "bench"


def refused(family, kind, parameters):
    """What is said of a cell with parameters that its model does not have; empty if nothing."""
    given = ", ".join(f".{key}({value})" for key, value in parameters.items())
    text = cell_models(family, [kind]) + f"module bench; {kind} #({given}) tried (); endmodule\n"
    tools = find_tools("verilator")
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "bench.sv").write_text(text)
        command = ["verilator", "--lint-only", "--timing", *_QUIET, "--top-module", "bench",
                   "bench.sv"]  # fmt: skip
        with tools.active():
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    found = re.search(r"%Error[^\n]*?: (\w+: [^\n]*is not modelled[^\n]*|\w+: a block[^\n]*)",
                      done.stdout + done.stderr)  # fmt: skip
    if found is None:
        assert done.returncode == 0, done.stderr
        return ""
    return found[1]
