"""An AllenNLP classifier as captum wants it: a module from embeddings to the explained number."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.data.batch import Batch
from allennlp.predictors import Predictor
from torch import Tensor, nn


class FromEmbeddings(nn.Module):
    """The log-likelihood of a label, `(rows,)`, from a transformer's input embeddings."""

    def __init__(self, model: Any, tensors: dict[str, Any], label: int) -> None:
        super().__init__()
        self.model = model
        self._tensors = tensors
        self._label = label
        (embedder,) = model._text_field_embedder._token_embedders.values()
        self._words = [embedder.transformer_model.get_input_embeddings()]

    def forward(self, embeddings: Tensor) -> Tensor:
        """`embeddings`: `(rows, wordpieces, dim)`."""
        rows = len(embeddings)
        tokens = {
            key: {name: value.expand(rows, *value.shape[1:]) for name, value in tensors.items()}
            for key, tensors in self._tensors["tokens"].items()
        }
        handle = self._words[0].register_forward_hook(lambda *_: embeddings)
        try:
            logits = self.model(tokens)["logits"]
        finally:
            handle.remove()
        return logits.log_softmax(-1)[:, self._label]


def embedded(predictor: Predictor, json: Any) -> tuple[FromEmbeddings, Tensor, Tensor]:
    """The model, an input's embeddings and the zero baseline that keeps special tokens."""
    model = predictor._model
    (instance,) = predictor.json_to_labeled_instances(json)
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(model.vocab)
    tensors = batch.as_tensor_dict()
    wrapped = FromEmbeddings(model, tensors, int(tensors["label"]))
    (indexed,) = tensors["tokens"].values()
    with torch.no_grad():
        x = wrapped._words[0](indexed["token_ids"])
    special = torch.tensor([token.idx is None for token in instance["tokens"].tokens])
    baseline = torch.where(special.view(1, -1, 1), x, torch.zeros_like(x))
    return wrapped, x.requires_grad_(), baseline
