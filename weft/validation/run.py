"""One pass over validation samples: the float model, and quantised ones beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from weft.compiler.calibration_record import Ranges
from weft.compiler.calibration_samples import Batch, Samples
from weft.compiler.edges import dequantize_output, in_memory
from weft.compiler.float_run import FloatRunner, Progress
from weft.compiler.network import Network
from weft.errors import InputError, RefusedError
from weft.models import FloatModel
from weft.sim import golden
from weft.validation.labels import check_count
from weft.validation.layers import OwnError, encode, own_errors
from weft.validation.metrics import Metric
from weft.validation.result import Score
from weft.validation.scorers import Scorer
from weft.validation.sums import ErrorSums, Excess, real_values
from weft.validation.tensors import Matching, check_finite

#: Elements of all tensors together, on which each layer is looked at alone.
ELEMENTS = 1 << 24

#: Tensors by the names in the float model's file, float32, shape (N, ...).
Tensors = Mapping[str, np.ndarray]


def float_batches(
    real: FloatModel, model: Path, names: list[str], samples: Samples
) -> Iterator[tuple[Batch, Tensors]]:
    """Inputs and tensors of the float model, a batch at a time."""
    runner = FloatRunner(real.runs, [name for name in names if name not in real.graph.inputs])
    for batch in samples.batches:
        parts = list(runner.run(batch)) if runner.names else []
        tensors = {name: np.concatenate([p[name] for p in parts]) for name in runner.names}
        check_finite(tensors, model)
        yield batch, {**batch, **tensors}


class Subject:
    """A quantised network and how good its outputs are.

    Parameters
    ----------
    network : Network
    matching : Matching
    scorer : Scorer
    title : str
        How messages call it.
    """

    def __init__(self, network: Network, matching: Matching, scorer: Scorer, title: str):
        self.network = network
        self.matching = matching
        self.scorer = scorer
        self.outputs = ErrorSums()
        self._title = title

    def run(
        self, tensors: Tensors, labels: np.ndarray | None, *, keep: bool = False
    ) -> dict[str, np.ndarray]:
        """Compute a batch; codes by tensor name, all of them with `keep`.

        Raises
        ------
        RefusedError
            If an accumulator does not fit 32 bits.
        """
        network, ports = self.network, self.matching.ports
        codes = {
            port.tensor: encode(network, ports[port.tensor], tensors[ports[port.tensor].name])
            for port in network.inputs
        }
        try:
            values = golden.run_network(network, codes, keep)
        except OverflowError as error:
            raise RefusedError(
                f"{self._title}: {error}; quantise it with coarser weights or inputs"
            ) from None
        made = {
            ports[name].name: dequantize_output(ports[name], network.tensors[name], values[name])
            for name in self.matching.outputs
        }
        exact = {name: tensors[name] for name in made}
        for name, array in made.items():
            self.outputs.update(exact[name], array)
        self.scorer.update(made, exact, labels)
        return values


class Observer:
    """What happens to every tensor that both models have.

    Parameters
    ----------
    network : Network
    matching : Matching
    ranges : mapping of tensor name to (low, high)
        What calibration saw; empty where that is not known.
    """

    def __init__(self, network: Network, matching: Matching, ranges: Ranges):
        self._network = network
        self._ports = matching.ports
        self.errors = {name: ErrorSums() for name in matching.ports}
        known = [name for name in matching.ports if not ranges or name in ranges]
        self.excess = {name: Excess(network.tensors[name], ranges.get(name)) for name in known}

    def update(self, tensors: Tensors, values: Mapping[str, np.ndarray]) -> None:
        """Take a batch into account: the float model's tensors, and codes."""
        for name, port in self._ports.items():
            tensor = self._network.tensors[name]
            exact = in_memory(port, tensor, tensors[port.name])
            held = real_values(values[name], tensor).astype(np.float32)
            self.errors[name].update(exact, held)
            if name in self.excess:
                self.excess[name].update(exact)


class Trial:
    """The float model, the quantised one, and others on the same samples.

    Parameters
    ----------
    real : FloatModel
    model : Path
    subject : Subject
        The quantised model itself.
    metric : Metric
    ranges : mapping of tensor name to (low, high)
        What calibration saw; empty where that is not known.
    others : sequence of Subject
        Of which only the outputs are looked at.

    Attributes
    ----------
    observer : Observer
    own : dict of tensor name to OwnError
        Of the first batch of samples, `own_samples`.
    samples : int
    """

    def __init__(
        self,
        real: FloatModel,
        model: Path,
        subject: Subject,
        metric: Metric,
        *,
        ranges: Ranges,
        others: Sequence[Subject] = (),
    ):
        self._real = real
        self._model = model
        self._subject = subject
        self._metric = metric
        self._others = others
        self._scorer = metric.scorer()
        self.observer = Observer(subject.network, subject.matching, ranges)
        self.own: dict[str, OwnError] = {}
        self.own_samples = self.samples = 0

    def run(self, samples: Samples, progress: Progress) -> None:
        """Run all samples."""
        subject, labels = self._subject, self._metric.labels
        ports = subject.matching.ports
        names = list(dict.fromkeys(port.name for port in ports.values()))
        for batch, tensors in float_batches(self._real, self._model, names, samples):
            count = len(next(iter(batch.values())))
            part = self._labels(labels, count)
            values = subject.run(tensors, part, keep=True)
            self.observer.update(tensors, values)
            outputs = {ports[n].name: tensors[ports[n].name] for n in subject.matching.outputs}
            self._scorer.update(outputs, outputs, part)
            for other in self._others:
                other.run(tensors, part)
            if not self.own:
                self._look_at_layers(batch, tensors)
            self.samples += count
            progress(self.samples, samples.total)
        check_count(labels, self.samples)

    def _look_at_layers(self, batch: Batch, tensors: Tensors) -> None:
        """Measure every layer alone, on as many samples as there is room for."""
        subject = self._subject
        sizes = [tensor.size for tensor in subject.network.tensors.values()]
        count = min(len(next(iter(batch.values()))), max(1, ELEMENTS // sum(sizes)))
        self.own_samples = count
        self.own = own_errors(
            self._real, subject.network, subject.matching, model=self._model,
            inputs={name: array[:count] for name, array in batch.items()},
            tensors={name: array[:count] for name, array in tensors.items()},
        )  # fmt: skip

    def _labels(self, labels: np.ndarray | None, count: int) -> np.ndarray | None:
        """Those of the next samples."""
        if labels is None:
            return None
        end = self.samples + count
        if end > len(labels):
            raise InputError(
                f"there are {len(labels)} labels for {end} samples or more; give one for each"
            )
        return labels[self.samples : end]

    @cached_property
    def score(self) -> Score:
        """Of the quantised model, beside the float model's."""
        return self.score_of(self._subject)

    def score_of(self, subject: Subject) -> Score:
        """Of any of them."""
        held = subject.scorer.score(self._metric.labels)
        return self._metric.compare(self._float_score, held)

    @cached_property
    def _float_score(self) -> float:
        return self._scorer.score(self._metric.labels)
