"""All proofs, in the order of the data."""

from . import (
    accumulating,
    checksum,
    framing,
    multiplying,
    primitives,
    rounding,
    sequencing,
    streams,
    uart,
)
from .proof import Proof

#: Headings of the table, and what stands under them.
SECTIONS: dict[str, tuple[Proof, ...]] = {
    "Cells": primitives.PROOFS,
    "Accumulators": accumulating.PROOFS,
    "From accumulator to code": (*rounding.PROOFS, *multiplying.PROOFS),
    "Streams and memories": streams.PROOFS,
    "Sequencer": sequencing.PROOFS,
    "Link": (*checksum.PROOFS, *framing.PROOFS, *uart.PROOFS),
}

PROOFS = tuple(proof for proofs in SECTIONS.values() for proof in proofs)
