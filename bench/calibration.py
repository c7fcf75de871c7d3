"""Time and memory of calibration on many samples of the digits network.

Usage: ``python bench/calibration.py [FEW MANY]``, 2,000 and 20,000 samples by default. Each
number runs in a process of its own, from a compressed .npz file: seconds of processor time
for collecting everything that ``weft quantize`` looks at, and the largest resident memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.calibrate import choose_scales, collect, kept_tensors
from weft.compiler.collect_bits import BitCollector
from weft.compiler.onnx_reader import load_onnx
from weft.examples.digits.data import load_digits

#: What calibration may take at most.
MEGABYTES = 1000
#: Of the time for as many samples as there are more.
SLOWER = 1.1


def save_samples(path: Path, count: int) -> None:
    """Save `count` digits, all different: brighter and darker by up to a pixel value."""
    images = load_digits().train_images
    random = np.random.default_rng(0)
    chosen = images[random.integers(0, len(images), count)]
    np.savez_compressed(path, inputs=chosen + random.random(chosen.shape, np.float32))


def measure(path: Path) -> dict[str, Any]:
    """Calibrate on one file, in this process."""
    with as_file(files("weft.examples.digits") / "digits.onnx") as model:
        graph = load_onnx(model)
        start, wall = time.process_time(), time.monotonic()
        seen = collect(model, graph, path, kept_tensors(graph), kind=BitCollector)
        choose_scales(graph, seen, "mse")
    return {
        "samples": seen["image"].range.count // 64,
        "processor_seconds": time.process_time() - start,
        "seconds": time.monotonic() - wall,
        "megabytes": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """Largest resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the process was started from
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure_apart(count: int) -> dict[str, Any]:
    """Calibrate on `count` samples in a process of its own, whose memory is its own too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.npz"
        save_samples(path, count)
        command = [sys.executable, __file__, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def compare(few: int, many: int) -> tuple[dict[str, Any], dict[str, Any], float]:
    """Both measurements, and how many times the processor time of `few` that of `many` is."""
    small, large = measure_apart(few), measure_apart(many)
    return small, large, large["processor_seconds"] / small["processor_seconds"]


def main(arguments: list[str]) -> None:
    """Print the comparison; leave with status 1 where it takes too much."""
    if len(arguments) == 1:
        print(json.dumps(measure(Path(arguments[0]))))
        return
    few, many = (int(number) for number in arguments or (2_000, 20_000))
    small, large, ratio = compare(few, many)
    for found in (small, large):
        print(
            f"{found['samples']:>8,} samples: {found['processor_seconds']:6.1f} s of processor, "
            f"{found['seconds']:6.1f} s, {found['megabytes']:4.0f} MB"
        )
    print(f"{ratio:.1f} times the time for {many / few:g} times the samples")
    sys.exit(ratio > SLOWER * many / few or large["megabytes"] > MEGABYTES)


if __name__ == "__main__":
    main(sys.argv[1:])
