"""The list of mutations fits the sources, and tests see what it says they see."""

from collections import Counter
from dataclasses import replace

import pytest
from mutations import page
from mutations.__main__ import _run
from mutations.entries import TOP, Mutation, mutations
from mutations.judge import Verdict, judge, unfit
from mutations.tree import Tree

ENTRIES = {entry.name: entry for entry in mutations()}
#: One of each area, whose tests take least; `.ci/run` has all of them in its slow part.
FEW = (
    "golden-ties-toward-zero",
    "interpreter-digits-reversed",
    "allocate-overlap",
    "verifier-shift",
    "intake-beside-a-result",
    "memory-check-one-pattern",
)

BROKEN = """
import pytest
def test_no(): assert 0
@pytest.mark.skip
def test_skip(): ...
def test_yes(): ...
"""


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    return Tree(TOP, tmp_path_factory.mktemp("mutations"))


@pytest.fixture
def harmless():
    """A mutation that is none."""
    return Mutation(
        name="harmless",
        area="golden",
        file="sim/golden.py",
        change="a comment",
        why="nothing",
        before="def divide_power(",
        after="# Nothing.\ndef divide_power(",
        tests=("tests/sim/test_golden.py::test_shift_rounds_ties_away",),
    )


def test_there_are_many_and_each_has_a_name_of_its_own():
    assert Counter(entry.name for entry in mutations()).most_common(1)[0][1] == 1
    assert len(ENTRIES) >= 75
    assert {ENTRIES[name].area for name in FEW} == {entry.area for entry in ENTRIES.values()}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_the_text_is_there_once(entry):
    source = (TOP / entry.file).read_text()
    compile(entry.apply(source), entry.file, "exec")
    assert entry.change
    assert entry.why
    assert entry.tests


def test_a_text_that_is_not_there_once_is_refused(harmless):
    with pytest.raises(ValueError, match=r"^harmless: its text is 0 times in sim/golden\.py"):
        harmless.apply("")
    with pytest.raises(ValueError, match=r"^harmless: its text is 2 times in sim/golden\.py"):
        harmless.apply(2 * harmless.before)
    with pytest.raises(ValueError, match=r"^harmless changes nothing$"):
        replace(harmless, after=harmless.before).apply(harmless.before)


def test_the_named_tests_are_there(tree):
    tests = sorted({test for entry in ENTRIES.values() for test in entry.tests})
    found = tree.run("-m", "pytest", "--collect-only", "-q", *tests)
    assert found.returncode == 0, found.stdout[-2000:]


def test_the_page_is_made_of_the_list():
    assert page.PAGE.read_text() == page.page(mutations()), "run python -m tests.mutations --page"


def test_weft_is_the_copy_s(tree):
    names = ("boards", "compiler", "hw", "sim", "cli")
    code = f"import {', '.join(f'weft.{name}' for name in names)}; print(" + (
        "*(module.__file__ for module in ("
        + ", ".join(f"weft.{name}" for name in names)
        + ")), sep='\\n')"
    )
    found = tree.run("-c", code).stdout.split()
    assert len(found) == len(names)
    assert all(path.startswith(f"{tree.top}/weft/") for path in found)


@pytest.mark.parametrize("name", FEW)
def test_some_are_caught(tree, name):
    outcome = judge(tree, ENTRIES[name])
    assert outcome.verdict == Verdict.CAUGHT, outcome
    source = ENTRIES[name].file
    assert (tree.top / source).read_text() == (TOP / source).read_text()


def test_what_nobody_sees_survives(tree, harmless, capsys):
    assert _run([harmless], [tree]) == 1
    assert "SURVIVED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("half = (np.int64(1)", "half = nobody(np.int64(1)"),
        ("import numpy as np", "import nowhere as np"),
    ],
)
def test_what_does_not_run_is_not_caught(tree, harmless, before, after):
    outcome = judge(tree, replace(harmless, before=before, after=after))
    assert outcome.verdict == Verdict.SENSELESS


def test_tests_that_fail_anyway_are_named(tree):
    (tree.top / "tests" / "test_broken.py").write_text(BROKEN)
    assert sorted(unfit(tree, ["tests/test_broken.py"])) == ["test_no", "test_skip"]
    assert unfit(tree, ["tests/test_broken.py::test_yes"]) == []


@pytest.mark.slow
def test_all_named_tests_pass_without_mutations(tree):
    assert unfit(tree, (test for entry in ENTRIES.values() for test in entry.tests)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_every_one_is_caught(tree, name):
    outcome = judge(tree, ENTRIES[name])
    assert outcome.verdict == Verdict.CAUGHT, outcome
