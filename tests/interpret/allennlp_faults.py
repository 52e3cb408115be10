"""What the tests of the defects share: both sides' scores, and models whose scores are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from allennlp.data.token_indexers import PretrainedTransformerMismatchedIndexer
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import PretrainedTransformerMismatchedEmbedder
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient
from tests.zoo.unusual_checks import by_hand, piece_ids, sums
from tests.zoo.unusual_models import Awkward, AwkwardPredictor, labeled, predictor_of, vocabulary


def theirs(method: type[SaliencyInterpreter], predictor: Predictor, text: Any) -> dict[str, Any]:
    """What an interpreter of AllenNLP's says of the first labelled instance."""
    return method(predictor).saliency_interpret_from_json(text)["instance_1"]


def ours(predictor: Predictor, text: Any) -> dict[str, Any]:
    return InputXGradient(predictor).saliency_interpret_from_json(text)["instance_1"]


def shares(scores: Any) -> list[float]:
    """|s| / Σ|s|: what both promise to return."""
    sizes = np.abs(np.asarray(scores, dtype=float))
    return (sizes / sizes.sum()).tolist()


def table(predictor: Predictor) -> nn.Module:
    return predictor._model.text_field_embedder._token_embedders["tokens"]


def word_table(predictor: Predictor, key: str = "tokens") -> nn.Module:
    """BERT's table of word embeddings."""
    embedder = predictor._model.text_field_embedder._token_embedders[key]
    return embedder._matched_embedder.transformer_model.embeddings.word_embeddings


def mismatched(
    folder: str,
    kind: type[Awkward] = Awkward,
    predictor: type[Predictor] = AwkwardPredictor,
    max_length: int | None = None,
) -> Predictor:
    """Words in, wordpieces inside."""
    embedder = PretrainedTransformerMismatchedEmbedder(folder, max_length=max_length)
    model = kind(vocabulary(), BasicTextFieldEmbedder({"tokens": embedder}))
    for number, part in enumerate((model.inner, model.head)):
        nn.init.normal_(part.weight, generator=torch.Generator().manual_seed(number))
        nn.init.zeros_(part.bias)
    indexer = PretrainedTransformerMismatchedIndexer(folder, max_length=max_length)
    return predictor_of(model, {"tokens": indexer}, predictor=predictor, seed=None)


def per_word(predictor: Predictor, text: dict[str, Any], folder: str) -> list[float]:
    """Σ e · g over the wordpieces of each word of a text, by hand."""
    (instance,) = labeled(predictor, text)
    by_id = sums(by_hand(predictor, instance, word_table(predictor)))
    ids = piece_ids(folder)
    return [sum(by_id[i] for i in ids(word)) for word in next(iter(text.values())).split()]


class Linear(Awkward):
    """Logits are a linear function of the summed embeddings: e_t · w is all there is to say."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        return torch.stack([self.embed(*item, 0).sum(1) for item in texts.items()]).sum(0)

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        logits = self.summary(texts) @ self.weight
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = self.loss(logits, label)
        return outputs

    @property
    def weight(self) -> Tensor:
        return (self.head.weight @ self.inner.weight).T


def linear_scores(predictor: Predictor, text: dict[str, str]) -> dict[str, np.ndarray]:
    """e_t · ∂(log p_y)/∂e_t = e_t · (w_y - Σ_c p_c w_c), in closed form, by field."""
    model = predictor._model
    ids = {k: [model.vocab.get_token_index(w) for w in v.split()] for k, v in text.items()}
    embeddings = {k: table(predictor).weight[i].detach().double() for k, i in ids.items()}
    weight = model.weight.detach().double()
    logits = sum(e.sum(0) for e in embeddings.values()) @ weight
    g = weight[:, logits.argmax()] - weight @ logits.softmax(-1)
    return {name: (e @ g).numpy() for name, e in embeddings.items()}
