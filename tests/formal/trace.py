"""A counterexample, out of the trace that the solver left."""

from pathlib import Path

from vcd.reader import TokenKind, tokenize

from .claim import Claim

#: Cycles of a counterexample that are shown: the last ones.
CYCLES = 8


def counterexample(trace: Path, claim: Claim) -> str:
    """What failed, and the values of the claim's signals in the last cycles: a line each."""
    history = _history(trace, {*claim.shown, *claim.checks})
    lines = [
        f"fails: the assertion of line {name.split('_')[1]}"
        for name in claim.checks
        if history.get(name, [1])[-1] == 0
    ]
    for name in dict.fromkeys(claim.shown):
        values = [f"{value:#x}" for value in history.get(name, ())]
        if values:
            lines.append(f"{name.removeprefix('shown_')} = {' '.join(values[-CYCLES:])}")
    return "\n".join(lines)


def _history(trace: Path, wanted: set[str]) -> dict[str, list[int]]:
    """Values of signals of the top level, in every cycle."""
    names: dict[str, list[str]] = {}
    now: dict[str, int] = {}
    history: dict[str, list[int]] = {}
    depth, changed = 0, False
    with trace.open("rb") as file:
        for token in tokenize(file):
            if token.kind in (TokenKind.SCOPE, TokenKind.UPSCOPE):
                depth += 1 if token.kind is TokenKind.SCOPE else -1
            elif token.kind is TokenKind.VAR and depth == 1:
                if token.data.reference in wanted:
                    names.setdefault(token.data.id_code, []).append(token.data.reference)
            elif token.kind is TokenKind.CHANGE_TIME:
                # The solver's steps are ten apart, with the clock's other edge between them.
                if changed:
                    for name, value in now.items():
                        history.setdefault(name, []).append(value)
                changed = token.data % 10 == 0
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                for name in names.get(token.data.id_code, ()):
                    now[name] = _number(token.data.value)
    return history


def _number(value: int | str) -> int:
    if isinstance(value, int):
        return value
    return int(str(value).lower().replace("x", "0").replace("z", "0"), 2)
