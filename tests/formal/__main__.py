"""Proves everything, or what is named, and prints a table; status 1 where something fails."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from .catalog import PROOFS
from .page import rows
from .run import NoAnswerError, Outcome, run


def prove(number: int) -> Outcome | str:
    """Outcome of a proof, or what went wrong; in a process of its own."""
    try:
        return run(PROOFS[number])
    except NoAnswerError as error:
        return str(error)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.formal", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of proofs; all without one")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--table", action="store_true", help="print docs/verification.md's table")
    arguments = parser.parse_args()
    if arguments.table:
        print(rows())
        return 0
    chosen = [
        number
        for number, proof in enumerate(PROOFS)
        if not arguments.names or any(name in proof.name for name in arguments.names)
    ]
    if not chosen:
        print(f"no proof has {' or '.join(arguments.names)} in its name", file=sys.stderr)
        return 2
    failed, began = 0, time.monotonic()
    width = max(len(PROOFS[number].name) for number in chosen)
    method = max(len(str(PROOFS[number].method)) for number in chosen)
    print(f"{'proof':{width}}  {'result':8}  {'seconds':>7}  {'method':{method}}  domain")
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for number, outcome in zip(chosen, pool.map(prove, chosen), strict=True):
            proof = PROOFS[number]
            text, detail = "no answer", outcome
            if isinstance(outcome, Outcome):
                text, detail = ("proved" if outcome.holds else "REFUTED"), outcome.counterexample
            seconds = f"{outcome.seconds:.1f}" if isinstance(outcome, Outcome) else ""
            kept = "*" if isinstance(outcome, Outcome) and outcome.kept else " "
            how = f"{proof.method!s:{method}}"
            print(
                f"{proof.name:{width}}  {text:8} {seconds:>7}{kept}  {how}  {proof.domain}",
                flush=True,
            )
            if text != "proved":
                failed += 1
                print(detail)
    print(
        f"{len(chosen) - failed} of {len(chosen)} proved in {time.monotonic() - began:.0f} s"
        "  (* kept from an earlier run, with its time)"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
