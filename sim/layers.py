"""Every tensor of a network from any engine: its program cut into one for each node.

Tensors share the activation memory, so that at a program's end only its outputs are there.
Here each node's instructions are a program of their own, and the node's output is read back
before the next one starts. Weights, parameters and tables stay as they are loaded, and the
activation memory keeps its contents in between: each instruction does what it does in the
whole program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weft.compiler.network import Softmax
from weft.compiler.program import Program
from weft.compiler.softmax import softmax
from weft.hw.config import Space
from weft.hw.isa import encode, instruction_words
from weft.sim.engine import RunResult
from weft.sim.interpreter import Machine, read_tensor, write_tensor
from weft.sim.jobs import Job

#: Runs jobs one after another on memories that stay.
RunJobs = Callable[[Sequence[Job]], list[RunResult]]


@dataclass(frozen=True, eq=False)
class Layer:
    """What one node takes of a program.

    Parameters
    ----------
    node : str
    tensor : str
        The node's output.
    program : Program
        The whole one, but for its instructions.
    """

    node: str
    tensor: str
    program: Program


class LayerJob(Job):
    """One layer on one sample.

    Parameters
    ----------
    layer : Layer
    inputs : mapping of tensor name to int8 array, shape (1, H, W, C)
        Empty where the layers before have left what this one needs.
    images : iterable of Space
        Memories to load.
    """

    def __init__(
        self, layer: Layer, inputs: Mapping[str, np.ndarray], images: Sequence[Space]
    ) -> None:
        self.layer = layer
        self.program = program = layer.program
        self.inputs = inputs
        self.samples = 1
        loaded = replace(program, images={space: program.images[space] for space in images})
        self.load = loaded.load_words()
        codes = {name: array[0] for name, array in inputs.items()}
        self.input = [program.input_words(codes) if codes else self.load[:0]]
        self.addresses = program.output_addresses([layer.tensor])

    def result(self, words: np.ndarray, cycles: Sequence[int]) -> RunResult:
        """The layer's output from the words read, shape (1, reads)."""
        decoded = self.program.decode(words[0], [self.layer.tensor])
        outputs = {name: codes[None] for name, codes in decoded.items()}
        return RunResult(outputs, [int(count) for count in cycles])


def cut(program: Program) -> list[Layer]:
    """A program for each node that takes instructions, in execution order.

    Raises
    ------
    InputError
        If the program does not say which instructions are whose.
    """
    image, words = program.images[Space.PROGRAM], instruction_words(program.config)
    outputs = {node.name: node.output for node in program.network.nodes}
    instructions = program.instructions
    layers = []
    for layer, own in zip(program.layers, program.instructions_of_layers(), strict=True):
        part = image[own.start * words : own.stop * words].copy()
        last = encode(replace(instructions[own[-1]], end=1), program.config)
        part[-words:] = last.astype("<u4").view(np.uint8).reshape(words, -1)
        small = replace(program, images={**program.images, Space.PROGRAM: part}, layers=[layer])
        layers.append(Layer(layer["name"], outputs[layer["name"]], small))
    return layers


def run(program: Program, inputs: Mapping[str, np.ndarray], run_jobs: RunJobs) -> RunResult:
    """Run every sample, node by node.

    Parameters
    ----------
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
    run_jobs : callable
        The engine: `interpret`, or ``run_jobs`` of `weft.sim.rtl` or `weft.sim.verilog.engine`.

    Returns
    -------
    RunResult
        `tensors` has the output of every node, that of a softmax in the host included.
    """
    samples, layers = program.check_inputs(inputs), cut(program)
    jobs: list[Job] = []
    for sample in range(samples):
        codes = {name: inputs[name][sample : sample + 1] for name in program.core_inputs}
        for number, layer in enumerate(layers):
            first = number == 0
            images = list(program.images) if first and sample == 0 else [Space.PROGRAM]
            jobs.append(LayerJob(layer, codes if first else {}, images))
    results = run_jobs(jobs)
    tensors: dict[str, np.ndarray] = {}
    for number, layer in enumerate(layers):
        made = [result.outputs[layer.tensor] for result in results[number :: len(layers)]]
        tensors[layer.tensor] = np.concatenate(made)
    return finished(program, inputs, tensors)


def finished(
    program: Program, inputs: Mapping[str, np.ndarray], tensors: Mapping[str, np.ndarray]
) -> RunResult:
    """A result with every node's tensor, from those of the nodes that take instructions.

    Parameters
    ----------
    program : Program
    inputs, tensors : mapping of tensor name to int8 array, shape (N, H, W, C)
    """
    known, made = {**inputs, **tensors}, dict(tensors)
    for node in program.network.nodes:
        if isinstance(node, Softmax):
            scale = program.network.tensors[node.inputs[0]].scale
            made[node.output] = softmax(known[node.inputs[0]], scale, node.beta)
    return RunResult({name: known[name] for name in program.core_outputs}, None, made)


def interpret(jobs: Sequence[Job]) -> list[RunResult]:
    """Run layers in the interpreter, on one machine."""
    machine, results = Machine(jobs[0].program), []
    decoded = {id(job.program): job.program for job in jobs}
    instructions = {key: program.instructions for key, program in decoded.items()}
    for job in jobs:
        assert isinstance(job, LayerJob)
        machine.program = instructions[id(job.program)]
        for name, codes in job.inputs.items():
            write_tensor(machine, job.program, name, codes[0])
        machine.run()
        tensor = job.layer.tensor
        results.append(RunResult({tensor: read_tensor(machine, job.program, tensor)[None]}))
    return results
