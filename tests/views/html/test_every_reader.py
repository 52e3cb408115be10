"""The page for those who use no mouse, see no colours, or hear it; and for those who attack it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.views.html import Case, report
from tests.views.html.conftest import Open, until
from tests.views.html.samples import (
    attended,
    entities,
    explanation,
    hostile_explanations,
    interacting,
    many,
    translation,
    with_scores,
)

SERIOUS = ("serious", "critical")


def everything() -> list[Any]:
    """What a page shows differently: a text by five methods, and others."""
    error = {"error": {"type": "E", "message": "m", "line": 2}, "input": "{"}
    warned = explanation(interpreter={"type": "gradient"}, warnings=["look out"])
    several = [explanation(), with_scores([0.5] * 9 + [1.0], "lime")]
    return [
        Case(several, gold="negative"), entities(), translation(), [attended()], [interacting()],
        error, Case([warned], title="two"), Case(),
    ]  # fmt: skip


def drawn(page: Any) -> None:
    """Scrolls until every card is drawn."""
    for card in page.locator(".card").all():
        card.scroll_into_view_if_needed()
    until(page, "[...document.querySelectorAll('.card-body')].every(b => b.childElementCount)")


def opened_parts(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    until(page, "[...document.querySelectorAll('.body')].every(b => b.hasChildNodes())")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing_serious(open_page: Open, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(everything(), width=width, scheme=scheme)
    drawn(page)
    opened_parts(page)
    found = axe.run(page).response
    assert len(found["passes"]) > 20
    wrong = {
        one["id"]: [node["html"][:200] + str(node.get("any"))[:300] for node in one["nodes"]][:3]
        for one in found["violations"]
        if one["impact"] in SERIOUS
    }
    assert wrong == {}


def test_nothing_is_wider_than_a_telephone(open_page: Open) -> None:
    page = open_page(everything(), width=390)
    drawn(page)
    opened_parts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_suffices(open_page: Open) -> None:
    page = open_page([entities(), translation()])

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.className"))

    page.keyboard.press("Tab")
    assert focused() == "skip"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(focused())
        if seen[-1] == "top-k":
            page.keyboard.press("ArrowLeft")
            assert page.locator(".top").first.locator("li").count() == 2
        if seen[-1] == "level":
            page.keyboard.press("w")
        if seen[-1] == "numbers":
            page.keyboard.press("n")
        if seen[-1] == "only":
            page.keyboard.press("Space")
        if seen[-1] == "output":
            page.keyboard.press("ArrowRight")
            assert page.locator(".top").first.locator("li").first.inner_text().startswith("Turin")
        if page.evaluate("!!document.activeElement.closest('.pickable')"):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
            picked = page.locator(".pickable [aria-selected=true]").all_inner_texts()
            assert picked == ["chat"]
            break
    else:
        raise AssertionError(seen)
    expected = {"level", "top-k", "only", "contrast", "numbers", "special", "find", "label"}
    assert expected <= set(seen)
    assert page.locator("#level").input_value() == "word"
    assert page.locator("#numbers").input_value() == "share"
    assert page.locator("#only").is_checked()
    # Each text is one stop of Tab, and details can be opened.
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("details[open] .scores").wait_for()


def test_what_a_screen_reader_hears(open_page: Open) -> None:
    page = open_page(everything())
    drawn(page)
    text = page.get_by_role("listbox", name="tokens: text with scores").first
    assert text.get_by_role("option", name="believ").count() == 1
    assert page.get_by_role("listbox", name="outputs: what is explained").count() == 1
    assert page.get_by_role("listbox", name="generated: the written text").count() == 1
    assert page.get_by_role("article").count() == 5
    assert page.locator(".count[role=status]").inner_text() == "5 of 5 inputs"
    page.get_by_label("find").fill("Turin")
    assert page.locator(".count[role=status]").inner_text() == "1 of 5 inputs"


class TestHostile:
    def test_tokens_stay_text(self, open_page: Open) -> None:
        page = open_page([[one] for one in hostile_explanations()])
        drawn(page)
        opened_parts(page)
        for row in page.locator(".text").all():
            shown = row.locator(".u").evaluate_all("all => all.map(u => u.textContent)")
            given = hostile_explanations()[0].inputs[0].tokens
            plain = [n for n, one in enumerate(given) if one.isascii() and one.isprintable()]
            assert len(shown) == len(given)
            # A token that looks like a special one has none of its characters taken away.
            assert [shown[n] for n in plain] == [given[n] for n in plain]
            assert shown[5] == "a\\u202eb"
            assert shown[6] == "z\\u200bw\u200c"
            assert shown[7] == "\\u2028"
            assert shown[11] == "\\ud800"
            assert shown[12] == "\\u0000\\u001b[31m"
            assert shown[15] == "\\u{e0041}"
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert page.locator("style").count() == 1

    def test_names_and_messages_stay_text(self, open_page: Open) -> None:
        attack = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>'
        line = {"error": {"type": attack, "message": attack, "line": 1}, "input": {attack: attack}}
        prediction = {"label": attack, "probs": [1.0]}
        case = Case([explanation()], prediction=prediction, title=attack, gold=attack)
        page = open_page([line, case])
        drawn(page)
        assert attack in page.locator(".warning").first.inner_text()
        assert attack in page.locator("h2").nth(1).inner_text()
        assert page.locator("img").count() == 0

    def test_an_injected_script_would_not_run(self, browser: Any, tmp_path: Path) -> None:
        report([explanation()], tmp_path / "page.html")
        page = browser.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto((tmp_path / "page.html").as_uri())
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.x = 1';"
            "document.body.append(s); }"
        )
        assert page.evaluate("window.x") is None
        page.close()
        assert "Content Security Policy" in refused[0]


def test_all_fixtures_open(open_page: Open, lines: dict[str, list[dict[str, Any]]]) -> None:
    page = open_page([line for own in lines.values() for line in own])
    drawn(page)
    opened_parts(page)
    # Two inputs of each; `sentiment` and `sentiment-lstm` read the same texts by the same methods.
    assert page.locator(".card").count() == 2 * len(lines)
    assert page.locator(".method").count() == 4 * len(lines)
    assert page.locator(".warning", has_text="KeyError").count() == 0


def test_the_numbers_shown_are_those_of_the_files(
    open_page: Open, lines: dict[str, list[dict[str, Any]]]
) -> None:
    for fixture in ("sentiment-lstm", "choices"):
        page = open_page(lines[fixture][:2])
        drawn(page)
        opened_parts(page)
        for number, line in enumerate(lines[fixture][:2]):
            (explained,) = [one for name, one in line.items() if name.startswith("instance_")]
            expected = {
                (one["field"], token, score)
                for one in explained["explanation"]["inputs"]
                for token, score in zip(one["tokens"], one["attributions"], strict=True)
            }
            rows = page.locator(".card").nth(number).locator(".scores tbody tr")
            shown = rows.evaluate_all(
                "all => all.map(r => [...r.querySelectorAll('td')].slice(0, 3)"
                ".map(c => c.textContent))"
            )
            assert {(field, token, float(score)) for field, token, score in shown} == expected


class TestLargePages:
    """What makes them open at once: only what is near the screen is drawn."""

    def test_a_thousand_explanations(self, browser: Any, tmp_path: Path) -> None:
        path = tmp_path / "thousand.html"
        report(many(1000, 40), path)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector(".u")
        assert page.locator(".card").count() == 1000
        assert page.locator(".method").count() < 30
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        until(page, "[...document.querySelectorAll('.card')].at(-1).querySelector('.method')")
        page.close()

    def test_ten_thousand_tokens(self, browser: Any, tmp_path: Path) -> None:
        path = tmp_path / "long.html"
        report(many(1, 10_000), path)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector(".u")
        assert page.locator(".u").count() == 10_001
        page.locator("#top-k").fill("5")
        assert page.locator(".u.strong").count() == 5
        page.close()


def test_data_of_a_page_can_be_mounted_elsewhere(open_page: Open) -> None:
    """As the explore page does: with a second element and other data."""
    page = open_page([explanation()])
    data = json.loads(page.locator("#data").text_content())
    page.evaluate(
        "data => { const box = document.createElement('div'); box.id = 'more';"
        "document.body.append(box); allennlpSaliency.mount(box, data); }",
        data,
    )
    page.wait_for_selector("#more .u")
    assert page.locator("#more .u").count() == 10
