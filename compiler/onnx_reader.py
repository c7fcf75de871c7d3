"""Read an ONNX file into a float graph, or name everything that stands in the way.

Every name of the file becomes a constant, a view of memory, or unknown where a
problem was found; the nodes are read once, in order, by the handlers in onnx_ops_*.
Samples are separate: the batch axis is axis 0 and is read as 1 throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from weft.compiler import (  # noqa: F401  registers the operators
    onnx_affine,
    onnx_ops_conv,
    onnx_ops_dense,
    onnx_ops_elementwise,
    onnx_ops_moves,
    onnx_ops_pool,
    onnx_ops_qlinear,
    onnx_ops_quant,
    onnx_ops_quantization,
    onnx_ops_views,
)
from weft.compiler.float_graph import FloatGraph
from weft.compiler.model_file import BROKEN
from weft.compiler.onnx_attributes import read_attributes
from weft.compiler.onnx_builder import Builder, Relayout
from weft.compiler.onnx_file import OPSETS, OnnxFile, open_file, tensor_array
from weft.compiler.onnx_fold import FOLDED, constant_node, fold
from weft.compiler.onnx_inputs import Layouts, default_layout, input_shape
from weft.compiler.onnx_live import live_nodes, prune, uses
from weft.compiler.onnx_operators import CONTRIBUTED, OPERATORS, Call, Operator, UnknownInputError
from weft.compiler.onnx_ops_qlinear import ON_CODES, on_codes
from weft.compiler.onnx_shapes import Shapes
from weft.compiler.onnx_values import UNKNOWN, Constant, NodeError, Unknown, Value, View
from weft.errors import Problem, UnsupportedError

#: Inputs that are laid out better than by default, at the most.
_MOST_LAYOUTS = 16

_QUANTIZED = frozenset(("DynamicQuantizeLinear",))


def load_onnx(path: str | Path) -> FloatGraph:
    """Read an ONNX file.

    Raises
    ------
    InputError
        If the file is missing, damaged or not ONNX.
    UnsupportedError
        If anything in it is not implemented; it holds every problem.
    """
    graph, problems = read_onnx(path)
    if problems:
        raise UnsupportedError(str(path), problems)
    return graph


def read_onnx(path: str | Path) -> tuple[FloatGraph, list[Problem]]:
    """Read an ONNX file as far as possible.

    Returns
    -------
    graph : FloatGraph
        Complete where there are no problems; otherwise of no use but to look at.
    problems : list of Problem
        Everything that stands in the way, in the order of the file's nodes.

    Raises
    ------
    InputError
        If the file is missing, damaged or not ONNX.
    """
    file = open_file(path)
    if file.opset not in OPSETS:
        reason = f"opset {file.opset} is not one of {OPSETS[0]} to {OPSETS[-1]}"
        remedy = f"export with opset 17, or use onnx.version_converter to reach {OPSETS[0]} or more"
        return FloatGraph(file.path.stem), [Problem(file.path.name, "opset", reason, remedy)]
    layouts: Layouts = {}
    shapes = Shapes(file)
    while True:
        # Each of many inputs could have it start again.
        settled = len(layouts) >= _MOST_LAYOUTS
        reader = _Reader(file, layouts, shapes, settled=settled)
        try:
            return reader.read()
        except Relayout as better:
            layouts[better.name] = (better.shape, better.order)


class _Reader:
    """One pass over a file."""

    def __init__(self, file: OnnxFile, layouts: Layouts, shapes: Shapes, *, settled: bool):
        self._file = file
        self._graph = file.model.graph
        self._layouts = layouts
        self._nodes = live_nodes(self._graph)
        self._uses = uses(self._graph, self._nodes)
        names = {name for node in self._graph.node for name in (*node.input, *node.output)}
        names |= {value.name for value in (*self._graph.input, *self._graph.initializer)}
        fixed = {value.name for value in self._graph.input} if settled else set(layouts)
        self._build = Builder(self._graph.name or file.path.stem, self._uses, fixed, names)
        self._values: dict[str, Value] = {}
        self._problems: list[Problem] = []
        self._shapes = shapes

    def read(self) -> tuple[FloatGraph, list[Problem]]:
        self._read_initializers()
        self._read_inputs()
        for node in self._nodes:
            self._read_node(node)
        self._read_outputs()
        if not self._problems:
            prune(self._build.graph)
        return self._build.graph, self._problems

    def _complain(self, node: str, op: str, reason: str, remedy: str) -> None:
        self._problems.append(Problem(node, op, reason, remedy))

    def _read_initializers(self) -> None:
        for tensor in self._graph.initializer:
            if tensor.name in self._uses:
                self._values[tensor.name] = Constant(tensor_array(self._file, tensor))
        for sparse in self._graph.sparse_initializer:
            name = sparse.values.name
            if name in self._uses:
                self._values[name] = UNKNOWN
                self._complain(
                    name, "initializer", "it is a sparse tensor", "store it as a dense tensor"
                )

    def _read_inputs(self) -> None:
        initial = {tensor.name for tensor in self._graph.initializer}
        for value in self._graph.input:
            if value.name in self._values or value.name in initial:
                continue  # an initializer with a default that a caller could replace
            try:
                if not value.name:
                    raise NodeError("it has no name", "export the model again")
                shape = input_shape(value)
                layout = self._layouts.get(value.name) or default_layout(
                    self._graph, value.name, shape
                )
                view = self._build.add_input(value.name, *layout)
                if value.type.tensor_type.elem_type == onnx.TensorProto.INT8:
                    view = replace(view, quantized=(None, np.dtype(np.int8)))
                    self._build.graph.codes.add(value.name)
                self._values[value.name] = view
            except NodeError as error:
                self._complain(value.name, "input", error.reason, error.remedy)
                self._values[value.name] = UNKNOWN

    def _read_node(self, node: onnx.NodeProto) -> None:
        name = node.name or next(filter(None, node.output), "")
        problems_before = len(self._problems)
        try:
            made = self._values_of(node, name)
        except NodeError as error:
            self._complain(name, node.op_type, error.reason, error.remedy)
            made = None
        except UnknownInputError:
            made = None
        except BROKEN as error:
            self._complain(
                name, node.op_type, f"it contradicts itself ({error})", "export the model again"
            )
            made = None
        if made is None or len(self._problems) > problems_before:
            made = [self._stand_in(node, output) for output in node.output]
        for output, value in zip(node.output, made, strict=False):
            if output and output in self._values:
                self._complain(
                    name, node.op_type, f"it makes tensor {output!r} a second time",
                    "export the model again",
                )  # fmt: skip
            elif output:
                self._values[output] = value

    def _values_of(self, node: onnx.NodeProto, name: str) -> list[Value] | None:
        """Values of a node's outputs; None where its problems are noted."""
        if (node.domain, node.op_type) in CONTRIBUTED:
            return self._contributed(node, name, CONTRIBUTED[node.domain, node.op_type])
        schema, legal = _schema(node, self._file.opset)
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
               for a in node.attribute):  # fmt: skip
            raise NodeError(
                "it holds a subgraph", "export a model without control flow (no If, Loop or Scan)"
            )
        inputs = tuple(self._lookup(input_name) for input_name in node.input)
        if node.op_type == "Constant":
            return [constant_node(self._file, node)]
        constant = all(value is None or isinstance(value, Constant) for value in inputs)
        known = OPERATORS.get(node.op_type)
        folds = constant and node.op_type in FOLDED
        if not folds and known is None:
            if any(isinstance(value, Unknown) for value in inputs) and node.op_type in FOLDED:
                raise UnknownInputError  # it may well be constant
            raise NodeError(*_not_implemented(node.op_type))
        _check_arity(node, schema)
        declared = dict.fromkeys(legal) if folds or known is None else known.attributes
        if folds:
            for attribute in node.attribute:
                if attribute.name not in legal:
                    raise NodeError(
                        f"attribute {attribute.name} is not known to this opset", "remove it"
                    )
            constants = [value if isinstance(value, Constant) else None for value in inputs]
            return list(fold(node, constants, self._file.opset))
        call = self._call(node, name, inputs, declared, legal)
        if call is None or known is None:
            return None
        return on_codes(call) if call.op in ON_CODES else known.handler(call)

    def _contributed(self, node: onnx.NodeProto, name: str, known: Operator) -> list[Value] | None:
        """The same for an operator that ONNX has no schema of."""
        fewest, most = known.inputs
        if not fewest <= len(node.input) <= most or len(node.output) != 1:
            raise NodeError(*_arity(node))
        inputs = tuple(self._lookup(input_name) for input_name in node.input)
        legal = frozenset(known.attributes)
        call = self._call(node, name, inputs, known.attributes, legal)
        return None if call is None else known.handler(call)

    def _call(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: tuple[Value | None, ...],
        declared: Mapping[str, Any],
        legal: frozenset[str],
    ) -> Call | None:
        """A node with its attributes; None where problems with them are noted."""
        attributes, complaints = read_attributes(node, declared, legal)
        for reason, remedy in complaints:
            self._complain(name, node.op_type, reason, remedy)
        if complaints:
            return None
        outputs = tuple(output if output in self._uses else "" for output in node.output)
        return Call(name, node.op_type, inputs, outputs, attributes, self._file.opset, self._build)

    def _lookup(self, name: str) -> Value | None:
        if not name:
            return None
        if name not in self._values:
            raise NodeError(
                f"it reads tensor {name!r}, which nothing before it makes", "export the model again"
            )
        return self._values[name]

    def _stand_in(self, node: onnx.NodeProto, output: str) -> Value:
        """Something of the right shape, so that later problems are found as well."""
        shape = self._shapes.of(output)
        if not output or output in self._values or shape is None:
            return UNKNOWN
        try:
            views = [v for v in map(self._values.get, node.input) if isinstance(v, View)]
            for view in views:
                if view.shape == shape:
                    return self._build.like(output, view)
            return self._build.add_tensor(output, *default_layout(self._graph, output, shape))
        except NodeError:
            return UNKNOWN

    def _read_outputs(self) -> None:
        for output in self._graph.output:
            value = self._values.get(output.name)
            reason = ""
            if value is None:
                reason, remedy = "nothing makes it", "export the model again"
            elif isinstance(value, Constant):
                reason, remedy = "it is a constant", "remove it from the outputs"
            elif isinstance(value, View) and value.quantized and value.quantized[1] != np.int8:
                reason = f"it is made of quantized codes of type {value.quantized[1]}"
                remedy = "end the model with DequantizeLinear, or quantize to int8"
            elif isinstance(value, View) and value.quantized == (None, np.int8):
                reason = "it is an input whose scale nothing says"
                remedy = "put a DequantizeLinear behind that input"
            elif output.name in self._build.graph.outputs:
                reason, remedy = "it is listed twice", "list it once"
            if reason:
                self._complain(output.name, "output", reason, remedy)
            elif isinstance(value, View):
                self._build.graph.outputs.append(output.name)
                if value.quantized:
                    self._build.graph.codes.add(output.name)
                if value.memory != output.name:
                    self._build.output_alias(output.name, value)


@cache
def _specification(op: str, opset: int) -> tuple[onnx.defs.OpSchema, frozenset[str]]:
    """An operator of ONNX's own domain, and the names of its attributes."""
    schema = onnx.defs.get_schema(op, opset, "")
    return schema, frozenset(schema.attributes)


def _schema(node: onnx.NodeProto, opset: int) -> tuple[onnx.defs.OpSchema, frozenset[str]]:
    """The specification of a node's operator, and the names of its attributes."""
    if node.domain not in ("", "ai.onnx"):
        raise NodeError(
            f"its domain {node.domain!r} is not ONNX's own",
            "export with standard operators (model functions: use onnx.inliner)",
        )
    try:
        return _specification(node.op_type, opset)
    except onnx.defs.SchemaError:
        raise NodeError(
            f"opset {opset} has no such operator", "check the model with onnx.checker"
        ) from None


def _check_arity(node: onnx.NodeProto, schema: onnx.defs.OpSchema) -> None:
    if not (
        schema.min_input <= len(node.input) <= schema.max_input
        and max(schema.min_output, 1) <= len(node.output) <= schema.max_output
    ):
        raise NodeError(*_arity(node))


def _arity(node: onnx.NodeProto) -> tuple[str, str]:
    return (
        f"it has {len(node.input)} inputs and {len(node.output)} outputs, "
        "not what its operator has",
        "export the model again",
    )


def _not_implemented(op: str) -> tuple[str, str]:
    if op in _QUANTIZED:
        return "this quantized operator is not implemented", "quantize in the QDQ format"
    return (
        "the operator is not implemented",
        "replace it by operators that are, or end the model before it",
    )
