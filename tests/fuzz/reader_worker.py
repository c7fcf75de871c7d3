"""A process of the search in model files: atheris drives one reader until a limit is reached.

Started by `fuzz.readers` with its `Order` as JSON. Counts lie in a file that both map, because a
crash ends this process wherever it is.
"""

from __future__ import annotations

import gc
import json
import mmap
import random
import struct
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: What is counted.
COUNTS = ("executions", "refused", "read", "checked", "findings")

#: Bytes of an input at the most.
LARGEST = 8192

#: Seconds after which an input counts as a hang, and ends the process.
HANG = 120


@dataclass(frozen=True)
class Order:
    """What a worker shall do.

    Parameters
    ----------
    reader : str
        "tflite" or "onnx".
    seed : int
    executions, seconds : int
        It ends at either.
    corpus : str
        Folder of inputs that reach something new; it grows.
    findings : str
        Folder for files that break the reader.
    counts : str
        File of `Counts`.
    """

    reader: str
    seed: int
    executions: int
    seconds: int
    corpus: str
    findings: str
    counts: str

    def dumps(self) -> str:
        """The order as an argument of a process."""
        return json.dumps(asdict(self))


class Counts:
    """Counters in a file, which outlive the process that counts."""

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(bytes(8 * len(COUNTS)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def add(self, name: str) -> None:
        at = 8 * COUNTS.index(name)
        struct.pack_into("<Q", self._map, at, struct.unpack_from("<Q", self._map, at)[0] + 1)

    def read(self) -> dict[str, int]:
        return dict(zip(COUNTS, struct.unpack(f"<{len(COUNTS)}Q", self._map), strict=True))


class Mutators:
    """Picks among libFuzzer's own changes and those that know the format."""

    def __init__(self, reader: str, seeds: list[bytes]):
        self.reader = reader
        if reader == "onnx":
            import onnx  # noqa: PLC0415

            from fuzz.onnx_mutations import mutate_onnx  # noqa: PLC0415

            self._others = [onnx.ModelProto.FromString(data) for data in seeds]
            self._mutate_onnx = mutate_onnx
        else:
            from tflite_meanings import mutate_meaning  # noqa: PLC0415
            from tflite_mutations import mutate  # noqa: PLC0415

            self._mutate, self._mutate_meaning = mutate, mutate_meaning

    def __call__(self, data: bytes, largest: int, seed: int) -> bytes:
        import atheris  # noqa: PLC0415

        rng = random.Random(seed)
        kind = rng.random()
        if kind < 0.15 or not data:
            return atheris.Mutate(data, largest)
        if self.reader == "onnx":
            return self._mutate_onnx(data, rng, self._others)[:largest]
        return self._of_tflite(data, seed, kind)[:largest]

    def _of_tflite(self, data: bytes, seed: int, kind: float) -> bytes:
        if kind > MEANINGS:
            return self._mutate(data, seed)
        try:
            return self._mutate_meaning(data, seed)
        except Exception:  # it cannot be unpacked: an earlier change broke it
            return self._mutate(data, seed)


#: Below it, a TFLite file is changed by its object tree: that takes longest of all.
MEANINGS = 0.19


class Search:
    """One input after the other; findings are saved once for each place in the code."""

    def __init__(self, order: Order, target: Any):
        self._target, self._order = target, order
        self._counts = Counts(Path(order.counts))

    def __call__(self, data: bytes) -> None:
        self._counts.add("executions")
        try:
            self._counts.add(self._target.execute(data))
        except Exception as error:
            self._counts.add("findings")
            self._save(data, error)

    def _save(self, data: bytes, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).stem}-{last.lineno}-{type(error).__name__}"
        reader = self._order.reader
        path = Path(self._order.findings) / f"{reader}-{place}.{reader}"
        # The smallest of each kind is kept, which is the easiest to understand.
        if path.exists() and path.stat().st_size <= len(data):
            return
        path.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        path.with_suffix(".txt").write_text(text)


def scratch() -> Path | None:
    """Where files cost no disk."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


#: Modules whose branches are not counted: they run for every byte or name of a file, and would
#: take most of the time.
PLUMBING = (
    "weft.compiler.tflite_verify", "weft.compiler.tflite_schema", "weft.compiler.onnx_file",
    "weft.compiler.onnx_live", "weft.compiler.onnx_layout", "weft.compiler.onnx_shapes",
)  # fmt: skip


def main() -> None:
    """Run an order; never returns, as libFuzzer ends the process."""
    import atheris  # noqa: PLC0415
    from atheris.import_hook import HookManager  # noqa: PLC0415

    order = Order(**json.loads(sys.argv[1]))
    # Not by `instrument_imports`, which would trace comparisons as well: of these atheris keeps the
    # results for ever, and arrays compared with arrays have large ones.
    branches = HookManager({"weft"}, set(PLUMBING), True, trace_dataflow=False)
    with branches:
        from fuzz import reader_target  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="weft-fuzz-", dir=scratch()))
    target = reader_target.Target(order.reader, folder)
    seeds = [path.read_bytes() for path in sorted(Path(order.corpus).glob("seed-*"))]
    arguments = [
        "fuzz", order.corpus, f"-runs={order.executions}", f"-max_total_time={order.seconds}",
        f"-seed={order.seed}", f"-max_len={LARGEST}", f"-timeout={HANG}", "-rss_limit_mb=1024",
        f"-artifact_prefix={order.findings}/{order.reader}-", "-print_final_stats=1",
        "-len_control=0", "-reload=0", "-mutate_depth=2",
    ]  # fmt: skip
    with target.ready():
        mutators = Mutators(order.reader, seeds)
        atheris.Setup(arguments, Search(order, target), custom_mutator=mutators)
        gc.collect()
        gc.freeze()  # what is imported is not looked through again
        atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
