"""Reads a folder of images as samples of a model with one image input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weft.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg")

#: Pillow's modes with 8 bits a channel, or fewer.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Pixels:
    """What black and white mean to a model.

    Parameters
    ----------
    ranges : tuple of (float, float)
        Real values of the bytes 0 and 255: one pair for all channels, or one for each.
    """

    ranges: tuple[tuple[float, float], ...]

    def real(self, image: np.ndarray) -> np.ndarray:
        """float32 values of bytes (H, W, C)."""
        low, high = np.array(self.ranges).T
        return (low + (high - low) * (image / 255)).astype(np.float32)


def parse_pixels(text: str) -> Pixels:
    """Read "LOW..HIGH", or one such range for each channel with commas between them.

    Raises
    ------
    InputError
        If it is written otherwise.
    """
    ranges = []
    for part in text.split(","):
        try:
            low, high = (float(number) for number in part.split(".."))
        except ValueError:
            low = high = 0.0
        if low == high or not np.isfinite([low, high]).all():
            raise InputError(
                f"{text!r} does not say what pixels mean; write the values of black and white as "
                "0..1 or -1..1, or one such range for each channel with commas between them"
            )
        ranges.append((low, high))
    return Pixels(tuple(ranges))


@dataclass(frozen=True)
class ImageFolder:
    """Images as samples.

    Parameters
    ----------
    paths : sequence of Path
    shape : tuple of int
        The model's own shape of a sample: (C, H, W), (H, W, C) or (H, W), C of 1 or 3.
    pixels : Pixels
    """

    paths: Sequence[Path]
    shape: tuple[int, ...]
    pixels: Pixels

    def __post_init__(self) -> None:
        channels = self._channels()
        if len(self.pixels.ranges) not in (1, channels):
            raise InputError(
                f"{len(self.pixels.ranges)} ranges of pixels were given for {channels} channel"
                f"{'s' * (channels > 1)}; give one for all, or one for each"
            )
        _pillow()

    def read(self, path: Path) -> np.ndarray:
        """float32 sample in the model's own shape.

        Raises
        ------
        InputError
            If the file is no image, or one of another size.
        """
        image_module = _pillow()
        channels = self._channels()
        first = len(self.shape) == 3 and self._first()
        height, width = self.shape[1:] if first else self.shape[:2]
        try:
            with image_module.open(path) as image:
                if image.mode not in _MODES:
                    raise InputError(
                        f"{path} has pixels of mode {image.mode}; convert it to 8 bits a channel"
                    )
                if image.size != (width, height):
                    raise InputError(
                        f"{path} has {image.size[0]} x {image.size[1]} pixels where the model "
                        f"takes {width} x {height}; resize the images as for training"
                    )
                bytes_ = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
            raise InputError(f"{path} is not a readable image ({error}); replace it") from error
        values = self.pixels.real(bytes_.reshape(height, width, channels))
        return (values.transpose(2, 0, 1) if first else values).reshape(self.shape)

    def _first(self) -> bool:
        """Whether the channels come first; they do where both could be."""
        return self.shape[0] in (1, 3)

    def _channels(self) -> int:
        if len(self.shape) == 2:
            return 1
        if len(self.shape) == 3 and (self._first() or self.shape[2] in (1, 3)):
            return self.shape[0 if self._first() else 2]
        raise InputError(
            f"images are no samples of shape {' x '.join(map(str, self.shape))}; give arrays "
            "in .npy or .npz files"
        )


def natural_order(path: Path) -> list:
    """Key that sorts 2.png before 10.png."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def _pillow() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415 - only images need it
    except ImportError:
        raise InputError(
            "images are read by Pillow, which is not installed: pip install 'weft[images]'"
        ) from None
    return Image
