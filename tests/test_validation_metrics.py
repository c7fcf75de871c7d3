"""Metrics: which one is taken, what it computes, and what is wrong with labels or a function."""

import re

import numpy as np
import pytest

from weft.errors import InputError
from weft.validation.labels import load_labels
from weft.validation.metrics import choose_metric, load_function

REAL = np.array([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0], [0.0, 0.0, 4.0]], np.float32)
HELD = np.array([[1.0, 2.5, 3.0], [5.0, 0.0, 1.0], [0.0, 1.0, 4.0]], np.float32)
LABELS = np.array([1, 0, 0])


def score(name, labels=None, held=HELD):
    metric = choose_metric(name, labels, {"y": (3,)}, 100)
    scorers = metric.scorer(), metric.scorer()
    for part in (slice(0, 2), slice(2, 3)):
        some = None if metric.labels is None else metric.labels[part]
        for scorer, outputs in zip(scorers, (REAL, held), strict=True):
            scorer.update({"y": outputs[part]}, {"y": REAL[part]}, some)
    return metric.compare(*(scorer.score(metric.labels) for scorer in scorers))


def cosine(one, two):
    return (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)


def test_top1():
    found = score("top1", LABELS)
    assert (found.float_score, found.int8_score) == (2 / 3, 1 / 3)
    assert found.loss == pytest.approx(100 / 3)
    assert found.against == "labels"


def test_top1_without_labels_is_agreement():
    found = score("top1")
    assert (found.float_score, found.int8_score, found.against) == (1, 2 / 3, "float")


def test_mse():
    found = score("mse")
    assert found.float_score == 0
    assert found.int8_score == pytest.approx(np.square(REAL - HELD).mean())
    assert found.loss == found.int8_score
    target = score("mse", REAL + 1)
    assert target.float_score == 1
    assert target.loss == pytest.approx(np.square(REAL + 1 - HELD).mean() - 1)


def test_cosine():
    found = score("cosine")
    assert found.float_score == pytest.approx(1)
    assert found.int8_score == pytest.approx(cosine(REAL, HELD).mean())
    assert found.loss == pytest.approx(1 - found.int8_score)


def test_cosine_of_zeros():
    held = HELD.copy()
    held[0] = 0  # no direction where the float model has one
    assert score("cosine", held=held).int8_score == pytest.approx(cosine(REAL, HELD)[1:].sum() / 3)
    assert score("cosine", np.zeros((3, 3))).int8_score == 0
    zeros = choose_metric("cosine", None, {"y": (3,)}, 100).scorer()
    zeros.update({"y": REAL * 0}, {"y": REAL * 0}, None)
    assert zeros.score(None) == 1


def test_a_callable():
    found = score(lambda outputs, labels: float(outputs[:, 0].sum()))
    assert (found.float_score, found.int8_score) == (6, 6)
    assert (found.metric, found.against) == ("<lambda>", "function")


def test_several_outputs_go_by_name():
    metric = choose_metric(
        lambda outputs, labels: outputs["a"].sum() + outputs["b"].sum(), None,
        {"a": (2,), "b": (2,)}, 9,
    )  # fmt: skip
    scorer = metric.scorer()
    for _ in range(2):
        both = {"a": np.ones((1, 2), np.float32), "b": np.zeros((1, 2), np.float32)}
        scorer.update(both, both, None)
    assert scorer.score(None) == 4


@pytest.mark.parametrize(
    ("labels", "outputs", "inputs", "name", "reason"),
    [
        (LABELS, {"y": (3,)}, 1, "top1", "labels are class numbers"),
        (None, {"y": (1, 10)}, 64, "top1", "the output looks like 10 classes"),
        (None, {"y": (640,)}, 640, "mse", "the output does not look like classes"),
        (None, {"y": (3, 8, 8)}, 999, "mse", "the output does not look like classes"),
        (None, {"y": (1,)}, 10, "mse", "the output does not look like classes"),
        (None, {"y": (3,), "z": (3,)}, 99, "mse", "the output does not look like classes"),
        (REAL, {"y": (3,)}, 99, "mse", "the output does not look like classes"),
    ],
    ids=["labels", "vector", "autoencoder", "image", "number", "two", "targets"],
)
def test_the_metric_that_fits(labels, outputs, inputs, name, reason):
    metric = choose_metric(None, labels, outputs, inputs)
    assert (metric.name, metric.reason) == (name, reason)


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("top1", np.array([0, 3]), "label 3 of sample 1 is no class: the model has 3, from 0 to 2"),
        ("top1", np.array([-1, 0]), "label -1 of sample 0 is no class"),
        ("top1", np.array([0.5, 1]), "labels have dtype float64, and top1 wants class numbers"),
        ("top1", np.eye(3, dtype=int), "labels have shape 3 x 3, and top1 wants one class number "
         "for every sample; for one-hot labels give labels.argmax(axis=1)"),
        ("mse", np.zeros((2, 4)), "labels have shape 2 x 4, and this metric compares them with the "
         "output, N x 3"),
        ("cosine", np.full((2, 3), np.nan), "labels hold values that are not finite"),
    ],
    ids=["above", "below", "float", "one-hot", "shape", "nan"],
)  # fmt: skip
def test_labels_that_do_not_fit(name, labels, message):
    with pytest.raises(InputError, match=re.escape(message)):
        choose_metric(name, labels, {"y": (3,)}, 100)


def test_metrics_that_do_not_fit_the_output():
    with pytest.raises(InputError, match="the output is a single number, which has no classes"):
        choose_metric("top1", None, {"y": (1,)}, 100)
    with pytest.raises(InputError, match="the model has outputs a, b, and top1 takes one; give a "):
        choose_metric("top1", None, {"a": (3,), "b": (3,)}, 100)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('x')", "metric f raises KeyError: 'x'; it is called with (outputs, "
         "labels), an array of shape 3 x 3 and no labels"),
        ("return None", "metric f returns NoneType, not a number; return a float"),
        ("return float('nan')", "metric f returns nan; return a finite number"),
        ("return outputs", "metric f returns ndarray, not a number"),
    ],
    ids=["raises", "none", "nan", "array"],
)  # fmt: skip
def test_functions_that_fail(body, message):
    made = {}
    exec(f"def f(outputs, labels):\n    {body}", made)
    with pytest.raises(InputError, match=re.escape(message)):
        score(made["f"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("no_such_module_b:f", None, "there is no module 'no_such_module_b' for metric "
         "no_such_module_b:f, neither installed nor in"),
        ("own_metric_b:g", "def f(o, l): return 1", "module 'own_metric_b' has no function 'g'"),
        ("own_metric_c:f", "import no_such_module_c", "module 'own_metric_c' of metric "
         "own_metric_c:f needs no_such_module_c: install it"),
        ("own_metric_d:f", "1 / 0", "module 'own_metric_d' of metric own_metric_d:f cannot be "
         "imported (ZeroDivisionError: division by zero); correct it"),
        ("own_metric_e:f", "f = 3", "module 'own_metric_e' has no function 'f'"),
    ],
    ids=["no-module", "no-function", "needs-another", "broken", "no-callable"],
)  # fmt: skip
def test_functions_that_are_not_there(name, text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / f"{name.split(':')[0]}.py").write_text(text + "\n")
    with pytest.raises(InputError, match=re.escape(message)):
        load_function(name)


# Where labels come from ---------------------------------------------------------------


def test_sources_of_labels(tmp_path):
    np.savez(tmp_path / "y.npz", labels=LABELS, other=LABELS + 1)
    np.savez(tmp_path / "one.npz", whatever=LABELS)
    np.save(tmp_path / "y.npy", LABELS)
    for source in ("y.npz", "one.npz", "y.npy"):
        assert load_labels(tmp_path / source, None).tolist() == LABELS.tolist()
    assert load_labels("other", tmp_path / "y.npz").tolist() == (LABELS + 1).tolist()
    assert load_labels(LABELS.tolist(), None).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        ("z.npz", None, "z.npz does not exist"),
        ("z.npy", None, "z.npy does not exist"),
        ("key", [1], "there is no file of labels 'key', and the data is no .npz file"),
        ("two.npz", None, "has no array 'labels' of labels (found: 'a', 'b')"),
        ("bad.npy", None, "bad.npy is not a readable .npy file"),
        (np.array(["a"]), None, "labels has dtype <U1; give labels as numbers"),
        (np.array(3), None, "labels is a single number; give one label for every sample"),
    ],
    ids=["npz", "npy", "key", "two", "bad", "text", "scalar"],
)
def test_labels_that_are_not_there(given, data, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("two.npz", a=LABELS, b=LABELS)
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=re.escape(message)):
        load_labels(given, data)
