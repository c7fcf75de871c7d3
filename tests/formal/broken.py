"""Gateware with a change in its source, as if somebody had made that mistake."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from .proof import Fault

TOP = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def broken(fault: Fault | None) -> Iterator[None]:
    """Meanwhile everybody who has imported something of the file has the changed one."""
    if fault is None:
        yield
        return
    path = TOP / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        raise ValueError(f"{fault.file} has {text.count(fault.old)} times: {fault.old}")
    module = importlib.import_module(_name(fault.file))
    space = vars(module)
    sound = dict(space)
    with contextlib.ExitStack() as stack:
        stack.callback(space.update, sound)
        exec(compile(text.replace(fault.old, fault.new), str(path), "exec"), space)
        news = {
            id(value): space[key]
            for key, value in sound.items()
            if getattr(value, "__module__", None) == module.__name__ and space[key] is not value
        }
        # Numbers know no module: they are the same where they have the same name.
        constants = {
            key: space[key]
            for key, value in sound.items()
            if isinstance(value, int | str) and not key.startswith("__") and space[key] != value
        }
        for other in list(sys.modules.values()):
            names = getattr(other, "__dict__", {})
            if other is module or not _ours(str(names.get("__name__", ""))):
                continue
            for key, value in list(names.items()):
                new = news.get(id(value), value)
                if key in constants and value is sound[key]:
                    new = constants[key]
                if new is not value:
                    stack.callback(names.__setitem__, key, value)
                    names[key] = new
        yield


def _name(file: str) -> str:
    """Under which a file of the repository is imported."""
    parts = Path(file).with_suffix("").parts
    if parts[0] == "tests":
        return f"{__package__}.{parts[-1]}"
    return ".".join(parts if parts[0] == "weft" else ("weft", *parts))


def _ours(name: str) -> bool:
    return name.startswith(("weft.", f"{__package__}."))
