"""What the page does when it is used, in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from allennlp_saliency.interpret.explanation import InputAttribution
from tests.views.html.conftest import Open
from tests.views.html.samples import (
    SCORES,
    attended,
    entities,
    explanation,
    interacting,
    translation,
    with_scores,
)

WORDS = ["Unbelievable", "film", ",", "never", "dull", "."]
WORD_SCORES = [0.375, 0.03125, 0.0, 0.75, -1.5, 0.0625]


def units(page: Any, text: str = ".text") -> list[str]:
    return page.locator(text).first.locator(".u").all_inner_texts()


def coloured(page: Any) -> list[str]:
    """The texts that have a colour."""
    return page.evaluate(
        "[...document.querySelectorAll('.u')].filter(u => u.style.backgroundColor)"
        ".map(u => u.textContent)"
    )


def listed(page: Any) -> list[str]:
    return page.locator(".top").first.locator("li").all_inner_texts()


def slide(page: Any, name: str, value: float) -> None:
    page.locator(f"#{name}").fill(str(value))


class TestText:
    def test_the_written_text_is_shown(self, open_page: Open) -> None:
        page = open_page([explanation()])
        shown = page.locator(".text").inner_text()
        assert re.sub(r"\s+", " ", shown).strip() == "[CLS] Unbelievable film, never dull. [SEP]"
        assert units(page)[1:4] == ["Un", "believ", "able"]
        assert page.locator(".u.special").all_inner_texts() == ["[CLS]", "[SEP]"]

    def test_signs_have_colours_of_their_own(self, open_page: Open) -> None:
        page = open_page([explanation()])
        for text, colour in (("never", "rgb(133, 171, 235)"), ("dull", "rgb(204, 46, 5)")):
            unit = page.locator(".u", has_text=text)
            assert unit.evaluate("u => u.style.backgroundColor") == colour
        assert "film" in coloured(page)
        assert "," not in coloured(page)

    def test_right_to_left(self, open_page: Open) -> None:
        text = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
        one = InputAttribution("a", "b", text.split(), [(0, 4), (5, 9)], [1.0, -1.0], text=text)
        page = open_page([explanation(inputs=[one])])
        assert page.locator(".text").evaluate("e => getComputedStyle(e).direction") == "rtl"
        page.locator(".u").first.focus()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.textContent") == text.split()[1]

    def test_unknown_words_are_marked(self, open_page: Open) -> None:
        one = InputAttribution("a", "b", ["[UNK]", "x"], [(0, 1), (2, 3)], [1.0, 0.5], text="é x")
        page = open_page([explanation(inputs=[one])])
        assert page.locator(".u.unknown").all_inner_texts() == ["é"]

    def test_a_text_that_is_not_known(self, open_page: Open) -> None:
        old = explanation()
        one = replace(old.inputs[0], text=None)
        page = open_page([replace(old, inputs=[one])])
        assert page.locator(".text").inner_text().split() == [
            "[CLS]", "unbelievable", "film,", "never", "dull.", "[SEP]",
        ]  # fmt: skip


class TestControls:
    @pytest.mark.parametrize("k", [0, 1, 5])
    def test_the_slider_marks_the_strongest(self, open_page: Open, k: int) -> None:
        page = open_page([explanation()])
        assert listed(page) == ["dull −1.50", "never +0.75", "believ +0.50"]
        slide(page, "top-k", k)
        strong = page.locator(".u.strong").all_inner_texts()
        order = sorted(range(10), key=lambda n: -abs(SCORES[n]))[:k]
        assert strong == [units(page)[n] for n in sorted(order)]
        assert page.locator(".top li").count() == k
        assert page.locator("output").inner_text() == str(k)

    def test_only_the_strongest_are_coloured(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator("#only").check()
        assert coloured(page) == ["believ", "never", "dull"]
        slide(page, "top-k", 1)
        assert coloured(page) == ["dull"]

    def test_contrast(self, open_page: Open) -> None:
        page = open_page([explanation()])
        weak = page.locator(".u", has_text="film")
        colours = []
        for value in (-2, 0, 2):
            slide(page, "contrast", value)
            colours.append(weak.evaluate("u => u.style.backgroundColor"))
        channels = [int(one.split("(")[1].split(",")[0]) if one else 255 for one in colours]
        assert channels[0] > channels[1] > channels[2]

    def test_words_and_sentences(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator("#level").select_option("word")
        assert units(page)[1:-1] == WORDS
        assert listed(page) == ["dull −1.50", "never +0.75", "Unbelievable +0.38"]
        page.locator("#level").select_option("sentence")
        assert units(page)[1:-1] == ["Unbelievable film, never dull."]
        page.locator("#level").select_option("token")
        assert units(page)[1:4] == ["Un", "believ", "able"]

    def test_normalised(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator("#numbers").select_option("share")
        total = sum(map(abs, SCORES))
        assert listed(page)[0] == f"dull −{100 * 1.5 / total:.1f} %"

    def test_special_tokens_can_be_hidden(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator("#special").uncheck()
        assert page.locator(".text").inner_text() == "Unbelievable film, never dull."

    def test_themes(self, open_page: Open) -> None:
        for scheme in ("light", "dark"):
            page = open_page([explanation()], scheme=scheme)
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (back == "rgb(18, 20, 25)") == (scheme == "dark")
            before = page.locator(".u", has_text="never").evaluate("u => u.style.backgroundColor")
            other = "light" if scheme == "dark" else "dark"
            page.get_by_label("theme").select_option(other)
            after = page.locator(".u", has_text="never").evaluate("u => u.style.backgroundColor")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != back
            assert after != before


class TestTip:
    def test_hover_tells_token_score_and_rank(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator(".u", has_text="believ").hover()
        told = page.locator(".tip").inner_text().splitlines()
        assert told == ["believ", "score 0.5 (15.4 % of all)", "rank 3 of 10", "token ##believ"]
        page.mouse.move(0, 0)
        assert page.locator(".tip").is_hidden()

    def test_of_a_sample(self, open_page: Open) -> None:
        one = replace(explanation().inputs[0], standard_errors=[0.015625] * 10)
        page = open_page([explanation(inputs=[one])])
        page.locator(".u", has_text="dull").hover()
        assert "standard error 0.0156" in page.locator(".tip").inner_text()

    def test_keyboard(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.locator(".u").first.focus()
        for key, text in (
            ("ArrowRight", "Un"), ("ArrowRight", "believ"), ("ArrowLeft", "Un"),
            ("End", "[SEP]"), ("ArrowRight", "[SEP]"), ("Home", "[CLS]"),
        ):  # fmt: skip
            page.keyboard.press(key)
            focused = page.locator(":focus")
            assert focused.inner_text() == text
            assert page.locator(".tip").is_visible()
            assert "rank" in str(focused.get_attribute("aria-description"))
        page.keyboard.press("Escape")
        assert page.locator(".tip").is_hidden()


class TestFacts:
    def test_what_was_explained(self, open_page: Open) -> None:
        page = open_page([explanation(warnings=["look out"], details={"converged": True})])
        facts = page.locator(".facts").first.inner_text()
        for told in ("log-likelihood", "positive", "77.9 %", "-0.25", "-2", "3.0e-4"):
            assert told in facts
        assert page.locator(".warning").inner_text() == "Warning: look out"
        page.get_by_text("settings", exact=True).click()
        page.locator("details[open] pre").wait_for()
        settings = page.locator("details[open] .body").inner_text()
        assert '"steps": 32' in settings
        assert "converged" in settings

    def test_the_table_has_the_numbers_of_the_file(self, open_page: Open) -> None:
        page = open_page([explanation()])
        page.get_by_text("all scores as a table").click()
        page.locator(".scores").wait_for()
        rows = page.locator(".scores tbody tr")
        assert [float(rows.nth(n).locator("td").nth(2).inner_text()) for n in range(10)] == SCORES
        assert rows.nth(2).locator("td").nth(1).inner_text() == "##believ"


class TestOutputs:
    def test_entities_are_picked(self, open_page: Open) -> None:
        page = open_page([entities()])
        assert page.locator(".output").all_inner_texts() == [
            "PER: Ada Lovelace",
            "LOC: Turin",
        ]
        assert listed(page)[0] == "Ada +2.00"
        assert page.locator(".u.marked").all_inner_texts() == ["Ada", "Lovelace"]
        page.locator(".output").nth(1).click()
        assert listed(page)[0] == "Turin +3.00"
        assert page.locator(".u.marked").all_inner_texts() == ["Turin"]
        assert page.locator(".output[aria-selected=true]").all_inner_texts() == ["LOC: Turin"]
        page.keyboard.press("ArrowLeft")
        assert listed(page)[0] == "Ada +2.00"

    def test_all_outputs_in_a_matrix(self, open_page: Open) -> None:
        page = open_page([entities()])
        page.get_by_text("all outputs × input").click()
        page.locator(".grid").wait_for()
        cells = page.locator(".grid td").all_inner_texts()
        assert cells == ["+2.00", "−0.50", "+1.00", "+0.25", "+0.50", "+1.00", "−0.25", "+3.00"]


class TestWrittenText:
    def test_it_is_there_once(self, open_page: Open) -> None:
        page = open_page([translation()])
        assert page.locator(".text").count() == 2
        assert page.locator(".pickable").inner_text().split() == ["le", "chat", "</s>"]
        assert page.locator("h2").inner_text() == "le chat"

    def test_a_token_is_picked(self, open_page: Open) -> None:
        page = open_page([translation()])
        assert listed(page)[:2] == ["the +3.00", "cat +0.50"]
        page.locator(".pickable .u", has_text="chat").click()
        assert listed(page) == ["cat +4.00", "the −0.50", "le +0.25"]
        assert page.locator(".pickable [aria-selected=true]").all_inner_texts() == ["chat"]
        assert coloured(page) == ["the", "cat", "le"]
        assert "label\nchat" in page.locator(".facts").first.inner_text()

    def test_a_span_is_picked(self, open_page: Open) -> None:
        page = open_page([translation()])
        page.locator(".pickable .u", has_text="le").click()
        page.locator(".pickable .u", has_text="chat").click(modifiers=["Shift"])
        assert listed(page)[:2] == ["cat +4.50", "the +2.50"]
        assert "sum over 2 outputs" in page.locator(".facts").first.inner_text()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        assert listed(page)[:2] == ["cat +4.63", "the +2.75"]

    def test_a_span_is_dragged_over(self, open_page: Open) -> None:
        page = open_page([translation()])
        page.locator(".pickable .u", has_text="chat").hover()
        page.mouse.down()
        page.locator(".pickable .u", has_text="</s>").hover()
        page.mouse.up()
        page.locator(".pickable .u", has_text="le").hover()
        assert page.locator(".pickable [aria-selected=true]").all_inner_texts() == ["chat", "</s>"]

    def test_the_matrix(self, open_page: Open) -> None:
        page = open_page([translation()])
        source, before = page.locator(".grid").all()
        assert source.locator("td").all_inner_texts() == [
            "+3.00", "−0.50", "+0.25", "+0.50", "+4.00", "+0.13",
        ]  # fmt: skip
        assert before.locator("td").all_inner_texts() == [
            "", "+0.25", "+0.25", "", "", "+0.50", "", "", "",
        ]  # fmt: skip
        source.get_by_role("button", name="chat").click()
        assert listed(page)[0] == "cat +4.00"
        page.locator("#numbers").select_option("share")
        first = page.locator(".grid").first.locator("td").first.inner_text()
        assert first == "+85.7"
        page.locator(".grid td").first.hover()
        assert "the → le" in page.locator(".tip").inner_text()


class TestMethods:
    def test_side_by_side_with_their_agreement(self, open_page: Open) -> None:
        from scipy.stats import spearmanr

        second = [0.5, -0.25, 0.5, 0.0, 0.0, 0.125, 1.0, -2.0, 0.25, 0.0]
        page = open_page([explanation(), with_scores(second, "leave-one-out")])
        assert page.locator(".method h3").all_inner_texts() == [
            "integrated-gradients",
            "leave-one-out",
        ]
        boxes = [one.bounding_box() for one in page.locator(".method").all()]
        assert boxes[0]["y"] == boxes[1]["y"]
        cells = page.locator(".grid td").all_inner_texts()
        # Of the text's own tokens: others may be another method's.
        expected = spearmanr(SCORES[1:-1], second[1:-1]).statistic
        assert cells[1:] == ["1", f"{expected:.2f} · 3/3", f"{expected:.2f} · 3/3", "1"]

    def test_of_other_tokens(self, open_page: Open) -> None:
        spans = [(0, 12), (13, 17), (17, 18), (19, 24), (25, 29), (29, 30)]
        one = InputAttribution(
            "text", "grad_input_1", WORDS, spans, WORD_SCORES, text=explanation().inputs[0].text
        )
        page = open_page([explanation(), explanation(interpreter={"type": "lime"}, inputs=[one])])
        assert page.locator(".grid td").all_inner_texts()[2].startswith("1.00")


class TestMore:
    def test_attention_by_layer_and_head(self, open_page: Open) -> None:
        one = attended()
        page = open_page([one])
        page.get_by_text("attention by layer and head").click()
        page.locator(".grid").wait_for()
        values = one.matrices[0].numpy()
        cells = page.locator(".grid td")
        assert cells.all_inner_texts() == [f"{v:.2f}" for v in values.mean((0, 1)).ravel()]
        page.get_by_label("layer", exact=True).select_option("1")
        page.get_by_label("head", exact=True).select_option("2")
        assert cells.all_inner_texts() == [f"{v:.2f}" for v in values[1, 2].ravel()]

    def test_large_matrices_are_pictures(self, open_page: Open) -> None:
        one = attended()
        from allennlp_saliency.interpret.explanation import AttentionMatrix

        values = one.matrices[0].numpy().repeat(25, 2).repeat(25, 3)
        names = [f"t{n}" for n in range(100)]
        matrix = AttentionMatrix("encoder", one.matrices[0].axes, names, names, values)
        page = open_page([replace(one, matrices=[matrix])])
        page.get_by_text("attention by layer and head").click()
        page.locator("canvas").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        expected = values.mean((0, 1))[1, 1]
        assert page.locator("[aria-live]").inner_text() == f"t1 (2) → t1 (2): {expected:.2f}"

    def test_interactions_are_arcs(self, open_page: Open) -> None:
        page = open_page([interacting()])
        assert page.locator(".arc").count() == 2
        assert page.locator(".arc.against").count() == 1
        assert listed_in(page, ".arcs") == ["never · dull +1.50", "Un · film −0.50"]
        page.locator("#level").select_option("word")
        assert listed_in(page, ".arcs")[1] == "Unbelievable · film −0.50"


def listed_in(page: Any, place: str) -> list[str]:
    return page.locator(f"details:has({place}) .top li").all_inner_texts()
