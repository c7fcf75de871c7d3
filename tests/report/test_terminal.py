"""The heat map of bits as text."""

from dataclasses import replace

import numpy as np
import pytest
import report_samples
from report_samples import tensor, weights

from weft.console import WIDTH
from weft.report.terminal import bit_lines, show_bits


def test_worked_lines():
    """Q4.3 holds bits from 2^3 to 2^-3; 20 is beyond, 2^-10 far below."""
    some = [
        tensor("relu", [20.0, 0.0, 0.0, 0.0] + [1.0] * 16, 2.0**-3),
        tensor("block/long/name/of/a/relu", [1.0] * 999 + [2.0**-10], 2.0**-3),
    ]
    assert bit_lines("bits", some) == [
        "bits                2^4     2^0     2^-4    2^-8     zeros",
        "relu                +[      #      ]                15.00%",
        "…ng/name/of/a/relu   [      #      ]            -        0",
    ]


def test_a_column_for_all_that_is_less():
    (head, line) = bit_lines("bits", [tensor("a", [1.0, 2.0**-30], 2.0**-6)])
    assert head.split()[-2:] == ["…", "zeros"]
    assert line[head.index("…")] == "#"


def test_of_a_tensor_that_was_not_seen_the_window_alone():
    unseen = replace(tensor("a", [1.0], 0.125), seen=None, shares=None, sqnr=None)
    line = bit_lines("bits", [unseen])[1]
    assert line.split() == ["a", "[", "]"]


@pytest.mark.parametrize("multiplier", [False, True])
def test_no_line_is_wider_than_the_screen(multiplier, capsys):
    show_bits(report_samples.large(multiplier=multiplier).tensors)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) == 50 + 50 + 2 * 2 + 3


def test_what_is_printed(capsys):
    kernel = weights("conv", np.array([[0.5]]), 2.0**-7)
    show_bits([tensor("x", [1.0], 0.125), kernel, tensor("conv.bias", [1.0], 2.0**-9)])
    printed = capsys.readouterr().out
    assert [line.split()[:3] for line in printed.splitlines()][:6] == [
        ["bits", "of", "activations"], ["x", "[", "#"], [],
        ["bits", "of", "weights"], ["conv", "[#", "]"], [],
    ]  # fmt: skip
    assert "left of it values saturate" in printed
    assert "bias" not in printed


def test_nothing_of_what_is_not_there(capsys):
    show_bits([tensor("x", [1.0], 0.125)])
    assert "weights" not in capsys.readouterr().out
