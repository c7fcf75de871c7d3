"""The table of docs/verification.md, out of the proofs themselves."""

from .catalog import SECTIONS


def rows() -> str:
    """Markdown: a table for each section."""
    parts = []
    for heading, proofs in SECTIONS.items():
        lines = [
            f"### {heading}",
            "",
            "| proof | property | gateware | method | domain or bound | assumptions |",
            "|---|---|---|---|---|---|",
        ]
        for proof in proofs:
            cells = (
                proof.name, proof.says, f"`{proof.files}`", str(proof.method), proof.domain,
                proof.assumes or "none",
            )  # fmt: skip
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
