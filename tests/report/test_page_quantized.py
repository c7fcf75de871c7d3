"""What the page of ``weft quantize`` says: everything that the result knows, troubles first."""

import re
from dataclasses import replace

import numpy as np
from report_reader import rows, text
from report_samples import layers, quantized, repairs, small, tensor, weights

from weft.report.page import page_html


def test_summary():
    found = text(page_html(small()))
    assert found.startswith("weft quantize net_int8.onnx")
    assert "Calibrated on 1,234 samples Calibrator mse" in found
    assert "Scales powers of two (shift), weights per channel" in found
    assert "Types 5 activations, 5 weights, 1 fixed by hand" in found
    assert "any (multiplier)" in text(page_html(replace(small(), scales="multiplier")))
    assert "Calibrated on 1 sample " in text(page_html(replace(small(), samples=1)))


def test_lowest_ratios():
    found = [tensor("a", [0.3, 1.0], 0.25), tensor("b", [0.3, 1.0], 2.0**-6), tensor("c", [1], 1)]
    assert found[0].sqnr < found[1].sqnr
    lowest = f"Lowest SQNR of activations {found[0].sqnr:.1f} dB: a "
    assert lowest in text(page_html(quantized(found)))
    assert "Lowest SQNR of activations exact" in text(page_html(quantized(found[2:])))


def test_heat_map():
    fixed = tensor("relu", [0.0, 0.03, 1.0, 20.0], 2.0**-3, fixed=True)
    page = page_html(quantized([fixed, tensor("sum", [2.5, -0.3], 0.02, zero_point=-3)]))
    first, second = rows(page, "activation type")[1:]
    assert first[:2] == ["relu fixed", "Q4.3"]
    assert first[3:] == ["25.00%", "25.00%", "0", f"{fixed.sqnr:.1f}"]
    assert second[:2] == ["sum", "0.02 zero -3"]
    assert second[3:6] == ["0", "0", "-"]
    titles = re.findall(r"<title>(.*?)</title>", page)[1:]
    assert titles == [
        "relu (Q4.3); positive: 2^4 25.00%, 2^0 25.00%, 2^-6 25.00%; zeros: 25.00%",
        "sum (0.02); positive: 2^1 50.00%; negative: 2^-2 50.00%; zeros: 0",
    ]


def test_a_tensor_whose_values_were_not_seen():
    moved = replace(tensor("moved", [1.0], 0.125), seen=None, shares=None, sqnr=None)
    page = page_html(quantized([moved]))
    assert rows(page, "activation type")[1][3:] == ["-"] * 4
    assert "<title>moved: its values are those of another tensor, moved</title>" in page
    assert rows(page, "lowest")[1] == ["moved", "Q4.3", "sfix8_En3", "2^-3", *["-"] * 6]


def test_numbers():
    kernel = np.array([[0.5, -0.25], [0.03, 0.0]])
    found = [
        tensor("conv", [1.0, -2.0], 2.0**-5), weights("conv", kernel, 2.0**-8, 2.0**-12),
        tensor("conv.bias", [0.5], 2.0**-13),
    ]  # fmt: skip
    page = page_html(quantized(found))
    assert rows(page, "lowest")[1] == [
        "conv", "Q2.5", "sfix8_En5", "2^-5", "-2", "1", "0", "0", "0", "exact",
    ]  # fmt: skip
    cells = rows(page, "kurtosis")[1]
    assert cells[:6] == [
        "conv", "Q-1.8 … Q-5.12", "sfix8_En8 … sfix8_En12", "2^-8 … 2^-12", "-0.25", "0.5",
    ]  # fmt: skip
    statistics = found[1].statistics
    assert cells[-4:] == [
        f"{statistics.kurtosis:.3g}", f"{statistics.skew:.3g}", "25.00%", "16.7",
    ]  # fmt: skip
    assert rows(page, "bias of")[1][:4] == ["conv", "Q18.13", "sfix32_En13", "2^-13"]


def test_zero_points_have_a_column_where_there_are_any():
    shift, other = tensor("a", [1.0], 0.125), tensor("b", [1.0], 0.1, zero_point=-7)
    assert "zero" not in rows(page_html(quantized([shift])), "lowest")[0]
    page = page_html(quantized([other]))
    assert rows(page, "lowest")[0][:3] == ["activation", "scale", "zero"]
    assert rows(page, "lowest")[1][:3] == ["b", "0.1", "-7"]


def test_what_to_look_at_comes_first_and_the_worst_of_it_first():
    found = [
        tensor("fine", [1.0], 0.125),
        weights("conv", np.array([[0.5, 0.01], [0.001, 0.0]]), 2.0**-7),
        tensor("poor", [0.7], 0.5),
        tensor("cut", [1.0] * 50 + [9.0], 2.0**-6),
    ]
    assert found[3].sqnr < found[2].sqnr < found[1].sqnr
    page = text(page_html(quantized(found)))
    said = [
        "What to look at: 3 of 4 tensors",
        f"cut : 1.96% of its values saturate; its type holds it poorly, with an SQNR of "
        f"{found[3].sqnr:.1f} dB: try another calibrator (--calibrator) or a type (--type)",
        "poor : its type holds it poorly",
        "weights of conv : the largest weights of its output channels differ by a factor of 500",
        "Calibrated on",
    ]
    places = [page.index(sentence) for sentence in said]
    assert places == sorted(places)


def test_what_may_help():
    found = quantized([tensor("a", [0.7], 0.5), weights("b", np.array([[0.7]]), 0.5)])
    page = text(page_html(found))
    assert "dB: try another calibrator (--calibrator) or a type (--type)" in page
    assert "dB: try a scale for each channel (--per-channel)" in page
    assert ": try" not in text(page_html(replace(found, scales="multiplier")))


def test_a_bias_may_be_moved_on_purpose():
    """Correcting it is a repair: what it differs by is no error of its type."""
    moved = replace(tensor("conv.bias", [1.0], 2.0**-9), sqnr=12.0)
    page = page_html(quantized([moved]))
    assert "No tensor stands out" in text(page)
    assert rows(page, "bias of")[1][-1] == "12.0"
    assert "bad" not in page.partition("<header>")[2]


def test_nothing_to_look_at():
    assert "No tensor stands out" in text(page_html(quantized([tensor("a", [1.0], 0.125)])))


def test_many_notes_can_be_opened():
    poor = [tensor(f"t{i}", [1.0] * 9 + [99.0], 0.125) for i in range(9)]
    page = page_html(quantized(poor))
    assert "<summary>and 3 more</summary>" in page
    assert len(re.findall("of its values saturate", page)) == 9


def test_repairs():
    names = ["image", "relu"]
    page = page_html(quantized(layers(np.random.default_rng(0), names), repairs(names)))
    assert rows(page, "outcome") == [
        ["repair", "outcome", "before, dB", "after, dB", "what was done"],
        ["equalize", "idle", "-", "-", "no two layers can be equalised"],
        ["round", "kept", "25.0", "28.5", "weights of 2 layers rounded anew"],
        ["bias", "undone", "28.5", "27.0", ""],
    ]
    profile = rows(page, "before after")
    assert [[row[0], *row[2:]] for row in profile[1:]] == [
        ["image", "30.0", "31.0"], ["relu", "29.0", "30.5"],
    ]  # fmt: skip
    assert "<title>relu: from 29.0 to 30.5 dB</title>" in page


def test_without_a_repair_that_was_kept_there_are_no_layers():
    undone = [each for each in repairs(["image"]) if each.outcome == "undone"]
    page = page_html(quantized(layers(np.random.default_rng(0), ["image"]), undone))
    assert "undone" in page
    assert "Layer by layer" not in page


def test_long_names_are_short_in_tables_and_whole_in_titles():
    name = "model/first/Relu;model/second/Conv2D"
    page = page_html(quantized([tensor(name, [1.0], 0.125)]))
    assert rows(page, "activation type")[1][0] == "model/first/Relu"
    assert f'title="{name}"' in page
