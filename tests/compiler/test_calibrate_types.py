"""Types that the user fixes: kept, followed by others, or refused with the reason."""

import numpy as np
import pytest
from float_models import FloatModel

from weft.compiler.calibrate import calibrate
from weft.compiler.calibrate_types import fix_types, parse_types
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize import quantize
from weft.errors import InputError, UnsupportedError

DATA = {"x": np.random.default_rng(1).normal(size=(40, 2, 6, 6)).astype(np.float32)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = FloatModel(np.random.default_rng(0), (2, 6, 6))
    value = made.node("Conv", ["x", made.weights(4, 2, 3, 3)], "conv")
    value = made.node("Relu", [value], "relu")
    value = made.node("MaxPool", [value], "pool", kernel_shape=[2, 2], strides=[2, 2])
    value = made.node("Flatten", [value], "flat")
    value = made.node("Gemm", [value, made.weights(3, 16)], "dense", transB=1)
    made.node("Softmax", [value], "y", axis=-1)
    return made.save(tmp_path_factory.mktemp("types") / "m.onnx", {"y": (3,), "pool": (4, 2, 2)})


def quantized(model, *texts, method="minmax"):
    graph = fix_types(load_onnx(model), parse_types(texts))
    return graph, quantize(graph, calibrate(model, graph, DATA, method))


@pytest.mark.parametrize("method", ["minmax", "mse", "entropy"])
def test_a_fixed_type_is_kept_and_the_others_follow(model, method):
    _, network = quantized(model, "x=Q3.4", "relu=2^-2", method=method)
    scales = {name: tensor.scale for name, tensor in network.tensors.items()}
    assert (scales["x"], scales["relu"]) == (2.0**-4, 2.0**-2)
    assert scales["pool"] == scales["relu"]  # a pool only moves values
    # It is as if calibration had chosen so: nothing else changed.
    free = {name: t.scale for name, t in quantized(model, method=method)[1].tensors.items()}
    assert scales["dense"] == free["dense"]


def test_a_type_reaches_the_tensor_before_a_move(model):
    _, network = quantized(model, "pool=sfix8_En1")
    assert network.tensors["relu"].scale == network.tensors["pool"].scale == 0.5


def test_fixed_weights(model):
    graph = load_onnx(model)
    node = graph.nodes[0]
    _, network = quantized(model, f"{node.name}.weights=Q2.5", "relu=Q4.3", "x=Q3.4")
    made = network.nodes[0]
    assert made.requantize.shift.tolist() == [5 + 4 - 3] * 4
    np.testing.assert_array_equal(
        made.weights,
        np.trunc(node.constants["weights"] * 32 + np.copysign(0.5, node.constants["weights"])),
    )


def test_the_graph_itself_stays_as_it_is(model):
    graph = load_onnx(model)
    fixed = fix_types(graph, parse_types(["x=Q3.4", f"{graph.nodes[0].name}.weights=Q2.5"]))
    assert not graph.scales
    assert not graph.nodes[0].scales
    assert list(fixed.scales) == ["x"]


def test_what_no_node_can_compute_with_is_refused(model):
    with pytest.raises(UnsupportedError, match="finer than that of its products; give its output"):
        quantized(model, "x=2^0", "conv_0.weights=2^0", "relu=2^-9")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["rellu=Q4.3"], "there is no tensor 'rellu'; near it are 'relu'"),
        (["q=Q4.3"], "there is no tensor 'q'; near it are "),
        (
            ["conv_0.weight=Q4.3"],
            "there is no tensor 'conv_0.weight'; near it are 'conv_0.weights'",
        ),
        (
            ["conv=Q4.3"],
            "tensor 'conv' will not exist, .* computed together with the next; fix 're",
        ),
        (
            ["conv_0.weights=Q-2.9"],
            "Q-2.9 does not hold all of 'conv_0.weights'; Q0.7 is the finest",
        ),
        (["y=Q4.3"], "tensor 'y' comes from Softmax, whose scale is always 1/256; leave it out"),
        (["conv_0.bias=Q4.3"], "'conv_0.bias' follows from other types: .*; fix 'conv_0.weights'"),
        (
            ["relu=Q4.3", "pool=Q3.4"],
            "tensors 'relu' and 'pool' have one type, .* only moved; give",
        ),
        (["x=Q4.3", "x=Q3.4"], "tensor 'x' is given two types, Q4.3 and Q3.4; keep one"),
        (["x"], "'x' fixes no type; write NAME=TYPE, as in relu1=Q4.3"),
        (["x=int8"], "'int8' is no fixed-point type"),
    ],
)
def test_refusals(model, texts, message):
    with pytest.raises(InputError, match=message):
        quantized(model, *texts)


def test_every_refusal_at_once(model):
    with pytest.raises(InputError) as caught:
        quantized(model, "rellu=Q4.3", "y=Q4.3", "conv=Q4.3")
    assert len(str(caught.value).splitlines()) == 4


def test_a_name_may_hold_an_equals_sign_and_be_said_twice():
    assert [*parse_types(["a=b=Q4.3", "a=b=2^-3"])] == ["a=b"]
