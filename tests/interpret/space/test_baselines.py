"""Baselines against embedding matrices, row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.data.tokenizers import LettersDigitsTokenizer
from torch import Tensor

from allennlp_saliency.interpret import (
    Baseline,
    DeepLift,
    EmbeddingSpace,
    Explanation,
    IntegratedGradients,
    InterpretationError,
    SaliencyInterpreter,
    Target,
)
from allennlp_saliency.interpret.interpreter.labels.labelling import label_json
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.registry import construct
from allennlp_saliency.interpret.space.session import Session
from tests.interpret.space.test_embedding_space import VECTORS, YES, squares, value
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of


def space_of(zoo: Zoo, family: str, texts: list[dict[str, str]]) -> EmbeddingSpace:
    twin = Twin(zoo.predictor(family))
    labelled = label_json(twin.predictor, texts, predict=False)
    session = Session(twin, construct(Target, "log-likelihood"))
    return EmbeddingSpace(session, [one.instances[0].instance for one in labelled])


def explained(interpreter: SaliencyInterpreter) -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": "up down left"})
    return explanation


def points(zoo: Zoo, family: str, baseline: Any, texts: list[str]) -> tuple[Tensor, Tensor]:
    """The input's own embeddings and the baseline, `(texts, positions, dim)` each."""
    space = space_of(zoo, family, [{"sentence": text} for text in texts])
    made = construct(Baseline, baseline)(space)
    assert made.shape == space.embeddings.shape
    (own,), (replaced,) = space.layout.split(space.embeddings), space.layout.split(made)
    return own, replaced


def word_matrix(zoo: Zoo) -> tuple[Tensor, Any]:
    model: Any = zoo.predictor("lstm")._model
    weight = model._text_field_embedder.token_embedder_tokens.weight
    return weight.detach(), lambda word: weight.detach()[model.vocab.get_token_index(word)]


def piece_matrix(zoo: Zoo, family: str) -> tuple[Tensor, Any]:
    predictor = zoo.predictor(family)
    tokenizer = predictor._dataset_reader._token_indexers["tokens"]._tokenizer  # type: ignore
    embedder: Any = predictor._model._text_field_embedder.token_embedder_tokens  # type: ignore
    embedder = getattr(embedder, "_matched_embedder", embedder)
    weight = embedder.transformer_model.get_input_embeddings().weight.detach()
    return weight, lambda piece: weight[tokenizer.convert_tokens_to_ids(piece)]


class TestWords:
    texts = ("a film", "the plot was awful")

    @pytest.mark.parametrize("keep_special_tokens", [True, False])
    def test_every_word_is_replaced_and_padding_is_not(
        self, zoo: Zoo, keep_special_tokens: bool
    ) -> None:
        weight, vector = word_matrix(zoo)
        expected = {
            "zero": torch.zeros(8),
            "mean": weight.mean(0),
            "pad": weight[0],
            "unk": weight[1],
            "token": vector("film"),
        }
        for name, row in expected.items():
            given: dict[str, Any] = {"type": name, "keep_special_tokens": keep_special_tokens}
            if name == "token":
                given["token"] = "film"
            own, replaced = points(zoo, "lstm", given, list(self.texts))
            assert own.shape == (2, 4, 8)
            assert torch.allclose(replaced[1], row.expand(4, -1), atol=1e-7), name
            assert torch.allclose(replaced[0, :2], row.expand(2, -1), atol=1e-7), name
            assert torch.equal(replaced[0, 2:], own[0, 2:]), name
            assert not torch.equal(own[1], replaced[1]), name

    def test_words_have_no_mask(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match=r"'tokens' has no mask token.*'zero'"):
            points(zoo, "lstm", "mask", ["a film"])

    def test_the_empty_word_is_no_mask(self) -> None:
        predictor = predictor_of(squares, {**VECTORS, "": [1.0, 2.0, 3.0]})
        assert "" in predictor._model.vocab.get_token_to_index_vocabulary("tokens")
        with pytest.raises(InterpretationError, match="has no mask token"):
            explained(IntegratedGradients(predictor, baseline="mask"))

    def test_an_unknown_token(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match="embedding of the token 'zebra'"):
            points(zoo, "lstm", {"type": "token", "token": "zebra"}, ["a film"])

    def test_two_fields(self, zoo: Zoo) -> None:
        pair = {"premise": "a film", "hypothesis": "the plot was awful"}
        space = space_of(zoo, "pair", [pair])
        parts = space.layout.split(construct(Baseline, "zero")(space))
        assert [part.shape for part in parts] == [(1, 2, 8), (1, 4, 8)]
        assert not any(part.any() for part in parts)


class TestOtherTexts:
    """They are split as the reader splits texts, whatever it calls its tokenizer."""

    @pytest.mark.parametrize("name", ["tokenizer", "_tokenizer"])
    def test_by_the_readers_tokenizer(self, name: str) -> None:
        vectors = {**VECTORS, ",": [1.0, 2.0, 3.0]}
        predictor = predictor_of(squares, vectors)
        reader: Any = predictor._dataset_reader
        whole = reader.tokenizer
        setattr(reader, name, LettersDigitsTokenizer())
        baseline = {"type": "text", "text": "right,left"}
        found = explained(DeepLift(predictor, baseline=baseline, target=YES))
        x = torch.tensor([[vectors[word] for word in ("right", ",", "left")]])
        assert found.target["baseline_value"] == pytest.approx(float(value(x)), rel=1e-5)
        # In one piece it is no word at all, and padding follows, whose vectors are zero.
        setattr(reader, name, whole)
        alone = explained(DeepLift(predictor, baseline=baseline, target=YES))
        assert alone.target["baseline_value"] == 0


class TestWordpieces:
    texts = ("a film", "the plot was badly awful")

    @pytest.mark.parametrize(
        ("family", "specials", "pad", "unk", "mask"),
        [
            ("bert", ("[CLS]", "[SEP]"), "[PAD]", "[UNK]", "[MASK]"),
            ("roberta", ("<s>", "</s>"), "<pad>", "<unk>", "<mask>"),
            ("bert-mismatched", ("[CLS]", "[SEP]"), "[PAD]", "[UNK]", "[MASK]"),
        ],
    )
    def test_special_tokens_stay_unless_asked(
        self, zoo: Zoo, family: str, specials: tuple[str, str], pad: str, unk: str, mask: str
    ) -> None:
        weight, vector = piece_matrix(zoo, family)
        first, last = map(vector, specials)
        expected = {
            "zero": torch.zeros(16),
            "pad": vector(pad),
            "unk": vector(unk),
            "mask": vector(mask),
            "mean": weight.mean(0),
        }
        for name, row in expected.items():
            for keep in (True, False):
                given = {"type": name, "keep_special_tokens": keep}
                own, replaced = points(zoo, family, given, list(self.texts))
                # Two words and two special tokens, then padding.
                inner = row.expand(2, -1)
                assert torch.allclose(replaced[0, 1:3], inner, atol=1e-7), (name, keep)
                assert torch.equal(replaced[0, 4:], own[0, 4:]), (name, keep)
                assert len(replaced[0, 4:]) > 0
                ends = replaced[0, [0, 3]]
                wanted = torch.stack([first, last]) if keep else inner
                assert torch.allclose(ends, wanted, atol=1e-7), (name, keep)
                assert torch.equal(own[0, [0, 3]], torch.stack([first, last]))

    def test_a_special_token_that_the_user_typed_is_text(self, zoo: Zoo) -> None:
        own, replaced = points(zoo, "bert", "zero", ["a [SEP] film"])
        assert own.shape[1] == 5
        assert not replaced[0, 1:4].any()
        assert torch.equal(replaced[0, [0, 4]], own[0, [0, 4]])

    def test_gpt2_has_no_padding_token(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match=r"no pad token.*'zero'"):
            points(zoo, "gpt2", "pad", ["a film"])

    def test_a_wordpiece_by_name(self, zoo: Zoo) -> None:
        _, vector = piece_matrix(zoo, "gpt2")
        _, replaced = points(zoo, "gpt2", {"type": "token", "token": "Ġthe"}, ["a film"])
        assert torch.allclose(replaced[0], vector("Ġthe").expand(2, -1), atol=1e-7)

    def test_beside_words(self, zoo: Zoo) -> None:
        model: Any = zoo.predictor("bert-and-words")._model
        embedder = model._text_field_embedder
        pieces = embedder.token_embedder_pieces._matched_embedder.transformer_model
        space = space_of(zoo, "bert-and-words", [{"sentence": "a film"}])
        parts = {
            part.shape[-1]: part[0]
            for part in space.layout.split(construct(Baseline, "unk")(space))
        }
        unknown = pieces.get_input_embeddings().weight[1]
        assert torch.allclose(parts[16][1:3], unknown.expand(2, -1), atol=1e-7)
        words = embedder.token_embedder_words.weight[1]
        assert torch.allclose(parts[8], words.expand(2, -1), atol=1e-7)


def test_what_is_kept_gets_nothing(zoo: Zoo) -> None:
    for keep in (True, False):
        baseline = {"type": "zero", "keep_special_tokens": keep}
        interpreter = IntegratedGradients(zoo.predictor("bert"), baseline=baseline, steps=4)
        (explanation,) = interpreter.interpret_json({"sentence": "a great film"})
        scores = explanation.inputs[0].attributions
        assert (scores[0] == scores[-1] == 0) is keep
        assert all(scores[1:-1])
        mismatched = IntegratedGradients(
            zoo.predictor("bert-mismatched"), baseline=baseline, steps=4
        )
        (explanation,) = mismatched.interpret_json({"sentence": "a great film"})
        assert (explanation.inputs[0].unassigned == 0) is keep
