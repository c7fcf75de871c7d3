"""A program: instructions and memory images that make a network run on a configuration.

Everything that talks to a core, simulated or real, goes through the four methods
`load_words`, `input_words`, `output_addresses` and `decode`: the layout of tensors
in the activation memory is known here and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np

from weft.compiler.fold import Fold
from weft.compiler.network import Network
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.hw.isa import Instruction, decode, instruction_words

#: One write at the core's load port.
LOAD_WORD = np.dtype([("space", "u1"), ("address", "<u4"), ("data", "<u4")])


@dataclass(frozen=True)
class Placement:
    """Where a tensor lies in the activation memory.

    Pixel (y, x), channel c is byte ``c % rows`` of word
    ``base + (y * width + x) * blocks + c // rows``.

    With `fold` (of inputs only) these are pixels and channels of the folded tensor, and `fill`
    is the code of what lies outside the image.
    """

    base: int
    height: int
    width: int
    channels: int
    blocks: int
    fold: Fold | None = None
    fill: int = 0

    @property
    def words(self) -> int:
        """Activation words the tensor takes."""
        return self.height * self.width * self.blocks

    def pack(self, codes: np.ndarray, rows: int) -> np.ndarray:
        """The words that hold a tensor (H, W, C): int8 array (words, rows)."""
        if self.fold is not None:
            codes = self.fold.apply(codes, self.fill)
        padded = np.zeros((self.height, self.width, self.blocks * rows), np.int8)
        padded[..., : self.channels] = codes
        return padded.reshape(self.words, rows)


@dataclass(eq=False)
class Program:
    """A network made ready for one configuration.

    Parameters
    ----------
    config : Config
    network : Network
        The integer graph it computes: golden runs this.
    images : mapping of Space to uint8 array, shape (rows, bytes)
        Contents of the memories, the encoded instructions included.
    placements : mapping of tensor name to Placement
    """

    config: Config
    network: Network
    images: Mapping[Space, np.ndarray]
    placements: Mapping[str, Placement]
    layers: list[dict] = field(default_factory=list)

    @property
    def instructions(self) -> list[Instruction]:
        """The instructions, decoded from their image: as far as the first one marked as the end."""
        words = self.images[Space.PROGRAM].view("<u4").reshape(-1)
        size = instruction_words(self.config)
        result = []
        for first in range(0, len(words) - size + 1, size):
            result.append(decode(words[first : first + size], self.config))
            if result[-1].end:
                break
        return result

    @property
    def copied_bytes(self) -> int:
        """Bytes of weights that an inference copies from the program memory."""
        return 4 * sum(instruction.copy_words for instruction in self.instructions)

    @property
    def released(self) -> int | None:
        """Index of the instruction after which the next inputs may come; None where they wait."""
        marked = (n for n, instruction in enumerate(self.instructions) if instruction.release)
        return next(marked, None)

    def instructions_of_layers(self) -> list[range]:
        """Which instructions are whose, by index: a range for each of `layers`.

        Raises
        ------
        InputError
            If the program does not say.
        """
        names = {node.name for node in self.network.nodes}
        counts = [int(layer["instructions"]) for layer in self.layers]
        known = all(layer["name"] in names for layer in self.layers)
        if not known or sum(counts) != len(self.instructions) or min(counts, default=0) < 1:
            raise InputError(
                "the program does not say which instructions belong to which node; "
                "compile the model again"
            )
        ends = list(accumulate(counts))
        return [range(end - count, end) for count, end in zip(counts, ends, strict=True)]

    @property
    def digest(self) -> str:
        """Hexadecimal identity of the configuration and every image, 16 digits."""
        state = hashlib.sha256(self.config.digest.encode())
        for space in sorted(self.images):
            state.update(bytes([space]) + np.ascontiguousarray(self.images[space]).tobytes())
        return state.hexdigest()[:16]

    @property
    def core_inputs(self) -> list[str]:
        """Names of the int8 tensors that the host writes before a start."""
        return [port.tensor for port in self.network.inputs]

    @property
    def core_outputs(self) -> list[str]:
        """Names of the int8 tensors that the host reads when the core is done."""
        made_by = {node.output: node for node in self.network.nodes}
        return [
            made_by[port.tensor].inputs[0]
            if type(made_by.get(port.tensor)).__name__ == "Softmax"
            else port.tensor
            for port in self.network.outputs
        ]

    def check_inputs(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Number of samples in `inputs`: int8 arrays (N, H, W, C) by tensor name.

        Raises
        ------
        InputError
            If a tensor is missing, not int8 or of another shape, if the tensors disagree
            about N, or N is 0.
        """
        names = self.core_inputs
        for name in names:
            if name not in inputs:
                raise InputError(
                    f"the inputs lack tensor {name!r}; the program takes {', '.join(names)}"
                )
            array = inputs[name]
            if array.dtype != np.int8 or array.ndim != 4:
                raise InputError(
                    f"input {name!r} must be an int8 array of shape (N, H, W, C), "
                    f"not {array.dtype} of shape {array.shape}"
                )
            shape = tuple(self.network.tensors[name].shape)
            if array.shape[1:] != shape:
                raise InputError(
                    f"a sample of input {name!r} has shape {array.shape[1:]}, "
                    f"and the program takes {shape}"
                )
        counts = {len(inputs[name]) for name in names}
        if len(counts) > 1:
            raise InputError("the input tensors have different numbers of samples")
        if counts == {0}:
            raise InputError("the inputs have no samples; give at least one")
        return counts.pop()

    def load_words(self) -> np.ndarray:
        """Writes that load all images, in order: array of `LOAD_WORD`."""
        parts = [
            self._image_words(space, 0, np.asarray(image)) for space, image in self.images.items()
        ]
        return np.concatenate(parts) if parts else np.zeros(0, LOAD_WORD)

    def input_words(self, codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Writes that place one sample's input tensors: int8 arrays (H, W, C) by tensor name."""
        parts = []
        for name in self.core_inputs:
            place = self.placements[name]
            image = place.pack(codes[name], self.config.rows).view(np.uint8)
            parts.append(self._image_words(Space.ACTIVATION, place.base, image))
        return np.concatenate(parts)

    def output_addresses(self, names: list[str] | None = None) -> np.ndarray:
        """Word addresses to read, in the order `decode` expects: uint32 array."""
        parts = []
        for name in names or self.core_outputs:
            place = self.placements[name]
            words = self.config.row_words(Space.ACTIVATION)
            parts.append(np.arange(place.words * words, dtype=np.uint32) + place.base * words)
        return np.concatenate(parts)

    def decode(self, words: np.ndarray, names: list[str] | None = None) -> dict[str, np.ndarray]:
        """Tensors (H, W, C) int8 from the words read at `output_addresses`."""
        row_words = self.config.row_words(Space.ACTIVATION)
        data = np.asarray(words, "<u4").view(np.int8).reshape(-1, 4 * row_words)
        data = data[:, : self.config.rows]
        result, start = {}, 0
        for name in names or self.core_outputs:
            place = self.placements[name]
            pixels = data[start : start + place.words].reshape(place.height, place.width, -1)
            result[name] = pixels[..., : place.channels].copy()
            start += place.words
        return result

    def save(self, directory: Path) -> None:
        """Writes the program into a folder: see `program_file`."""
        from weft.compiler import program_file  # noqa: PLC0415 - it imports this module

        program_file.save(self, Path(directory))

    @staticmethod
    def load(directory: Path) -> Program:
        """Reads a program from a folder: see `program_file`."""
        from weft.compiler import program_file  # noqa: PLC0415 - it imports this module

        return program_file.load(Path(directory))

    def _image_words(self, space: Space, base: int, image: np.ndarray) -> np.ndarray:
        per_row = self.config.row_words(space)
        used = -(-image.shape[1] // 4)
        padded = np.zeros((len(image), 4 * per_row), np.uint8)
        padded[:, : image.shape[1]] = image
        words = np.zeros((len(image), per_row), LOAD_WORD)
        words["space"] = space
        words["address"] = (base + np.arange(len(image)))[:, None] * per_row + np.arange(per_row)
        words["data"] = padded.view("<u4").reshape(len(image), per_row)
        return words[:, :used].reshape(-1)
