"""Processor time, which other programs on the machine disturb less than the clock on the wall."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def processor_seconds() -> float:
    """Of this process and of all child processes that have ended, user and system."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What `work` returns, and the processor seconds it took."""
    before = processor_seconds()
    result = work()
    return result, round(processor_seconds() - before, 2)
