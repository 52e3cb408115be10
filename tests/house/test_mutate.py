"""The mutation run finds what no test notices, in a repository that is laid out as this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.mutate import chosen_tests, mutate, shown, status

SOURCE = """
def double(x: int) -> int:
    return x + x


def triple(x: int) -> int:
    return 3 * x


def untested(x: int) -> int:
    return x - 1
"""
TESTS = """
from allennlp_saliency.interpret.numbers import double, triple


def test_double() -> None:
    assert double(3) == 6


def test_triple() -> None:
    assert triple(0) == 0
"""


def test_tests_are_those_named_after_the_file_and_others() -> None:
    named = "tests/interpret/rules/test_steps.py"
    assert chosen_tests("interpret/rules/steps.py", []) == [named]
    assert chosen_tests("interpret/rules/steps.py", ["tests/views"]) == [named, "tests/views"]
    assert chosen_tests("interpret/space/no_such_file.py", ["tests/views"]) == ["tests/views"]
    assert chosen_tests("interpret/space/no_such_file.py", []) == ["tests/interpret/space"]


def test_what_is_neither_a_failure_nor_a_success_is_a_timeout() -> None:
    codes = (0, 1, 3, 33, None, -24, 36)
    assert [status(code) for code in codes] == [
        "survived",
        "killed",
        "killed",
        "no test reaches it",
        "not run",
        "timeout",
        "timeout",
    ]


@pytest.mark.slow
def test_what_no_test_notices_is_shown(tmp_path: Path) -> None:
    pytest.importorskip("mutmut", reason="`make mutate` installs it")
    for folder in ("allennlp_saliency", "interpret", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n"
        'addopts = "--import-mode=importlib"\nmarkers = ["slow: -", "gpu: -"]\n'
    )
    (tmp_path / "interpret" / "numbers.py").write_text(SOURCE)
    (tmp_path / "tests" / "test_numbers.py").write_text(TESTS)
    found, total = mutate("interpret/numbers.py", ["tests/test_numbers.py"], None, tmp_path)
    by_function = {
        name: {became for mutant, became in found.items() if f"x_{name}__" in mutant}
        for name in ("double", "triple", "untested")
    }
    assert by_function == {
        "double": {"killed"},
        "triple": {"killed", "survived"},
        "untested": {"no test reaches it"},
    }
    assert len(found) == total
    survivors = [mutant for mutant, became in found.items() if became == "survived"]
    assert "-    return 3 * x\n+    return 4 * x" in "".join(
        shown(tmp_path, mutant) for mutant in survivors
    )
    fewer, _ = mutate("interpret/numbers.py", ["tests/test_numbers.py"], 2, tmp_path)
    assert len(fewer) == 2
