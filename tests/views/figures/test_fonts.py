"""Characters that no font has: no crash, and one warning that says what to do."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from allennlp_saliency.views.figure import save_bars, save_figure
from allennlp_saliency.views.figures import fonts
from allennlp_saliency.views.figures.fonts import Fonts
from tests.views.explanations import attribution, explanation

# Emoji that DejaVu has and that it has not, with modifiers; Chinese; a private character.
TOKENS = ["\U0001f600", "\U0001f9d1\U0001f3fd\u200d\U0001f680", "\u4e2d", "\u2764\ufe0f", "\ue000"]
HARD = explanation(attribution(TOKENS, [1.0, 0.5, 0.5, -1.0, 0.5]))


@pytest.fixture
def only_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no other font were installed."""
    monkeypatch.setattr(fonts, "_installed", lambda: ())


@pytest.mark.usefixtures("only_own")
@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_names_stand_for_what_no_font_has(ending: str, tmp_path: Path) -> None:
    for save in (lambda path: save_figure([HARD], path), lambda path: save_bars(HARD, path)):
        with pytest.warns(UserWarning, match="no installed font has") as caught:
            save(tmp_path / f"x.{ending}")
        assert [str(one.message).count("install a font") for one in caught] == [1]


@pytest.mark.usefixtures("only_own")
def test_what_stands_for_them() -> None:
    with pytest.warns(UserWarning, match=r"3 of the characters \(.*\)"):
        found = Fonts(TOKENS[:4], keeps=False)
    assert [found.drawable(text) for text in TOKENS[1:4]] == [
        *(":adult::rocket:", r"\u4e2d", "\u2764")
    ]
    assert found.drawable("plain \u00e9") == "plain \u00e9"


@pytest.mark.usefixtures("only_own")
def test_an_svg_keeps_them(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure([HARD], tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text("utf-8")
    assert all(token in text for token in TOKENS[:4])


def test_an_installed_font_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    known = (("A", frozenset({ord("x")})), ("B", frozenset({0x4E2D})), ("C", frozenset({0x4E2D})))
    monkeypatch.setattr(fonts, "_installed", lambda: known)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Fonts(["\u4e2d"], keeps=False)
    assert found.monospaced == ["DejaVu Sans Mono", "DejaVu Sans", "B"]
    assert found.drawable("\u4e2d") == "\u4e2d"


def test_those_of_this_machine_can_be_read() -> None:
    assert all(characters is not None for _, characters in fonts._installed())
    assert "Last Resort High-Efficiency" not in dict(fonts._installed())


def test_of_texts_in_ascii_no_font_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError

    monkeypatch.setattr(fonts, "_installed", fail)
    assert Fonts(["plain"], keeps=False).proportional == ["DejaVu Sans"]
