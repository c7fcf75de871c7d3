"""``weft verify --replay``: all that a certificate says, done again from the model on."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from weft.commands.build import build
from weft.commands.certificate import Certificate, certify, read_certificate
from weft.commands.compile import compile_model
from weft.commands.verify import Verified, verify
from weft.console import say, table
from weft.errors import InputError
from weft.hw.config import Config
from weft.models import filling

if TYPE_CHECKING:
    from weft.models import TfliteRounding


@dataclass(frozen=True, eq=False)
class Replayed:
    """What came out this time, beside what the certificate says.

    Parameters
    ----------
    certificate : Certificate
    again : Certificate
        Of this time.
    verified : Verified
        Of this time.
    """

    certificate: Certificate
    again: Certificate
    verified: Verified

    @property
    def differing(self) -> list[str]:
        """Digests that are not as the certificate says."""
        then, now = self.certificate.digests, self.again.digests
        return [name for name in {**then, **now} if then.get(name) != now.get(name)]

    @property
    def result_differs(self) -> bool:
        """Whether the comparison ended otherwise."""
        return self.certificate.result != self.again.result

    @property
    def holds(self) -> bool:
        """Whether all is as the certificate says, and the certificate says that all are equal."""
        return self.verified.holds and not self.differing and not self.result_differs

    @property
    def tools(self) -> dict[str, tuple[str | None, str | None]]:
        """Tools of another version: that one, and this one."""
        then, now = self.certificate.tools, self.again.tools
        names = {**then, **now}
        return {n: (then.get(n), now.get(n)) for n in names if then.get(n) != now.get(n)}

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "holds": self.holds,
            "differing": self.differing,
            "digests": self.again.digests,
            "certified": self.certificate.digests,
            "tools": {name: list(versions) for name, versions in self.tools.items()},
            "result": self.again.result,
            "result_differs": self.result_differs,
        }

    def show(self) -> None:
        """Print it for a person."""
        rows = [
            (name, digest[:16], "differs" if name in self.differing else "same")
            for name, digest in self.again.digests.items()
        ]
        table(["digest of", "this time", "certificate"], rows)
        for name, (then, now) in self.tools.items():
            say(
                f"another {name}: {then or 'none'} made the certificate, here it is {now or 'none'}"
            )
        self.verified.show()
        if self.result_differs:
            say("the comparison ended otherwise than the certificate says")
        elif self.holds:
            say("all is as the certificate says")


def replay(path: Path, folder: Path | None = None) -> Replayed:
    """Compile, build and verify again what a certificate holds, and compare every digest.

    Parameters
    ----------
    path : Path
        What ``weft verify DIR --certificate`` wrote.
    folder : Path, optional
        Where to do it, and leave it; else a folder for the moment.

    Raises
    ------
    InputError
        If the file is no certificate, or its model or inputs are damaged.
    """
    certificate = read_certificate(path)
    place = tempfile.TemporaryDirectory(prefix="weft-") if folder is None else nullcontext(folder)
    with place as scratch:
        return _replay(certificate, path, Path(scratch))


def _replay(certificate: Certificate, path: Path, folder: Path) -> Replayed:
    with filling(folder):
        files = {}
        for role in certificate.files:
            # The name in the certificate is only for people: it might lead anywhere.
            tflite = certificate.model["file"].lower().endswith(".tflite")
            suffix = ".npz" if role != "model" else ".tflite" if tflite else ".onnx"
            files[role] = folder / f"certified_{role.replace(' ', '_')}{suffix}"
            files[role].write_bytes(certificate.unpack(role, path))
    try:
        config = Config(**certificate.config)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"{path}: this weft has no such configuration ({error})") from None
    rounding = certificate.model["rounding"]
    compile_model(
        files["model"], folder,
        board=certificate.board, array=None if certificate.board else config,
        rounding=None if rounding == "shift" else cast("TfliteRounding", rounding),
    )  # fmt: skip
    if certificate.build is not None:
        build(folder, baud=certificate.build["baud"])
    references = [files[role] for role in files if role.startswith("reference")]
    settings: dict[str, Any] = {
        "level": certificate.level,
        "simulator": certificate.simulator,
        "layers": certificate.layers,
        "references": references,
    }
    verified = verify(folder, files["inputs"], **settings)
    again = certify(folder, files["inputs"], verified, **settings)
    return Replayed(certificate, again, verified)
