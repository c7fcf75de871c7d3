"""What the proofs are worth: each fails, with a counterexample, on gateware with a fault."""

from pathlib import Path

import pytest

from formal.broken import TOP
from formal.catalog import PROOFS
from formal.page import rows
from formal.run import run

FAULTS = [
    pytest.param(proof, fault, id=f"{proof.name}-{number}")
    for proof in PROOFS
    for number, fault in enumerate(proof.faults)
]


@pytest.mark.slow
@pytest.mark.parametrize(("proof", "fault"), FAULTS)
def test_a_fault_is_found(proof, fault):
    outcome = run(proof, fault)
    assert not outcome.holds, f"{proof.name} holds with {fault.new}"
    print(f"{fault.file}\n- {fault.old}\n+ {fault.new}\n{outcome.counterexample}")
    assert outcome.counterexample


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_every_proof_has_a_fault(proof):
    assert proof.faults
    for fault in proof.faults:
        assert (TOP / fault.file).read_text().count(fault.old) == 1, fault
    for file in proof.files.split(", "):
        assert (TOP / file).is_file()


def test_names_are_different():
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)


def test_the_page_has_the_table():
    page = Path(TOP / "docs" / "verification.md").read_text()
    assert rows() in page, "python -m tests.formal --table prints it"
