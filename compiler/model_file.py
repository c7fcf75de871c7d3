"""The bytes of a model's file, or what is wrong with the file."""

from __future__ import annotations

from pathlib import Path

from weft.errors import InputError

#: Protobuf and FlatBuffers themselves end here.
LARGEST_FILE = 2**31 - 1

#: What an operator's reader may stumble over in a file that contradicts itself.
BROKEN = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


def read_model_file(path: Path, kind: str, again: str) -> bytes:
    """All bytes of a file, at least one.

    Parameters
    ----------
    path : Path
    kind : str
        What to name instead of a folder: "an .onnx file".
    again : str
        What to do about an empty file.

    Raises
    ------
    InputError
        If it is missing, a folder, not to be read, too large or empty, or no file could have
        such a name.
    """
    try:
        if not path.exists():
            raise InputError(f"there is no file {path}; check the name of the model")
        if not path.is_file():
            raise InputError(f"{path} is not a file; name {kind}")
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(
                f"{path} is too large ({size} bytes, of 2 GiB at most); "
                "no such network fits an FPGA, use a smaller one"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a ValueError is a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read ({reason}); check its name and permissions"
        ) from error
    if not data:
        raise InputError(f"{path} is empty; {again}")
    return data
