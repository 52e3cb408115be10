"""What autograd says about the unusual models, and explanations beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import Explanation, InputAttribution, InputXGradient
from tests.zoo.unusual_models import (
    SHORT,
    TEXT,
    JsonDict,
    Target,
    collated,
    explain,
    labeled,
    minus_loss,
)


@dataclass(frozen=True)
class Call:
    """One call of a layer: what went in, came out, and the gradient of the target there."""

    ids: Tensor
    embeddings: Tensor
    gradients: Tensor

    @property
    def products(self) -> Tensor:
        """e · g, in the shape of the output without its last dimension."""
        return (self.embeddings * self.gradients).sum(-1)

    def by_id(self) -> dict[int, float]:
        """Σ e · g over the places where an index stands."""
        found: dict[int, float] = {}
        for index, product in zip(
            self.ids.flatten().tolist(), self.products.flatten().tolist(), strict=True
        ):
            found[index] = found.get(index, 0.0) + product
        return found


def by_hand(
    predictor: Predictor,
    instance: Instance,
    layer: nn.Module,
    target: Target = minus_loss,
    scale: float = 1.0,
) -> list[Call]:
    """Runs the model on one labelled instance and differentiates with respect to a layer.

    Args:
        predictor: The predictor.
        instance: The labelled instance.
        layer: The layer.
        target: What to differentiate.
        scale: What to multiply the layer's outputs with.
    """
    model = predictor._model
    was_training = model.training
    inputs: list[Tensor] = []
    leaves: list[Tensor] = []

    def hook(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        inputs.append(next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), output))
        leaves.append((output.detach() * scale).requires_grad_())
        return leaves[-1].clone()

    handle = layer.register_forward_hook(hook, with_kwargs=True)
    try:
        model.eval()
        value = target(model(**collated(predictor, instance)))
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    finally:
        handle.remove()
        model.train(was_training)
    return [
        Call(
            ids,
            leaf.detach().double(),
            (torch.zeros_like(leaf) if gradient is None else gradient).double(),
        )
        for ids, leaf, gradient in zip(inputs, leaves, gradients, strict=True)
    ]


def sums(calls: Sequence[Call]) -> dict[int, float]:
    """Σ e · g by index, over some calls."""
    total: dict[int, float] = {}
    for call in calls:
        for index, product in call.by_id().items():
            total[index] = total.get(index, 0.0) + product
    return total


def word_ids(predictor: Predictor, namespace: str = "tokens") -> Callable[[str], list[int]]:
    """The index of a word."""
    return lambda word: [predictor._model.vocab.get_token_index(word, namespace)]


def piece_ids(folder: str) -> Callable[[str], list[int]]:
    """The indices of a word's wordpieces."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    whole = tokenizer.get_vocab()
    special = {token: [whole[token]] for token in tokenizer.all_special_tokens}
    return lambda word: (
        special.get(word)
        or (
            [whole[word]]
            if word in whole
            else tokenizer(word, add_special_tokens=False)["input_ids"]
        )
    )


def field_of(explanation: Explanation, name: str) -> InputAttribution:
    (found,) = [one for one in explanation.inputs if one.field == name]
    return found


def expected(
    attribution: InputAttribution, sums_by_id: Mapping[int, float], ids: Callable[[str], list[int]]
) -> list[float]:
    """What the tokens of a field should score; no index may stand in two of them."""
    per_token = [ids(token) for token in attribution.tokens]
    flat = [index for token in per_token for index in set(token)]
    assert len(flat) == len(set(flat)), "the text repeats a wordpiece: choose another"
    return [sum(sums_by_id.get(index, 0.0) for index in set(token)) for token in per_token]


def check_field(
    attribution: InputAttribution,
    calls: Sequence[Call],
    ids: Callable[[str], list[int]],
    rel: float = 1e-4,
) -> None:
    """Compares a field's scores, and what belongs to none of its tokens, with `by_hand`."""
    by_id = sums(calls)
    wanted = expected(attribution, by_id, ids)
    size = max(map(abs, by_id.values()))
    assert size > 0
    close = pytest.approx(wanted, rel=rel, abs=rel * size)
    assert attribution.attributions == close
    rest = sum(by_id.values()) - sum(wanted)
    assert attribution.unassigned == pytest.approx(rest, rel=rel, abs=rel * size)


def check_batch_equals_single(
    predictor: Predictor, inputs: Sequence[JsonDict], rel: float = 1e-5, **options: Any
) -> None:
    """Explaining inputs together changes no score."""
    interpreter = InputXGradient(predictor, **options)
    together = interpreter.interpret_batch_json(inputs)
    alone = [interpreter.interpret_json(json) for json in inputs]
    for packed, single in zip(together, alone, strict=True):
        assert len(packed) == len(single)
        for one, other in zip(packed, single, strict=True):
            for left, right in zip(one.inputs, other.inputs, strict=True):
                size = max(map(abs, right.attributions), default=0.0)
                assert (left.field, left.tokens) == (right.field, right.tokens)
                assert left.attributions == pytest.approx(
                    right.attributions, rel=rel, abs=rel * size
                )
                assert left.unassigned == pytest.approx(right.unassigned, rel=rel, abs=rel * size)


def words_layer(predictor: Predictor) -> nn.Module:
    return predictor._model.text_field_embedder._token_embedders["tokens"]


def check_words(predictor: Predictor, rel: float = 1e-4, **options: Any) -> None:
    """All that holds for a predictor over words: the right numbers, together as alone."""
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(predictor, instance, words_layer(predictor))
    found = field_of(explain(predictor, {"tokens": TEXT}, **options), "tokens")
    check_field(found, calls, word_ids(predictor), rel=rel)
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=10 * rel)


def table(predictor: Any) -> nn.Module:
    return predictor._model.text_field_embedder._token_embedders["tokens"]
