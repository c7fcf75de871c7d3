"""How large windows may be: what is beyond is a broken file, or asks for all the memory.

A kernel has a number for each tap and channel, and a padded image one for each place that a
window reaches. Each function gives the reason and the remedy of a problem, or None.
"""

from __future__ import annotations

import math

Pair = tuple[int, int]

#: Places that a window looks at. One over 224 x 224 pixels has 50,176.
LARGEST_TAPS = 1 << 17

#: Elements of an image with its padding.
LARGEST_PADDED = 1 << 26

#: Numbers of a kernel that is not in the file as it is: that of a pool, which has one for each tap
#: and channel, or of several groups, spread over all channels.
LARGEST_KERNEL = 1 << 24

#: Numbers of the kernels of all moves together.
LARGEST_MOVES = 1 << 25

#: Elements that a permutation moves, and parts of an image that it moves in turns.
LARGEST_PERMUTED, MOST_PARTS = 1 << 22, 1 << 14

_SMALLER = "use a smaller window, or two one after another"


def too_many_taps(kernel: Pair) -> tuple[str, str] | None:
    """Of a window (height, width), without what dilation leaves out."""
    taps = math.prod(kernel)
    if taps <= LARGEST_TAPS:
        return None
    return (
        f"its window of {kernel[0]} x {kernel[1]} looks at {taps:,} places, "
        f"of {LARGEST_TAPS:,} at most",
        _SMALLER,
    )


def too_large_pool(kernel: Pair, channels: int) -> tuple[str, str] | None:
    """Of a pool or mean whose window has this size."""
    size = math.prod(kernel) * channels
    if size <= LARGEST_KERNEL:
        return too_many_taps(kernel)
    return (
        f"its window of {kernel[0]} x {kernel[1]} over {channels:,} channels has {size:,} "
        f"elements, of {LARGEST_KERNEL:,} at most",
        _SMALLER,
    )


def too_much_padding(
    image: tuple[int, int, int], padding: tuple[int, int, int, int]
) -> tuple[str, str] | None:
    """Of an image (H, W, C) with padding (top, left, bottom, right)."""
    height = image[0] + padding[0] + padding[2]
    width = image[1] + padding[1] + padding[3]
    size = height * width * image[2]
    if size <= LARGEST_PADDED:
        return None
    return (
        f"its image of {image[0]} x {image[1]} x {image[2]} is padded to {height} x {width}, "
        f"{size:,} elements of {LARGEST_PADDED:,} at most",
        "use less padding, which a smaller window or dilation needs",
    )


def too_wide_groups(weights: tuple[int, ...], groups: int) -> tuple[str, str] | None:
    """Of weights (outputs, kh, kw, inputs / groups)."""
    size = math.prod(weights) * groups
    if groups == 1 or size <= LARGEST_KERNEL:
        return None
    return (
        f"its {groups:,} groups of several channels take a kernel of {size:,} weights and zeros, "
        f"of {LARGEST_KERNEL:,} at most",
        "split it into convolutions of fewer channels",
    )


def too_large_move(size: int) -> tuple[str, str] | None:
    """Of a move whose kernel has so many numbers: one for each pair of channels, at least."""
    if size <= LARGEST_KERNEL:
        return None
    return (
        f"it moves channels by a kernel of {size:,} numbers, of {LARGEST_KERNEL:,} at most",
        "use fewer channels, or move along height and width",
    )


def too_much_permuted(elements: int, parts: int) -> tuple[str, str] | None:
    """Of a permutation that moves so many elements, an image's parts in turns."""
    if elements <= LARGEST_PERMUTED and parts <= MOST_PARTS:
        return None
    return (
        f"it moves {elements:,} elements in {parts:,} parts, of {LARGEST_PERMUTED:,} and "
        f"{MOST_PARTS:,} at most",
        "use a smaller image, or leave the axes as they are",
    )
