"""What the page of ``weft validate`` says: everything that the result knows, troubles first."""

import pytest
from report_reader import rows, text
from report_samples import validation

from weft.report.page import page_html
from weft.validation.result import Score


def test_validation():
    page = page_html(validation())
    found = text(page)
    assert found.startswith("weft validate net_int8.onnx against net.onnx What to look at")
    first = found.index("The validation data goes beyond what calibration saw.")
    hurts = "model/block_4/Relu6 hurts most, with 20.00% of the noise at the outputs. "
    assert first < found.index(hurts + "Its output saturates: use --calibrator mse.")
    assert "top1 of INT8 98.59% top1 of float 99.15%" in found
    assert "Loss 0.56 points, tolerance 1 points" in found
    assert "SQNR of the outputs 31.2 dB Samples 355" in found
    assert "Judged by labels; labels are class numbers" in found
    assert "Without a counterpart in the float model, so not compared: scaled" in found
    assert "on the first 32 samples" in found


def test_sides_of_scales():
    page = page_html(validation())
    assert "an array of 8 x 8 takes with the requantizer that it needs (ecp5, 4" in text(page)
    assert "lookup tables within 4 % of Yosys" in text(page)
    assert rows(page, "LUTs")[1:] == [
        ["shift per tensor", "98.59%", "0.56 points", "31.2", "4,100", "64", "20"],
        ["multiplier --scales multiplier", *["-"] * 6],
        ["It is too large."],
    ]


def test_layers_of_a_validation():
    page = page_html(validation(2))
    assert [[row[0], *row[3:]] for row in rows(page, "made by")[1:]] == [
        ["model/block_0/Relu6", "40.0", "45.0", "0.25", "50.00%"],
        ["model/block_1/Relu6 hurts most", "30.0", "44.0", "0.25", "50.00%"],
    ]
    title = "model/block_1/Relu6: 30.0 dB in the running network, 44.0 dB by itself"
    assert f"<title>{title}</title>" in page


def test_exceeded_ranges():
    assert rows(page_html(validation()), "limits")[1:] == [
        ["relu", "seen in calibration", "0", "4", "-0", "5", "25.00%", "0.10%", "50.00%"],
        ["flat", "of its type", "0", "0", "0", "5", "all", "0.10%", "50.00%"],
    ]


def test_more_loss_than_tolerated():
    page = text(page_html(validation(tolerance=0.5)))
    assert "INT8 is worse than float by 0.56 points, more than the tolerance of 0.5 points." in page
    calm = validation(warnings=(), hurts_most=None)
    assert "No layer stands out, and the data is as calibration saw it." in text(page_html(calm))


@pytest.mark.parametrize(
    ("against", "said"),
    [("labels", "labels"), ("float", "what float says"), ("function", "your function")],
)
def test_who_judges(against, said):
    score = Score("mse", "", against, 0.25, 0.375, 0.125)
    found = text(page_html(validation(score=score, tolerance=None)))
    assert f"Judged by {said}" in found
    assert "mse of INT8 0.375 mse of float 0.25 Loss 0.125 SQNR" in found
