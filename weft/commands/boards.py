"""``weft boards``: the boards there are, and what became of their last recorded builds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from weft.boards.board import Board
from weft.boards.builds import Recorded, recorded_build
from weft.boards.registry import BOARDS
from weft.console import say, table, wrap


@dataclass(frozen=True)
class Listed:
    """Every board with the record of its build; None where there is none of its configuration."""

    boards: tuple[tuple[Board, Recorded | None], ...]

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "boards": [
                {
                    "board": board.name,
                    "title": board.title,
                    "device": board.device,
                    "multipliers": board.multipliers,
                    "ram_bytes": board.ram_bytes,
                    "clock_mhz": board.target_mhz,
                    "toolchain": list(board.toolchain),
                    "flash_tool": board.flash_tool,
                    "configs": [asdict(config) for config in board.configs],
                    "build": None if build is None else asdict(build),
                }
                for board, build in self.boards
            ]
        }

    def show(self) -> None:
        """Print it for a person."""
        rows = [
            (
                board.name, board.device, board.multipliers,
                board.ram_bytes // 1024, _arrays(board), board.target_mhz,
                None if build is None else round(build.fmax_mhz, 1),
            )
            for board, build in self.boards
        ]  # fmt: skip
        table(["board", "FPGA", "mult.", "KiB", "array", "runs", "routed"], rows)
        placers = ", ".join(dict.fromkeys(board.toolchain[1] for board, _ in self.boards))
        say(
            wrap(
                "mult.: INT8 multipliers in DSP blocks; runs: the core's clock in MHz; routed: the "
                "fastest that place and route has made of the board's configuration, in MHz, where "
                f"there is a record of it (bench/boards.py). Toolchain: yosys with {placers}."
            )
        )


def _arrays(board: Board) -> str:
    return ", ".join(dict.fromkeys(f"{config.rows}x{config.columns}" for config in board.configs))


def boards() -> Listed:
    """List the boards."""
    return Listed(tuple((board, recorded_build(board)) for board in BOARDS.values()))
