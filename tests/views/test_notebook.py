"""What a notebook shows: static HTML, nothing of which is code."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from allennlp_saliency.interpret import Explanations
from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.views import notebook
from allennlp_saliency.views.colours import AGAINST, FOR
from allennlp_saliency.views.notebook import html
from tests.views.explanations import GOOD, attribution, explanation, field, written_text

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>", "\u202eabc"]
HOSTILE += ["'", "&lt;b&gt;", "\x00\x1b[31m", "\u200bz", "x" * 10_000]


class Parsed(HTMLParser):
    """The elements of a piece of HTML with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def titles(self) -> list[str]:
        return [str(own["title"]) for _, own in self.elements if "title" in own]

    def style(self, beginning: str) -> str:
        """The style of the element whose title begins so."""
        styles = [
            own["style"] or ""
            for _, own in self.elements
            if str(own.get("title", "")).startswith(beginning)
        ]
        assert len(styles) == 1
        return styles[0]


def parsed(*explanations: Explanation, **options: Any) -> Parsed:
    found = Parsed(html([list(explanations)], **options))
    assert found.open == []
    return found


def test_sign_and_size_are_colours_and_the_hover_has_the_number() -> None:
    page = parsed(GOOD)
    great, film = page.style("great: +0.61, rank 1"), page.style("film: -0.30, rank 2")
    assert f"rgba({FOR[0]},{FOR[1]},{FOR[2]},0.62)" in great
    assert f"rgba({AGAINST[0]},{AGAINST[1]},{AGAINST[2]},0.31)" in film
    assert "dotted" in film
    assert "dotted" not in great
    assert "background" not in page.style("a: 0.00")
    assert "a great film" in page.text
    assert "log-likelihood of positive" in page.text
    assert "convergence delta" in page.text


@pytest.mark.parametrize("background", [(255, 255, 255), (17, 17, 17)], ids=["light", "dark"])
@pytest.mark.parametrize("colour", [FOR, AGAINST], ids=["for", "against"])
def test_text_can_be_read_on_every_colour(
    background: tuple[int, int, int], colour: tuple[int, int, int]
) -> None:
    """WCAG asks for a contrast of 4.5; the page's text is black or, on a dark page, light grey."""

    def luminance(rgb: list[float]) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (channel / 255 for channel in rgb)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    text = [0.0] * 3 if background[0] > 128 else [221.0] * 3
    for step in range(101):
        alpha = step / 100 * 0.62
        mixed = [alpha * c + (1 - alpha) * b for c, b in zip(colour, background, strict=True)]
        pair = luminance(mixed), luminance(text)
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_hostile_tokens_stay_text() -> None:
    tokens = attribution(HOSTILE, [1.0] * len(HOSTILE), "<b>field")
    target = {"type": "<i>", "label": HOSTILE[0], "value": 1.0}
    page = parsed(
        explanation(tokens, tokens, target=target, warnings=[HOSTILE[1]]),
        explanation(tokens, interpreter={"type": HOSTILE[0], HOSTILE[1]: HOSTILE[2]}),
    )
    assert {tag for tag, _ in page.elements} == {"div", "span", "b"}
    assert all(set(own) <= {"style", "title", "dir"} for _, own in page.elements)
    assert HOSTILE[0] in page.text
    assert HOSTILE[1] in page.text
    assert "&lt;b&gt;" in page.text
    for raw in ("\u202e", "\x00", "\x1b", "\u200b"):
        assert raw not in page.text
        assert not any(raw in title for title in page.titles())


def test_hostile_texts_stay_text() -> None:
    text = "a <script> </td>\nb"
    one = field(text, ["a", "<script>", "</td>", "b"], [1.0, 0.5, -0.5, 0.25])
    page = parsed(explanation(one))
    assert ("br", {}) in page.elements
    assert {tag for tag, _ in page.elements} == {"div", "span", "br"}


def test_a_page_needs_nothing_else() -> None:
    page = html([[GOOD], written_text()])
    assert not re.search(r"<(script|link|img|iframe|style)|url\(|https?:|@import|\son\w+=", page)


def test_the_text_is_as_it_was_written() -> None:
    one = field("An unkind film.", ["[CLS]", "an", "un", "##kind", "film", "."], [1.0] * 6)
    page = parsed(explanation(one))
    assert "unkind film." in page.text
    assert "[CLS] An" in page.text
    assert any(title.startswith("kind: +1.00, rank 1, token ##kind") for title in page.titles())
    by_word = parsed(explanation(one), words=True).titles()
    assert any(title.startswith("unkind: +2.00") for title in by_word)


def test_standard_errors_are_told() -> None:
    one = attribution(["a"], [1.0])
    page = parsed(explanation(replace(one, standard_errors=[0.125])))
    assert any("standard error 0.125" in title for title in page.titles())


def test_a_written_text_is_a_matrix() -> None:
    page = parsed(*written_text())
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == 2
    assert tags.count("caption") == 2
    assert tags.count("details") == 1
    scopes = [own.get("scope") for tag, own in page.elements if tag == "th"]
    assert scopes.count("row") == 6
    assert scopes.count("col") == 3 + 2
    assert "0.62" in page.style("good ← bon")
    assert "token 2 of 3: 'good'" in page.text


def test_what_is_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Parsed(html([[GOOD]] * 25))
    assert "input 20 of 25" in page.text
    assert "input 21" not in page.text
    assert "… and 5 more inputs" in page.text
    assert "… and 10 more explanations" in parsed(*[GOOD] * 30).text
    monkeypatch.setattr(notebook, "MOST_CELLS", 8)
    assert "source: a matrix of 3 × 3 is too large" in parsed(*written_text()).text


def test_nothing_explained() -> None:
    assert "nothing that could be explained" in parsed().text
    assert parsed(explanation(attribution([], []))).text.count("(no tokens)") == 1
    assert Parsed(html([])).text == ""
    zeros = parsed(explanation(attribution(["a"], [0.0])))
    assert "background" not in zeros.style("a: 0")


def test_in_a_kernel_it_is_html(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    fake, display = ModuleType("IPython"), ModuleType("IPython.display")
    fake.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML = str  # type: ignore[attr-defined]
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    Explanations([GOOD]).show()
    assert shown == [html([[GOOD]])]


def test_in_the_terminal_of_ipython_it_is_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = ModuleType("IPython")
    fake.get_ipython = lambda: SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", fake)
    GOOD.show()
    assert "great +0.61" in capsys.readouterr().out
