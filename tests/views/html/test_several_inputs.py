"""What the page makes of several inputs: which are shown, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.html import Case
from tests.views.html.conftest import Open
from tests.views.html.samples import explanation


class TestSeveralInputs:
    @pytest.fixture
    def page(self, open_page: Open) -> Any:
        def one(label: str, p: float, delta: float, word: str, **more: Any) -> Explanation:
            text = InputAttribution("a", "b", [word], [(0, len(word))], [1.0], text=word)
            target = {"type": "probability", "label": label, "value": p}
            return explanation(inputs=[text], target=target, convergence_delta=delta, **more)

        return open_page(
            [
                Case([one("good", 0.9, 0.1, "first")], gold="good"),
                Case([one("bad", 0.6, 0.3, "second")], gold="good"),
                {"error": {"type": "KeyError", "message": "sentence", "line": 3}, "input": "{"},
                Case([one("good", 0.7, -0.2, "third", warnings=["w"])], gold="good"),
            ]
        )

    def shown(self, page: Any) -> list[int]:
        titles = page.locator(".card:visible h2 .number").all_inner_texts()
        return [int(one) for one in titles]

    @pytest.mark.parametrize(
        ("control", "value", "shown"),
        [
            ("label", "good", [1, 4]),
            ("state", "failed", [3]),
            ("state", "warned", [4]),
            ("state", "wrong", [2]),
            ("state", "right", [1, 4]),
            ("sort", "sure", [1, 4, 2, 3]),
            ("sort", "unsure", [2, 4, 1, 3]),
            ("sort", "delta", [2, 4, 1, 3]),
            ("sort", "label", [2, 1, 4, 3]),
            ("sort", "error", [3, 2, 4, 1]),
        ],
    )
    def test_choices(self, page: Any, control: str, value: str, shown: list[int]) -> None:
        page.locator(f"#{control}").select_option(value)
        assert self.shown(page) == shown
        assert page.locator(".count").inner_text() == f"{len(shown)} of 4 inputs"

    def test_words_and_confidence(self, page: Any) -> None:
        page.locator("#find").fill("SECON")
        assert self.shown(page) == [2]
        page.locator("#find").fill("")
        page.locator("#from").fill("65")
        page.locator("#to").fill("80")
        assert self.shown(page) == [4]

    def test_an_error_is_told(self, page: Any) -> None:
        assert page.locator(".card").nth(2).locator(".warning").inner_text() == (
            "line 3: KeyError: sentence"
        )
