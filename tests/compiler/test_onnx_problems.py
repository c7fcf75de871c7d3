"""Everything that stands in the way is named: node, reason, remedy."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import Model

from weft.compiler.onnx_reader import load_onnx, read_onnx
from weft.errors import UnsupportedError


def problems(model, tmp_path):
    return read_onnx(model.save(tmp_path))[1]


def only(model, tmp_path):
    (problem,) = problems(model, tmp_path)
    return problem


IMAGE = [1, 3, 4, 5]
F = np.float32

#: op, constants after the tensor, attributes, reason, remedy
REFUSED = [
    ("ConvTranspose", [np.ones((3, 2, 3, 3), F)], {},
     "a transposed convolution is not implemented",
     "end the model before it, or replace it by a Conv"),
    ("Erf", [], {}, "the operator is not implemented",
     "replace it by operators that are, or end the model before it"),
    ("Conv", [np.ones((2, 3, 3, 3), F)], {"pads": [-1, 0, 0, 0]},
     "attribute pads must be 4 integers from 0, not [-1, 0, 0, 0]", "crop with a Slice instead"),
    ("Conv", [np.ones((2, 3, 3, 3), F)], {"unheard": 1},
     "attribute unheard is not known to this opset", "remove it"),
    ("Conv", [np.ones((2, 3, 3, 3), F)], {"group": 1.5},
     "attribute group is not of its type", "export the model again"),
    ("Conv", [np.ones((2, 2, 3, 3), F)], {},
     "its weight takes 2 channels, the tensor has 3", "export the model again"),
    ("Conv", [np.ones((2, 3, 9, 9), F)], {},
     "its window [9, 9] is larger than the padded image [4, 5]",
     "use a larger input or a smaller kernel"),
    ("Conv", [np.full((2, 3, 3, 3), np.nan, F)], {},
     "its weight contains NaN or infinity", "train or export the model again"),
    ("Conv", [np.ones((2, 3, 3, 3), F)], {"auto_pad": "SAME_UPPER", "pads": [1, 1, 1, 1]},
     "it has both auto_pad SAME_UPPER and pads", "remove one of the two"),
    ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1])], {"mode": "reflect"},
     "mode 'reflect' is not implemented", "pad with a constant instead"),
    ("Pad", [np.array([1, 0, 0, 0, 0, 0, 0, 0])], {}, "it works along the batch axis",
     "leave axis 0 alone: samples are separate"),
    ("Slice", [np.array([4]), np.array([0]), np.array([2]), np.array([-1])], {},
     "it steps by -1", "use positive steps"),
    ("Slice", [np.array([4]), np.array([4]), np.array([2])], {},
     "nothing remains of axis 2", "correct its starts and ends"),
    ("AveragePool", [], {"kernel_shape": [3, 2], "ceil_mode": 1, "count_include_pad": 1,
                         "strides": [2, 2]},
     "ceil_mode with count_include_pad counts only a part of the padding",
     "use one of the two, or pad with a Pad node before it"),
    ("Add", [np.ones((4, 5), F)*np.arange(5, dtype=F)], {},
     "its constant varies over height or width",
     "use a constant that is a scalar or has one value per channel"),
    ("Add", [np.ones((2, 1, 3, 4, 5), F)], {},
     "its constant of shape [2, 1, 3, 4, 5] does not broadcast to the tensor's shape [1, 3, 4, 5]",
     "use a constant that is a scalar or has one value per channel"),
    ("Div", [np.zeros((), F)], {},
     "its reciprocal contains NaN or infinity", "train or export the model again"),
    ("Softmax", [], {"axis": 3}, "axis 3 of shape [1, 3, 4, 5] is not the channel axis",
     "apply Softmax to the channels"),
    ("Softmax", [], {"axis": 0}, "it works along the batch axis",
     "leave axis 0 alone: samples are separate"),
    ("ReduceMean", [], {}, "it is a mean over all axes, the batch axis too", "name the axes"),
    ("Transpose", [], {"perm": [1, 0, 2, 3]}, "it moves the batch axis",
     "keep the batch as axis 0"),
    ("Reshape", [np.array([60])], {}, "its result no longer has the batch axis first",
     "keep the batch as axis 0"),
    ("Reshape", [np.array([1, 7])], {},
     "its shape [1, 7] does not hold the 60 elements of one sample",
     "keep the batch as axis 0 and correct the shape"),
    ("Cast", [], {"to": TensorProto.FLOAT16}, "it casts to FLOAT16",
     "keep tensors in FLOAT (float32)"),
    ("Clip", [np.array(2, F), np.array(1, F)], {},
     "its lower limit 2.0 is above its upper limit 1.0", "swap the two"),
    ("Dropout", [np.array(0.5, F), np.array(True)], {}, "it is in training mode",
     "export the model in inference mode (model.eval())"),
    ("MaxPool", [], {"kernel_shape": [2]},
     "attribute kernel_shape must be 2 positive integers, not [2]", "export the model again"),
    ("LeakyRelu", [], {"alpha": float("nan")}, "an attribute is NaN or infinite",
     "export the model again"),
    ("Shrink", [], {}, "the operator is not implemented",
     "replace it by operators that are, or end the model before it"),
    ("QuantizeLinear", [np.array([1, 1, 1], F), np.zeros(3, np.int8)], {},
     "it quantizes a computed tensor per channel", "quantize it per tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "constants", "attributes", "reason", "remedy"), REFUSED)
def test_refused(tmp_path, op, constants, attributes, reason, remedy):  # noqa: PLR0917
    model = Model(17)
    y = model.node(op, model.input(IMAGE), *constants, name="here", **attributes)
    found = problems(model.output(y), tmp_path)[0]
    assert (found.node, found.op, found.reason, found.remedy) == ("here", op, reason, remedy)


def two(op, **attributes):
    model = Model()
    x, y = model.input([1, 4, 4]), model.input([1, 4, 4])
    return model.output(model.node(op, x, y, **attributes))


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ("Mul", "it multiplies two computed tensors"),
        ("Div", "it divides by a computed tensor"),
        ("MatMul", "its second matrix is computed by the network"),
        ("Conv", "its weight is computed by the network"),
        ("Max", "it compares several computed tensors"),
    ],
)
def test_refused_of_two_tensors(tmp_path, op, reason):
    assert only(two(op), tmp_path).reason == reason


def test_matmul_with_the_constant_on_the_left(tmp_path):
    model = Model()
    y = model.node("MatMul", model.weights(4, 4), model.input([1, 4, 4]))
    assert only(model.output(y), tmp_path).reason == "its first matrix is a constant"


def test_gemm_with_trans_a(tmp_path):
    model = Model()
    y = model.node("Gemm", model.input([1, 1]), model.weights(1, 4), transA=1)
    assert only(model.output(y), tmp_path).reason == "transA is not implemented"


def test_indices_of_max_pool(tmp_path):
    model = Model()
    y, indices = model.node("MaxPool", model.input(IMAGE), kernel_shape=[2, 2], outputs=2)
    model.output(y).output(indices, dtype=TensorProto.INT64)
    assert problems(model, tmp_path)[0].reason == "its second output (Indices) is used"


def test_broadcast_between_tensors(tmp_path):
    model = Model()
    y = model.node("Add", model.input([1, 3, 1, 1]), model.input(IMAGE))
    assert only(model.output(y), tmp_path).reason == (
        "it broadcasts between shapes [1, 3, 1, 1] and [1, 3, 4, 5]"
    )


def test_different_parameters_in_a_pair(tmp_path):
    model = Model()
    codes = model.node("QuantizeLinear", model.input([1, 4]), F(0.5), np.array(0, np.int8))
    y = model.node("DequantizeLinear", codes, F(0.25), np.array(0, np.int8))
    assert only(model.output(y), tmp_path).reason == (
        "its scale or zero point is not that of the QuantizeLinear before it"
    )


def test_codes_as_an_output(tmp_path):
    model = Model()
    codes = model.node("QuantizeLinear", model.input([1, 4]), F(0.5), np.array(0, np.uint8))
    found = only(model.output(codes, dtype=TensorProto.UINT8), tmp_path)
    remedy = "end the model with DequantizeLinear, or quantize to int8"
    assert (found.op, found.remedy) == ("output", remedy)


def test_an_int8_input_that_nothing_explains(tmp_path):
    model = Model()
    x = model.input([1, 3, 4, 4], dtype=TensorProto.INT8)
    found = only(model.output(model.node("MaxPool", x, kernel_shape=[2, 2])), tmp_path)
    assert found.reason == "it works on an input whose scale nothing says"
    flat = Model()
    value = flat.node("Flatten", flat.input([1, 3, 4, 4], dtype=TensorProto.INT8))
    found = only(flat.output(value), tmp_path)
    assert found.reason == "it is an input whose scale nothing says"


def test_every_problem_is_found_at_once(tmp_path):
    """What lies behind a problem is still read, with the shapes ONNX infers."""
    model = Model()
    x = model.node("Erf", model.input(["N", 3, 8, 8]), name="first")
    x = model.node("Conv", x, model.weights(4, 3, 3, 3), name="fine")
    x = model.node("Conv", x, model.weights(4, 9, 3, 3), name="second", unheard=1, unseen=2)
    y = model.node("LpPool", x, kernel_shape=[2, 2], name="third")
    y = model.node("Mul", y, y, name="fourth")
    with pytest.raises(UnsupportedError, match="cannot run as it is \\(5 problems\\)") as caught:
        load_onnx(model.output(y).save(tmp_path))
    named = [problem.node for problem in caught.value.problems]
    assert named == ["first", "second", "second", "third", "fourth"]


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        (["N", 3, "height", 8], TensorProto.FLOAT, "dimension 2 'height' is not fixed"),
        (["N", 3, None, 8], TensorProto.FLOAT, "dimension 2 is not fixed"),
        ([8, 3, 4, 4], TensorProto.FLOAT, "its batch is fixed to 8"),
        ([1, 3, 4, 4], TensorProto.FLOAT16, "its type is FLOAT16, not float32"),
        ([1, 3, 4, 4], TensorProto.UINT8, "its type is UINT8, not float32"),
        ([4], TensorProto.FLOAT, "it has 1 dimensions"),
        ([1, 3, 4, 4, 4], TensorProto.FLOAT, "it has 5 dimensions"),
        (None, TensorProto.FLOAT, "it has no shape"),
        (
            [1, 9999, 9999],
            TensorProto.FLOAT,
            "its result would have 99980001 elements, more than 16777216",
        ),
    ],
)
def test_inputs(tmp_path, shape, dtype, reason):
    model = Model()
    y = model.node("Relu", model.input(shape, dtype=dtype))
    found = only(model.output(y), tmp_path)
    assert (found.node, found.op, found.reason) == ("x0", "input", reason)


def test_the_remedy_for_an_open_dimension_names_it(tmp_path):
    model = Model()
    y = model.node("Relu", model.input([1, 3, "height", 8]))
    assert "--dim_param height --dim_value SIZE" in only(model.output(y), tmp_path).remedy


@pytest.mark.parametrize("opset", [12, 24])
def test_opsets(tmp_path, opset):
    model = Model(17).output("x0")
    model.input([1, 4])
    proto = model.proto()
    proto.opset_import[0].version = opset
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    (found,) = read_onnx(path)[1]
    assert found.reason == f"opset {opset} is not one of 13 to 23"


def test_other_domains(tmp_path):
    model = Model()
    y = model.node("Relu", model.input([1, 4]), domain="com.acme")
    assert only(model.output(y), tmp_path).reason == "its domain 'com.acme' is not ONNX's own"


def test_subgraphs(tmp_path):
    model = Model()
    model.input([1, 4])
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x0"], ["b"])], "branch", [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4])],
    )  # fmt: skip
    y = model.node("If", np.array(True), then_branch=branch, else_branch=branch)
    assert only(model.output(y), tmp_path).reason == "it holds a subgraph"


def test_constant_output(tmp_path):
    model = Model()
    model.input([1, 4])
    y = model.node("Constant", value_float=1.0)
    assert only(model.output(y), tmp_path).reason == "it is a constant"


def test_missing_tensor(tmp_path):
    model = Model()
    y = model.node("Relu", "nowhere", name="here")
    found = problems(model.output(y), tmp_path)
    assert found[0].reason == "it reads tensor 'nowhere', which nothing before it makes"


def test_huge_constants_are_not_made(tmp_path):
    model = Model()
    huge = model.node("ConstantOfShape", np.array([1 << 40]))
    y = model.node("Add", model.input([1, 4]), huge)
    assert only(model.output(y), tmp_path).reason == "its constant result would be too large"
