"""Samples as a stream: the next one is loaded while the core computes the present one.

The harness offers the words of the next sample from the moment on when the present one starts.
Where the program does not release its inputs, outputs may lie where they do, so that the next
sample is offered when these are read. It starts as soon as all words are there and the outputs
before are read. When each of this happens the harness writes down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from weft.errors import InputError
from weft.sim.engine import RunResult
from weft.sim.jobs import Job


@dataclass
class StreamResult(RunResult):
    """Outputs and latencies as of any run, and when it all happened.

    Parameters
    ----------
    times : list of (start, end, read), one per sample
        Clock cycles in which each was started, was done, and had its last output read, from the
        one on in which the first word of the first sample was offered.
    """

    times: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def periods(self) -> list[int]:
        """Cycles from each start to the next; loading and reading are in them."""
        starts = [start for start, _, _ in self.times]
        return np.diff(starts).tolist()

    @property
    def alone(self) -> int:
        """Cycles per sample where each is loaded, computed and read before the next: the first."""
        return self.times[0][2]


def check_stream(job: Job) -> None:
    """Refuse what cannot run as a stream.

    Raises
    ------
    InputError
        If the core was not made for it, or there are fewer than two samples.
    """
    if not job.program.config.stream:
        raise InputError(
            "its core takes an input only when the one before is done; compile the model with "
            "--stream for one that takes it earlier"
        )
    if job.samples < 2:
        raise InputError("a stream has at least two samples, and this is one; give more")


def with_times(
    jobs: Sequence[Job], results: Sequence[RunResult], words: np.ndarray
) -> list[RunResult]:
    """Results with the clock cycles that the harness wrote down.

    Parameters
    ----------
    words : uint32 array
        For each job when its loading began, then `StreamResult.times`. They count modulo 2**32.
    """
    found: list[RunResult] = []
    at = 0
    for job, result in zip(jobs, results, strict=True):
        own = words[at : at + 1 + 3 * job.samples]
        cycles = (own - own[0]).astype(np.int64)
        times = [(int(s), int(e), int(r)) for s, e, r in cycles[1:].reshape(-1, 3)]
        found.append(StreamResult(**vars(result), times=times))
        at += len(own)
    return found
