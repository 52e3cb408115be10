"""Calls of an embedding layer are traced to the text whose ids they are given, or to none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.interpret.contracts import JoinedTexts
from allennlp_saliency.interpret.inputs.collation import trace
from allennlp_saliency.interpret.positions import PADDING, UNASSIGNED
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.architectures.build import build
from tests.zoo.architectures.tables import chosen

PAD = 1


def text(name: str, *rows: list[int]) -> JoinedTexts:
    ids = torch.tensor(rows)
    mask = ids != PAD
    numbers = torch.arange(ids.shape[1]).expand(ids.shape)
    return JoinedTexts((name,), ids, mask, torch.zeros_like(ids), numbers, PAD)


def found(ids: list[list[int]], *texts: JoinedTexts, seen: tuple[int, ...] = ()) -> Any:
    traced = trace(torch.tensor(ids), texts, seen)
    return None if traced is None else (traced.text, traced.tokens.tolist())


SOURCE, WRITTEN = text("source", [5, 6, 7]), text("generated", [2, 8])


def test_a_text_and_padding_behind_it() -> None:
    assert found([[5, 6, 7, 1]], SOURCE, WRITTEN) == (0, [[0, 1, 2, PADDING]])


def test_a_text_one_later() -> None:
    assert found([[2, 5, 6]], SOURCE) == (0, [[UNASSIGNED, 0, 1]])
    # The last token goes to the front, as mBART's does.
    assert found([[7, 5, 6]], SOURCE) == (0, [[UNASSIGNED, 0, 1]])
    assert found([[2]], text("source", [5])) == (0, [[UNASSIGNED]])


@pytest.mark.parametrize("width", [1, 2, 3])
def test_padding_alone_is_no_text(width: int) -> None:
    assert found([[PAD] * width], SOURCE, WRITTEN, seen=(0,)) == (-1, [[PADDING] * width])


@pytest.mark.parametrize("ids", [[[9]], [[9, 9]], [[9, 9, 9]]])
def test_other_ids_are_no_text(ids: list[list[int]]) -> None:
    assert found(ids, SOURCE, WRITTEN) is None


@pytest.mark.parametrize("source", ["a", "a bad", "a bad film", "a bad film and a good plot"])
def test_a_model_that_embeds_padding_apart(source: str) -> None:
    """LED fills up its windows with the vector of padding, which its layer embeds on its own."""
    (pair,) = chosen(["led:seq2seq"])
    built = build(pair)
    predictor = TransformersPredictor.from_pretrained(built.model, built.tokenizer, task=pair.task)
    given = {"source": source, "max_new_tokens": 3}
    ids = torch.tensor(built.tokenizer(source)["input_ids"])
    explained = InputXGradient(predictor, target="logit").interpret_json(given)
    written = predictor.predict_json(given)["token_ids"]
    for number, explanation in enumerate(explained):
        before = torch.tensor([built.model.config.decoder_start_token_id, *written[:number]])
        own = {
            name: one.attributions for name, one in zip(("y", "x"), explanation.inputs, strict=True)
        }
        expected = _by_hand(built.model, ids, before, written[number])
        for name, scores in expected.items():
            torch.testing.assert_close(torch.tensor(own[name]), scores, rtol=1e-4, atol=1e-5)


def _by_hand(model: Any, source: Tensor, before: Tensor, label: int) -> dict[str, Tensor]:
    """Input times gradient, of leaves in the place of the two texts' vectors."""
    leaves: dict[str, Tensor] = {}

    def hook(module: Any, args: Any, output: Tensor) -> Tensor:
        for name, ids in (("x", source), ("y", before)):
            if name not in leaves and torch.equal(args[0][0, : len(ids)], ids):
                leaves[name] = output.detach().requires_grad_()
                return leaves[name].clone()
        return output

    layers = {
        id(one): one for one in (model.led.encoder.embed_tokens, model.led.decoder.embed_tokens)
    }
    handles = [one.register_forward_hook(hook) for one in layers.values()]
    mask = torch.ones_like(source)[None]
    out = model(input_ids=source[None], attention_mask=mask, decoder_input_ids=before[None])
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(out.logits[0, -1, label], list(leaves.values()))
    return {
        name: (leaf * gradient).sum(-1)[0].detach()
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


def test_positions_first() -> None:
    """XLNet counts positions before rows."""
    one = text("sentence", [5, 6, 7], [8, 9, PAD])
    traced: Any = trace(one.ids.T, [one], ())
    assert traced.transposed
    assert traced.tokens.tolist() == [[0, 1, 2], [0, 1, PADDING]]


def test_two_equal_texts_are_taken_in_turn() -> None:
    """An encoder and a decoder that read the same ids."""
    texts = text("source", [5, 6]), text("generated", [5, 6])
    assert found([[5, 6]], *texts) == (0, [[0, 1]])
    assert found([[5, 6]], *texts, seen=(0,)) == (1, [[0, 1]])


def test_copies_of_rows() -> None:
    one = text("sentence", [5, 6, 7], [8, 9, PAD])
    traced: Any = trace(one.ids, [one], ())
    again = traced.with_rows(torch.tensor([1, 1, 0]))
    assert again.tokens.tolist() == [[0, 1, PADDING], [0, 1, PADDING], [0, 1, 2]]


def test_what_was_found_behind_a_text() -> None:
    source: Any = trace(torch.tensor([[5, 6, 7]]), [SOURCE], ())
    padding: Any = trace(torch.tensor([[PAD]]), [SOURCE], (0,))
    whole = source.followed_by(padding)
    assert (whole.text, whole.tokens.tolist()) == (0, [[0, 1, 2, PADDING]])


@pytest.mark.parametrize("ids", [[[5, 6]], [[5, 6, 7], [5, 6, 7]], [[[5, 6, 7]]]])
def test_another_shape_is_no_text(ids: Any) -> None:
    assert found(ids, SOURCE) is None
