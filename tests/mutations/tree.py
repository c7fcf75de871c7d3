"""A copy of the repository that can be changed, and from which `weft` is imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path


class Tree:
    """A copy of all files that git knows or would add.

    The folders at the top level are mapped into the package by links in the copy's ``weft/``,
    so that nothing of an editable install is needed, or in the way.

    Parameters
    ----------
    source : Path
        The repository.
    folder : Path
        A new folder, with the copy in ``copy/`` and weft's cache beside it.
    """

    def __init__(self, source: Path, folder: Path):
        self.top = folder / "copy"
        self.cache = folder / "cache"
        for name in _files(source):
            target = self.top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
        project = tomllib.loads((source / "pyproject.toml").read_text())
        mapped = project["tool"]["setuptools"]["package-dir"]
        for package, place in mapped.items():
            if package != "weft":
                link = self.top.joinpath(*package.split("."))
                link.symlink_to(os.path.relpath(self.top / place, link.parent))
        # Bytecode that knows what source it is of: two texts of one size and second, which a time
        # stamp takes for the same, are told apart.
        compiling = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode=checked-hash"]
        subprocess.run([*compiling, *mapped.values()], cwd=self.top, check=True)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy, with an empty cache."""
        shutil.rmtree(self.cache, ignore_errors=True)
        kept = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST_")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.top,
            env={
                **kept,
                "PYTHONPATH": str(self.top),
                "PYTHONDONTWRITEBYTECODE": "1",
                "WEFT_CACHE": str(self.cache),
            },
            capture_output=True,
            text=True,
            check=False,
        )


def _files(source: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (source / name).is_file()]
