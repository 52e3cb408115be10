"""Scores of words out of scores of tokens."""

from __future__ import annotations

import random

import pytest

from allennlp_saliency.interpret import Explanation, InputAttribution
from allennlp_saliency.interpret.interpreter.to_words import to_words


def explanation(*inputs: InputAttribution, **target: object) -> Explanation:
    return Explanation({"type": "some"}, {"type": "logit", **target}, list(inputs))


def given(
    tokens: list[str], offsets: list[tuple[int, int] | None], field: str = "text"
) -> InputAttribution:
    scores = [0.1 * 3**number for number in range(len(tokens))]
    return InputAttribution(field, "grad_input_1", tokens, offsets, scores, unassigned=0.5)


WORDPIECES = given(
    ["[CLS]", "un", "##believ", "##able", "film", "!", "[SEP]"],
    [None, (0, 2), (2, 8), (8, 12), (13, 17), (17, 18), None],
)


class TestToWords:
    @pytest.mark.parametrize("texts", [{"text": "unbelievable film!"}, None])
    def test_wordpieces(self, texts: dict[str, str] | None) -> None:
        (one,) = to_words(explanation(WORDPIECES), texts).inputs
        assert one.tokens == ["[CLS]", "unbelievable", "film", "!", "[SEP]"]
        assert one.offsets == [None, (0, 12), (13, 17), (17, 18), None]
        scores = WORDPIECES.attributions
        assert one.attributions == pytest.approx(
            [scores[0], sum(scores[1:4]), *scores[4:]], abs=1e-12
        )
        assert one.unassigned == 0.5

    def test_a_token_in_two_words_makes_them_one(self) -> None:
        one = given(["ab", ".”", "c"], [(0, 2), (2, 4), (4, 5)])
        (words,) = to_words(explanation(one), {"text": "ab.”c d"}).inputs
        assert words.tokens == ["ab.”c"]
        one = given(["a", ". b", "c"], [(0, 1), (1, 4), (4, 5)])
        (words,) = to_words(explanation(one), {"text": "a. bc"}).inputs
        assert words.tokens == ["a", ". bc"]

    def test_space_goes_with_the_next_word(self) -> None:
        one = given(
            ["a", "Ġ", "b", "▁", "c", " "], [(0, 1), (1, 2), (2, 3), (4, 4), (4, 5), (5, 6)]
        )
        (words,) = to_words(explanation(one), {"text": "a b c "}).inputs
        assert words.tokens == ["a", "b", "c", " "]
        assert [len(words.tokens), sum(words.attributions)] == [4, pytest.approx(36.4)]

    @pytest.mark.parametrize("mark", ["Ġ", "▁"])
    def test_a_space_that_a_token_includes_parts_words(self, mark: str) -> None:
        one = given(
            ["a", f"{mark}dog", "s", mark, f"{mark}saw"],
            [(0, 1), (1, 5), (5, 6), (6, 7), (7, 11)],
        )
        (words,) = to_words(explanation(one)).inputs
        assert words.offsets == [(0, 1), (2, 6), (8, 11)]
        assert words.tokens[:2] == ["a", "dogs"]

    def test_bytes_of_a_character(self) -> None:
        one = given(["è", "ª", "ŀ", "b"], [(0, 1), (0, 1), (0, 1), (1, 2)])
        (words,) = to_words(explanation(one), {"text": "語b"}).inputs
        assert words.tokens == ["語b"]

    def test_positions_are_those_of_words(self) -> None:
        words = to_words(explanation(WORDPIECES, positions=[2, 4]), {"text": "unbelievable film!"})
        assert words.target["positions"] == [1, 2]
        other = given(["x"], [(0, 1)], "other")
        two = explanation(other, WORDPIECES, positions=[4], field="text")
        assert to_words(two).target["positions"] == [2]

    def test_nothing_is_lost(self) -> None:
        draw = random.Random(0)
        for _ in range(200):
            text = "".join(draw.choice("ab .,") for _ in range(draw.randint(1, 12)))
            cuts = sorted(draw.choices(range(len(text) + 1), k=draw.randint(0, 6)))
            spans = list(zip([0, *cuts], [*cuts, len(text)], strict=True))
            offsets = [span if draw.random() < 0.9 else None for span in spans]
            one = given([text[a:b] for a, b in spans], offsets)
            for texts in ({"text": text}, None):
                (words,) = to_words(explanation(one), texts).inputs
                assert sum(words.attributions) == pytest.approx(sum(one.attributions))
                known = [span for span in words.offsets if span is not None]
                assert len(known) == len(set(known)) or any(not text[a:b].strip() for a, b in known)
