"""Folds: that they hold every pixel a window needs, and how many words that takes."""

import numpy as np
import pytest

from weft.compiler.fold import Fold, Windows, best_fold, phases
from weft.hw.config import Config


def convolve(image, kernel, windows, fill):
    """Sums of windows (count, outputs), pixel by pixel."""
    result = np.zeros((*windows.count, kernel.shape[-1]), np.int64)
    for oy, ox, ky, kx in np.ndindex(*windows.count, *windows.size):
        y = oy * windows.stride[0] - windows.before[0] + ky
        x = ox * windows.stride[1] - windows.before[1] + kx
        inside = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
        codes = image[y, x].astype(np.int64) if inside else np.full(image.shape[2], fill)
        result[oy, ox] += codes @ kernel[ky, kx]
    return result


def by_phases(image, kernel, windows, fold, fill):
    result = np.full((*windows.count, kernel.shape[-1]), 1 << 40)
    folded = fold.apply(image, fill)
    assert folded.shape == fold.shape(image.shape)
    for phase in phases(fold, windows, kernel):
        part = Windows(phase.kernel.shape[:2], phase.stride, (0, 0), phase.count)
        sums = np.zeros((*phase.count, kernel.shape[-1]), np.int64)
        for oy, ox, ky, kx in np.ndindex(*part.count, *part.size):
            y = phase.origin[0] + oy * phase.stride[0] + ky * phase.dilation[0]
            x = phase.origin[1] + ox * phase.stride[1] + kx * phase.dilation[1]
            inside = 0 <= y < folded.shape[0] and 0 <= x < folded.shape[1]
            codes = folded[y, x].astype(np.int64) if inside else fill
            sums[oy, ox] += np.broadcast_to(codes, folded.shape[2]) @ phase.kernel[ky, kx]
        assert (result[phase.first[0] :: phase.every[0], phase.first[1] :: phase.every[1]]
                == 1 << 40).all()  # fmt: skip
        result[phase.first[0] :: phase.every[0], phase.first[1] :: phase.every[1]] = sums
    return result


@pytest.mark.parametrize("seed", range(150))
def test_every_fold_computes_the_same(seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    size, stride = rng.integers(1, 6, 2), rng.integers(1, 5, 2)
    before, after = rng.integers(0, size), rng.integers(0, size)
    image = rng.integers(-128, 128, (*(size + rng.integers(0, 9, 2)), int(rng.integers(1, 4))))
    image = image.astype(np.int8)
    count = (np.array(image.shape[:2]) + before + after - size) // stride + 1
    windows = Windows(*(tuple(map(int, pair)) for pair in (size, stride, before, count)))
    kernel = rng.integers(-128, 128, (*windows.size, image.shape[2], 2))
    blocks = rng.integers(1, 6, 2)
    steps = np.array([rng.integers(1, block + 1) for block in blocks])
    first = np.array([rng.integers(b - s, b) for b, s in zip(blocks, steps, strict=True)])
    held = -(-(np.array(image.shape[:2]) + first) // steps)
    fold = Fold(*(tuple(map(int, pair)) for pair in (blocks, steps, first, held)))
    expected = convolve(image, kernel, windows, -3)
    np.testing.assert_array_equal(by_phases(image, kernel, windows, fold, -3), expected, str(fold))


@pytest.mark.parametrize("seed", range(60))
def test_the_fold_of_the_fewest_cycles_computes_the_same(seed):
    """With blocks of two words, and folded images that end with the last block that is read."""
    print("seed", seed)
    rng = np.random.default_rng([seed, 1])
    size, stride = rng.integers(1, 5, 2), rng.integers(1, 4, 2)
    before, after = rng.integers(0, size), rng.integers(0, size)
    image = rng.integers(-128, 128, (*(size + rng.integers(0, 12, 2)), int(rng.integers(1, 5))))
    image = image.astype(np.int8)
    count = (np.array(image.shape[:2]) + before + after - size) // stride + 1
    windows = Windows(*(tuple(map(int, pair)) for pair in (size, stride, before, count)))
    config = Config(rows=int(rng.choice([4, 8, 16])), columns=4)
    fold = best_fold(image.shape, windows, 16, config, room=int(rng.choice([0, 1000])))
    if fold is None:
        return
    kernel = rng.integers(-128, 128, (*windows.size, image.shape[2], 2))
    expected = convolve(image, kernel, windows, -3)
    np.testing.assert_array_equal(by_phases(image, kernel, windows, fold, -3), expected, str(fold))


def test_blocks_of_two_words_where_they_have_room():
    """27 products of a pixel of ic's first layer: three words of nine, or two."""
    windows = Windows((3, 3), (1, 1), (1, 1), (32, 32))
    config = Config(rows=16, columns=8)
    fold = best_fold((32, 32, 3), windows, 16, config, room=2048)
    assert fold == Fold((3, 3), (1, 1), (1, 1), (32, 32))
    assert fold.shape((32, 32, 3)) == (32, 32, 27)
    assert best_fold((32, 32, 3), windows, 16, config, room=2047).size != (3, 3)


@pytest.mark.parametrize(
    ("shape", "windows", "words"),
    [
        # First layers of MLPerf Tiny's ic, kws and vww, and of a network on 224 x 224 pixels.
        ((32, 32, 3), Windows((3, 3), (1, 1), (1, 1), (32, 32)), 3),
        ((49, 10, 1), Windows((10, 4), (2, 2), (4, 1), (25, 5)), 3),
        ((96, 96, 3), Windows((3, 3), (2, 2), (0, 0), (48, 48)), 3),
        ((224, 224, 3), Windows((7, 7), (2, 2), (3, 3), (112, 112)), 14),
        # A matrix product over an image of one channel.
        ((28, 28, 1), Windows((28, 28), (1, 1), (0, 0), (1, 1)), 49),
    ],
)
def test_words_read_for_a_result(shape, windows, words):
    fold = best_fold(shape, windows, 16, Config(rows=16, columns=8))
    parts = list(phases(fold, windows, np.zeros((*windows.size, shape[2], 1), np.int64)))
    read = sum(np.prod(part.count) * np.prod(part.kernel.shape[:2]) for part in parts)
    assert read <= words * np.prod(windows.count)


def test_no_fold_where_channels_fill_the_rows():
    windows = Windows((3, 3), (1, 1), (1, 1), (32, 32))
    assert best_fold((32, 32, 16), windows, 16, Config(rows=16, columns=8)) is None
