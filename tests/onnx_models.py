"""Builders of small ONNX models."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx_session import onnx_session

OPSETS = (13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)


class Model:
    """A model that grows node by node; arrays among a node's inputs become initializers."""

    def __init__(self, opset=17, seed=0):
        self.opset = opset
        self.random = np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []

    def input(self, shape, name=None, dtype=TensorProto.FLOAT):
        name = name or f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def weights(self, *shape, scale=1.0):
        return (self.random.normal(size=shape) * scale).astype(np.float32)

    def constant(self, array, name=None):
        name = name or f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, *inputs, outputs=1, name=None, domain=None, **attributes):
        """Add a node; its output's name, or a list where there are several."""
        index = len(self.nodes)
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        made = [f"t{index}" if outputs == 1 else f"t{index}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, names, made, name=name or f"{op}{index}", domain=domain,
                             **attributes)
        )  # fmt: skip
        return made[0] if outputs == 1 else made

    def output(self, *names, dtype=TensorProto.FLOAT):
        self.outputs += [helper.make_tensor_value_info(name, dtype, None) for name in names]
        return self

    def proto(self):
        graph = helper.make_graph(self.nodes, "small", self.inputs, self.outputs, self.initializers)
        # The oldest IR that has the opset, so that every runtime takes it.
        ir = 10 if self.opset >= 21 else 8
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir
        )

    def save(self, folder, name="model.onnx"):
        path = folder / name
        onnx.save(self.proto(), path)
        return path


def run_onnxruntime(path, inputs):
    """Outputs by name, without the runtime's own rewriting of the graph."""
    session = onnx_session(path, as_written=True)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def random_inputs(path, seed=0):
    """One sample of each input; a symbolic batch is 1."""
    random = np.random.default_rng(seed)
    model = onnx.load(path)
    known = {tensor.name for tensor in model.graph.initializer}
    return {
        value.name: random.normal(
            size=[dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in model.graph.input
        if value.name not in known
    }
