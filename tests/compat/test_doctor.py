"""Which plugins are whole, found by importing them as AllenNLP does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from allennlp.common import plugins

from allennlp_saliency.compat.doctor import Finding, check_plugins, modules_of

Check = Callable[..., dict[str, Finding]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Look at these default plugins, and at the local plugins file, in an empty folder."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "GLOBAL_PLUGINS_FILENAME", str(tmp_path / "global"))

    def run(*default: str) -> dict[str, Finding]:
        monkeypatch.setattr(plugins, "DEFAULT_PLUGINS", default)
        return {finding.what: finding for finding in check_plugins()}

    yield run
    for name in set(sys.modules) - known:
        if name.startswith("tried_"):
            del sys.modules[name]


def _package(folder: Path, name: str, **modules: str) -> None:
    (folder / name).mkdir()
    for module, text in {"__init__": "", **modules}.items():
        (folder / name / f"{module}.py").write_text(text)


def test_a_default_plugin_that_is_not_installed_is_none(check: Check) -> None:
    assert check("tried_absent") == {}


def test_a_whole_plugin(check: Check, tmp_path: Path) -> None:
    _package(tmp_path, "tried_whole", one="", two="", _private="1 / 0", test_it="1 / 0")
    found = check("tried_whole")["tried_whole"]
    assert (found.ok, found.detail) == (True, "3 modules")


def test_each_cause_is_named_once_with_its_modules(check: Check, tmp_path: Path) -> None:
    needy = "import tried_no_such_library\n"
    _package(tmp_path, "tried_half", a=needy, b=needy, c=needy, d=needy, e="x", f="exit(3)", g="")
    _package(tmp_path / "tried_half", "h", __init__="raise OSError('one\\ntwo')", child="")
    found = check("tried_half")["tried_half"]
    assert not found.ok
    assert found.detail == (
        "half-loaded, tried_half.a, tried_half.b, tried_half.c and 1 more "
        "(ModuleNotFoundError: No module named 'tried_no_such_library'); "
        "tried_half.e (NameError: name 'x' is not defined); tried_half.f (SystemExit: 3); "
        "tried_half.h (OSError: one)"
    )
    # What fails hides its children, as it does from AllenNLP.
    assert "tried_half.h.child" not in set(modules_of("tried_half"))


@pytest.mark.parametrize("name", [".allennlp_plugins", "global"])
def test_plugins_of_a_file(check: Check, tmp_path: Path, name: str) -> None:
    (tmp_path / "tried_sound.py").write_text("")
    (tmp_path / "tried_broken.py").write_text("import tried_no_such_library\n")
    (tmp_path / name).write_text("tried_sound\ntried_broken\n\ntried_missing\n")
    found = check("tried_default")
    assert [finding.ok for finding in found.values()] == [True, False, False]
    assert "No module named 'tried_no_such_library'" in found["tried_broken"].detail
    assert "No module named 'tried_missing'" in found["tried_missing"].detail
    assert "take it out of the plugins file" in found["tried_missing"].advice
