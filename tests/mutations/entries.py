"""The list of mutations: plain data in ``list/*.toml``, one table each::

    [golden-ties-toward-zero]
    file = "sim/golden.py"
    change = "what is wrong then, in a few words"
    why = "what would come of it"
    before = '''the text there is'''
    after = '''the text instead'''
    tests = ["tests/sim/test_golden.py::test_shift_rounds_ties_away"]

The texts may have several lines.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

#: The repository.
TOP = Path(__file__).parents[2]
LIST = Path(__file__).parent / "list"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One error.

    Parameters
    ----------
    name : str
    area : str
        The list's file that has it.
    file : str
        Path in the repository.
    change : str
        What is wrong then.
    why : str
        What would come of it.
    before, after : str
        The text, of which there is one in the file, and what replaces it.
    tests : tuple of str
        Node ids of pytest; one of them at least must fail.
    """

    name: str
    area: str
    file: str
    change: str
    why: str
    before: str
    after: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """The file's text with the error in it.

        Raises
        ------
        ValueError
            If the text to replace is not there exactly once, or nothing changes.
        """
        count = text.count(self.before)
        if count != 1:
            raise ValueError(f"{self.name}: its text is {count} times in {self.file}, not once")
        if self.before == self.after:
            raise ValueError(f"{self.name} changes nothing")
        return text.replace(self.before, self.after)


def mutations() -> list[Mutation]:
    """All of them, area by area, in the order of the list."""
    return [
        Mutation(name=name, area=path.stem, **{**fields, "tests": tuple(fields["tests"])})
        for path in sorted(LIST.glob("*.toml"))
        for name, fields in tomllib.loads(path.read_text()).items()
    ]
