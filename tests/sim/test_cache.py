import subprocess
import sys

import pytest

from weft.errors import RefusedError
from weft.sim.cache import cache_folder, cached, digest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_folder_is_the_variables(cache):
    assert cache_folder() == cache


def test_digest_sees_boundaries():
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_digest_takes_text_and_bytes():
    assert digest(["a"]) == digest([b"a"])


def test_builds_once():
    calls = []

    def build(folder):
        calls.append(folder)
        (folder / "file").write_text("made")

    places = [cached("things", "key", build) for _ in range(2)]
    assert (places[0], (places[1] / "file").read_text(), len(calls)) == (places[1], "made", 1)


def test_keeps_nothing_of_a_failure(cache):
    def build(folder):
        (folder / "half").write_text("made")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached("things", "key", build)
    assert [path.name for path in (cache / "things").iterdir()] == [".key.lock"]


def test_refuses_a_folder_that_cannot_be_written(cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(RefusedError, match=r"cannot be written.*set WEFT_CACHE"):
        cached("things", "key", lambda folder: None)


WORKER = """
import time
from weft.sim.cache import cached

def build(folder):
    time.sleep(0.3)
    with (folder.parent / "calls").open("a") as calls:
        calls.write("x")
    (folder / "file").write_text("made")

print((cached("things", "key", build) / "file").read_text(), end="")
"""


def test_parallel_processes_build_once(cache):
    command = [sys.executable, "-c", WORKER]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["made"] * 3
    assert (cache / "things" / "calls").read_text() == "x"
