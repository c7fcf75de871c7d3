"""Random `.tflite` models of one operator each.

Shapes are small. Scales are such that results use the codes they have, with some extremes
among them. A model depends on the operator's name and the seed alone.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import tflite_random_codes  # noqa: F401  # these three fill the table
import tflite_random_layers  # noqa: F401
import tflite_random_moves  # noqa: F401
from tflite_random import MAKERS
from tflite_writer import ModelWriter

#: What `random_model` can make.
OPERATORS = tuple(MAKERS)


def random_model(operator: str, seed: int) -> bytes:
    """A `.tflite` file of one operator."""
    rng = np.random.default_rng([seed, crc32(operator.encode())])
    writer = ModelWriter()
    inputs, outputs = MAKERS[operator](rng, writer)
    return writer.finish(inputs, outputs)
