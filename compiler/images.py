"""Memory images of a schedule: the bytes that the load port writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.compiler.schedule import Schedule
from weft.hw.config import Space
from weft.hw.isa import encode


def images(schedule: Schedule) -> dict[Space, np.ndarray]:
    """uint8 arrays (rows, bytes) by memory, only the rows used."""
    config = schedule.config
    program = [
        encode(replace(instruction, end=int(index == len(schedule.instructions) - 1)), config)
        for index, instruction in enumerate(schedule.instructions)
    ]
    words = np.concatenate([*program, *(_tile_words(tile) for tile in schedule.copied)])
    weights = np.array(schedule.weights, np.int8).reshape(-1, config.multipliers)
    parameters = np.zeros((len(schedule.parameters), config.lanes, config.parameter_words), "<i4")
    for row, fields in enumerate(schedule.parameters):
        for word, values in enumerate(fields):
            # A factor of exactly 1 is 2**31.
            parameters[row, :, word] = values.astype(np.uint32).view("<i4")
    tables = np.array(schedule.tables, np.int8).reshape(-1, 1)
    result = {
        Space.PROGRAM: words.astype("<u4").reshape(-1, 1).view(np.uint8),
        Space.WEIGHT: weights.view(np.uint8),
        Space.PARAMETER: parameters.reshape(len(parameters), -1).view(np.uint8),
        Space.TABLE: tables.view(np.uint8),
    }
    return {space: image for space, image in result.items() if len(image)}


def _tile_words(tile: np.ndarray) -> np.ndarray:
    """A tile as words of the program memory: uint32 array."""
    data = tile.tobytes()
    return np.frombuffer(data + bytes(-len(data) % 4), "<u4")
