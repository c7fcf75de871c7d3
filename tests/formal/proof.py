"""What a proof is: a claim about gateware, how it is proved, and what must break it."""

from collections.abc import Callable
from dataclasses import dataclass

from .claim import Claim


@dataclass(frozen=True)
class Window:
    """From any state whatsoever, so many cycles after any inputs: for all time, with no bound.

    Right for feed-forward parts. Registers begin with any contents, so that the first cycle of
    the window stands for every cycle.
    """

    cycles: int

    def __str__(self) -> str:
        return f"from any state, {self.cycles} cycles"


@dataclass(frozen=True)
class Induction:
    """From reset on, for all time: k-induction. A reset may come in any cycle."""

    k: int

    def __str__(self) -> str:
        return f"induction, k = {self.k}"


@dataclass(frozen=True)
class Computed:
    """By a computation of its own."""

    how: str

    def __str__(self) -> str:
        return self.how


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A change of the source with which the proof must fail.

    Parameters
    ----------
    file : str
        From the repository's top.
    old, new : str
        A piece of its text that is there once, and what takes its place.
    within : int
        Cycles from reset in which an inductive claim then fails. With 0 its induction does: the
        counterexample begins in a state that the claim allows, many cycles from reset.
    """

    file: str
    old: str
    new: str
    within: int = 20


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A claim and its proof.

    Parameters
    ----------
    name : str
        For tables and for the command line.
    says : str
        The property, in a sentence.
    files : str
        The gateware, from the repository's top, with commas.
    method : Window, Induction or Computed
    domain : str
        Over what it is proved.
    assumes : str
        Empty where nothing is assumed.
    make : callable
        The claim; or, with `Computed`, a counterexample in words, or None.
    faults : tuple of Fault
        Each makes it fail.
    engine : str
        As SymbiYosys has it.
    """

    name: str
    says: str
    files: str
    method: Window | Induction | Computed
    domain: str
    make: Callable[[], Claim | str | None]
    faults: tuple[Fault, ...]
    assumes: str = ""
    engine: str = "smtbmc z3"
