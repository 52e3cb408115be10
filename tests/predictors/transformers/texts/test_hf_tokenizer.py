"""Offsets of tokens, given by the tokenizer or found in the text."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from transformers import PreTrainedTokenizer

from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.texts.hf_tokenizer import (
    Pieces,
    found_spans,
    generated_spans,
)
from tests.predictors.transformers.texts.test_texts_and_tokenizers import explain
from tests.zoo.task_models import KINDS, model, tokenizer

KINDS_OF_TOKENIZERS = sorted({kind.tokenizer for kind in KINDS.values()})
TEXTS = (
    "a great film",
    "  two  spaces\tand a tab\n",
    "great great great",
    "שלום עולם, hello",
    "привет 😀 мир",
    "naïve café, don't",
    "日本語のテキスト",
)


def spans(kind: str, text: str) -> list[tuple[str, tuple[int, int] | None]]:
    tokens = Pieces(tokenizer(kind)).text(text)
    return [
        (str(token.text), None if token.idx is None else (token.idx, int(token.idx_end or 0)))
        for token in tokens
    ]


class TestOffsets:
    @pytest.mark.parametrize("kind", KINDS_OF_TOKENIZERS)
    @pytest.mark.parametrize("text", TEXTS)
    def test_every_letter_belongs_to_a_token(self, kind: str, text: str) -> None:
        found = [span for _, span in spans(kind, text) if span is not None]
        covered = {place for span in found for place in range(*span)}
        assert covered >= {place for place, c in enumerate(text) if not c.isspace()}
        assert found == sorted(found)

    @pytest.mark.parametrize("kind", KINDS_OF_TOKENIZERS)
    def test_spaces_are_no_part_of_a_token(self, kind: str) -> None:
        text = "a great film"
        for _, span in spans(kind, text):
            if span is not None and text[slice(*span)].strip():
                assert text[slice(*span)] == text[slice(*span)].strip()

    @pytest.mark.parametrize("kind", ["bytes", "bare-bytes"])
    def test_bytes_of_a_character_share_it(self, kind: str) -> None:
        text = "a 語 b"
        places = [span for token, span in spans(kind, text) if span is not None and span[0] == 2]
        assert len(places) > 1
        assert set(places) == {(2, 3)}

    def test_equal_words_have_their_own_places(self) -> None:
        found = [span for _, span in spans("wordpiece", "mary mary mary") if span is not None]
        assert found == [(0, 4), (5, 9), (10, 14)]

    def test_special_tokens_that_the_user_typed_are_text(self) -> None:
        tokens = spans("wordpiece", "a [SEP] film")
        assert [span for token, span in tokens if token == "[SEP]"] == [(2, 7), None]

    def test_generated_bytes_share_their_character(self) -> None:
        own = tokenizer("bare-bytes")
        ids = own("a 語 b", add_special_tokens=False)["input_ids"]
        text, tokens = Pieces(own).of_ids(ids)
        assert text == "a 語 b"
        places = [(token.idx, token.idx_end) for token in tokens]
        whole = [span for _, span in spans("bare-bytes", text)]
        assert places == whole

    def test_generated_spans_of_whole_words(self) -> None:
        words = ["one", " two", " two"]
        assert generated_spans(lambda ids: "".join(words[i] for i in ids), [0, 1, 2]) == [
            (0, 3),
            (4, 7),
            (8, 11),
        ]

    def test_found_spans(self) -> None:
        text = "Café, CAFÉ and xyz more"
        assert found_spans(text, ["cafe", ",", "ca", "fe", "and", "[UNK]", "more"]) == [
            (0, 4),
            (4, 5),
            (6, 8),
            (8, 10),
            (11, 14),
            None,
            (19, 23),
        ]


class WordsTokenizer(PreTrainedTokenizer):
    """A slow tokenizer: it says nothing of offsets or sequences."""

    vocab_files_names: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any) -> None:
        words = "[PAD] [UNK] [CLS] [SEP] [MASK] a great film mary lives in paris , ! fi ##lm"
        self._ids = {word: number for number, word in enumerate(words.split())}
        names = ("pad", "unk", "cls", "sep", "mask")
        super().__init__(**{f"{name}_token": f"[{name.upper()}]" for name in names}, **kwargs)

    @property
    def vocab_size(self) -> int:
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        return [
            piece
            for word in text.lower().replace(",", " , ").split()
            for piece in (["fi", "##lm"] if word == "film" else [word])
        ]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self._ids["[UNK]"])

    def _convert_id_to_token(self, index: int) -> str:
        return list(self._ids)[index]

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        first = [2, *token_ids_0, 3]
        return first if token_ids_1 is None else [*first, *token_ids_1, 3]

    def get_special_tokens_mask(self, *args: Any, **kwargs: Any) -> list[int]:
        raise NotImplementedError


class TestSlowTokenizer:
    def test_places(self) -> None:
        text = "A great Film, xyz paris"
        tokens = Pieces(WordsTokenizer()).text(text)
        assert [token.text for token in tokens] == (
            "[CLS] a great fi ##lm , [UNK] paris [SEP]".split()
        )
        assert [token.idx for token in tokens] == [None, 0, 2, 8, 10, 12, None, 18, None]
        assert [token.idx_end for token in tokens] == [None, 1, 7, 10, 12, 13, None, 23, None]

    def test_pair(self) -> None:
        first, second = Pieces(WordsTokenizer()).pair("mary lives", "mary lives in paris")
        assert [token.text for token in first] == ["[CLS]", "mary", "lives", "[SEP]"]
        assert [token.text for token in second] == ["mary", "lives", "in", "paris", "[SEP]"]
        assert second[0].idx == 0

    def test_explanations(self) -> None:
        own = model("bert", "text-classification", vocab_size=20)
        made = TransformersPredictor.from_pretrained(own, WordsTokenizer())
        hypothesis, premise = explain(made, {"premise": "mary lives", "hypothesis": "a film"})[
            0
        ].inputs
        assert premise.tokens == ["[CLS]", "mary", "lives", "[SEP]"]
        assert hypothesis.offsets == [(0, 1), (2, 4), (4, 6), None]
