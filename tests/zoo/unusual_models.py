"""Models that do what real ones do and textbooks do not, and what autograd says about them.

`Awkward` is a small classifier of any number of text fields, lists of them included; a test
derives its oddity from it. `by_hand` is what all numbers are compared with: hooks of its own on
a layer that the test names, and scores that are found by the indices that went into the layer,
so that it knows nothing of offsets, folding, padding or the order of dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import DatasetReader, Instance, TokenIndexer, Vocabulary
from allennlp.data.batch import Batch
from allennlp.data.fields import LabelField, ListField, TextField
from allennlp.data.fields.field import Field
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import Tokenizer, WhitespaceTokenizer
from allennlp.models import Model
from allennlp.modules import TextFieldEmbedder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import Explanation, InputAttribution, InputXGradient
from tests.zoo import LABELS, TAGS, WORDS
from tests.zoo.transformers import spread

JsonDict = dict[str, Any]
Target = Callable[[Mapping[str, Tensor]], Tensor]

DIM = 8
TEXT = "the plot was not bad but good"
SHORT = "great film"
# "badly" and "filmgoers" are two wordpieces, "xkz" three.
SPLIT = "the badly xkz filmgoers had not good"
# All three labels are predicted among them, and two texts are of one length.
TEXTS = [TEXT, SHORT, "awful", "i never had so much", "mary lives in paris", "it was great"]


def minus_loss(outputs: Mapping[str, Tensor]) -> Tensor:
    return -outputs["loss"].sum()


def vocabulary() -> Vocabulary:
    """The zoo's words and labels, and the characters of the words."""
    vocab = Vocabulary()
    for namespace, entries in (
        ("tokens", WORDS),
        ("labels", LABELS),
        ("tag_labels", TAGS),
        ("token_characters", sorted(set("".join(WORDS)))),
    ):
        for entry in entries:
            vocab.add_token_to_namespace(entry, namespace)
    return vocab


class Reader(DatasetReader):
    """A text field per string, a list field per list, to any depth."""

    def __init__(
        self, indexers: dict[str, TokenIndexer] | None = None, tokenizer: Tokenizer | None = None
    ) -> None:
        super().__init__()
        self.indexers = indexers or {"tokens": SingleIdTokenIndexer()}
        self.tokenizer = tokenizer or WhitespaceTokenizer()

    def text_to_instance(self, **texts: Any) -> Instance:  # type: ignore[override]
        return Instance({name: self._field(value) for name, value in texts.items()})

    def _field(self, value: Any) -> Field:
        if isinstance(value, str):
            return TextField(self.tokenizer.tokenize(value))
        return ListField([self._field(item) for item in value])

    def apply_token_indexers(self, instance: Instance) -> None:
        for field in instance.fields.values():
            self._apply(field)

    def _apply(self, field: Field) -> None:
        if isinstance(field, TextField):
            field.token_indexers = self.indexers
        elif isinstance(field, ListField):
            for item in field.field_list:
                self._apply(item)


class AwkwardPredictor(Predictor):
    """JSON's keys are the text fields' names."""

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(**json_dict)

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        labeled = instance.duplicate()
        best = int(np.argmax(outputs["logits"]))
        labeled.add_field("label", LabelField(best, skip_indexing=True))
        return [labeled]


class Awkward(Model):
    """Σ over fields and tokens of a nonlinear function of embedding and position, then a head.

    Args:
        vocab: The vocabulary.
        embedder: The text field embedder.
        depths: How many list dimensions a field has, 0 unless told.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        embedder: TextFieldEmbedder,
        depths: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(vocab)
        self.text_field_embedder = embedder
        self.depths = dict(depths or {})
        self.inner = nn.Linear(embedder.get_output_dim(), 6)
        self.head = nn.Linear(6, len(LABELS))

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = self.head(self.summary(texts))
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = self.loss(logits, label)
        return outputs

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        return torch.stack([self.read(name, tensors) for name, tensors in texts.items()]).sum(0)

    def read(self, name: str, tensors: Any) -> Tensor:
        depth = self.depths.get(name, 0)
        mask = get_text_field_mask(tensors, num_wrapping_dims=depth)
        return self.pool(self.embed(name, tensors, depth), mask)

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        return self.text_field_embedder(tensors, num_wrapping_dims=depth)

    def pool(self, embedded: Tensor, mask: Tensor) -> Tensor:
        hidden = torch.tanh(self.inner(embedded)) * mask.unsqueeze(-1)
        places = torch.arange(1, hidden.shape[-2] + 1, device=hidden.device, dtype=hidden.dtype)
        summed = (hidden / places.unsqueeze(-1)).sum(-2)
        while summed.dim() > 2:
            items = torch.arange(1, summed.shape[-2] + 1, device=hidden.device, dtype=hidden.dtype)
            summed = (summed * items.unsqueeze(-1)).sum(-2)
        return summed

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label)


def words_embedder(vocab: Vocabulary, **config: Any) -> BasicTextFieldEmbedder:
    return BasicTextFieldEmbedder({"tokens": Embedding(embedding_dim=DIM, vocab=vocab, **config)})


def predictor_of(
    model: Model,
    indexers: dict[str, TokenIndexer] | None = None,
    tokenizer: Tokenizer | None = None,
    predictor: type[Predictor] = AwkwardPredictor,
    seed: int | None = 1,
) -> Predictor:
    """A predictor of a model, whose weights are drawn anew unless there is no seed."""
    if seed is not None:
        spread(model, seed)
    return predictor(model, Reader(indexers, tokenizer))


def awkward(
    kind: type[Awkward] = Awkward, *, embedder: TextFieldEmbedder | None = None, **options: Any
) -> Predictor:
    """A predictor over words."""
    vocab = vocabulary()
    return predictor_of(kind(vocab, embedder or words_embedder(vocab), **options))


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


def labeled(predictor: Predictor, json: JsonDict) -> list[Instance]:
    return predictor.json_to_labeled_instances(json)


def collated(predictor: Predictor, instance: Instance) -> dict[str, Any]:
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(predictor._model.vocab)
    return dict(batch.as_tensor_dict())


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


def explain(predictor: Predictor, json: JsonDict, **options: Any) -> Explanation:
    """The only explanation of an input, by the method that autograd checks most easily."""
    (explanation,) = InputXGradient(predictor, **options).interpret_json(json)
    return explanation


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
