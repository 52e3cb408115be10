"""Models that do what real ones do and textbooks do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
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

from allennlp_saliency.interpret import Explanation, InputXGradient
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


def labeled(predictor: Predictor, json: JsonDict) -> list[Instance]:
    return predictor.json_to_labeled_instances(json)


def collated(predictor: Predictor, instance: Instance) -> dict[str, Any]:
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(predictor._model.vocab)
    return dict(batch.as_tensor_dict())


def explain(predictor: Predictor, json: JsonDict, **options: Any) -> Explanation:
    """The only explanation of an input, by the method that autograd checks most easily."""
    (explanation,) = InputXGradient(predictor, **options).interpret_json(json)
    return explanation
