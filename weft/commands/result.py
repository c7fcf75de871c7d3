"""What every command returns: something to print for people and for programs."""

from __future__ import annotations

from typing import Any, Protocol


class Result(Protocol):
    """The outcome of a command."""

    @property
    def holds(self) -> bool:
        """False where the thing asked about does not hold: exit status 1."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        ...

    def show(self) -> None:
        """Print it for a person."""
        ...
