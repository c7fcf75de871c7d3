"""Formal proofs of the gateware: `python -m tests.formal` runs them all."""
