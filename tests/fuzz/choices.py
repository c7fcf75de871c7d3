"""Single choices behind the few methods of NumPy's generator that the builders call.

With hypothesis's choices a random network is an example that hypothesis can shrink: every single
number is a choice of its own, which shrinks towards the plainest; an array is one choice, of which
0 stands for a pattern that a reader can see through, and any other number for random contents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

#: Parts of a real number between 0 and 1.
_PARTS = 1000

#: Contents that an array may have.
_CONTENTS = 1 << 16


class Choices:
    """As `numpy.random.Generator`, as far as it is used.

    Parameters
    ----------
    number : function
        Of two numbers: one from the first to the second, both included; shrinks to the first.

    Attributes
    ----------
    drawn : list of int
        All choices so far; equal ones make equal cases.
    """

    def __init__(self, number: Callable[[int, int], int]):
        self._number = number
        self.drawn: list[int] = []

    @classmethod
    def of_hypothesis(cls, draw: st.DrawFn) -> Choices:
        """Let hypothesis choose, and shrink."""
        return cls(lambda low, high: draw(st.integers(low, high)))

    @classmethod
    def of_seed(cls, seed: int) -> Choices:
        """Let a seed choose."""
        rng = np.random.default_rng(seed)
        return cls(lambda low, high: int(rng.integers(low, high + 1)))

    def number(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        self.drawn.append(self._number(low, high) if low < high else low)
        return self.drawn[-1]

    def random(self) -> float:
        """Return a real number; shrinks to the largest, at which nothing unlikely happens."""
        return 1 - (1 + self.number(0, _PARTS - 1)) / (_PARTS + 1)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.number(0, _PARTS) / _PARTS

    def integers(self, low: Any, high: Any = None, size: Any = None, dtype: Any = None) -> Any:
        low, high = (0, low) if high is None else (low, high)
        if size is None:
            return self.number(int(low), int(high) - 1)
        dtype = dtype or np.int64
        contents = self.number(0, _CONTENTS)
        if contents:
            return np.random.default_rng(contents).integers(low, high, size, dtype)
        pattern = np.arange(np.prod(size)).reshape(size) % 5 - 2
        return pattern.clip(low, high - 1).astype(dtype)

    def normal(self, mean: float, deviation: float, size: Any) -> np.ndarray:
        contents = self.number(0, _CONTENTS)
        if contents:
            return np.random.default_rng(contents).normal(mean, deviation, size)
        return mean + deviation * (np.arange(np.prod(size)).reshape(size) % 5 - 2.0)

    def choice(self, values: Sequence[Any] | np.ndarray, size: Any = None) -> Any:
        if size is None:
            return values[self.number(0, len(values) - 1)]
        contents = self.number(0, _CONTENTS)
        if contents:
            return np.random.default_rng(contents).choice(values, size)
        return np.resize(np.asarray(values), size)

    def permutation(self, count: int) -> np.ndarray:
        contents = self.number(0, _CONTENTS)
        if contents:
            return np.random.default_rng(contents).permutation(count)
        return np.arange(count)[::-1].copy()
