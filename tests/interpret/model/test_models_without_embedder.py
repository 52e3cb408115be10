"""Models that are not AllenNLP's, and predictors that say where their layers are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.token_indexers import (
    PretrainedTransformerIndexer,
    PretrainedTransformerMismatchedIndexer,
)
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from tests.zoo import LABELS
from tests.zoo.embedder_transformers import transformer
from tests.zoo.transformers import spread
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    field_of,
    piece_ids,
)
from tests.zoo.unusual_models import SPLIT, AwkwardPredictor, Reader, explain, labeled, vocabulary


class Foreign(nn.Module):
    """A Hugging Face model in a plain module, which reads `input_ids`."""

    def __init__(self, folder: str, vocab: Vocabulary) -> None:
        super().__init__()
        from transformers import AutoModel

        self.vocab = vocab
        self.backbone = AutoModel.from_pretrained(folder)
        self.head = nn.Linear(16, len(LABELS))

    def forward(self, text: Any, label: Tensor | None = None) -> dict[str, Tensor]:
        ids, mask = text["tokens"]["token_ids"], text["tokens"]["mask"]
        if "wordpiece_mask" in text["tokens"]:
            mask = text["tokens"]["wordpiece_mask"]
        hidden = self.backbone(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        logits = self.head(hidden[:, 0])
        if label is None:
            return {"logits": logits}
        return {"logits": logits, "loss": nn.functional.cross_entropy(logits, label)}

    def forward_on_instance(self, instance: Instance) -> dict[str, Any]:
        from allennlp.data.batch import Batch

        batch = Batch([instance])
        batch.index_instances(self.vocab)
        with torch.no_grad():
            outputs = self(**batch.as_tensor_dict())
        return {name: value[0].numpy() for name, value in outputs.items()}


class ForeignPredictor(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.backbone.embeddings.word_embeddings

    def get_interpretable_text_field_embedder(self) -> nn.Module:
        return self._model.backbone


class LayerOnlyPredictor(AwkwardPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        return self._model.backbone.embeddings.word_embeddings


def foreign(
    folder: str, mismatched: bool, predictor: type[Predictor] = ForeignPredictor
) -> Predictor:
    model = Foreign(folder, vocabulary())
    spread(model.head, 1)
    indexer: Any = PretrainedTransformerIndexer(folder)
    tokenizer = None if mismatched else PretrainedTransformerTokenizer(folder)
    if mismatched:
        indexer = PretrainedTransformerMismatchedIndexer(folder)
    return predictor(model, Reader({"tokens": indexer}, tokenizer))


@pytest.mark.parametrize("kind", [ForeignPredictor, LayerOnlyPredictor])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_a_plain_module_behind_a_predictor_that_names_its_layers(
    folder: Callable[[str], str], mismatched: bool, kind: type[Predictor]
) -> None:
    predictor = foreign(folder("bert"), mismatched, kind)
    (instance,) = labeled(predictor, {"text": SPLIT})
    calls = by_hand(predictor, instance, predictor.get_interpretable_layer())
    found = field_of(explain(predictor, {"text": SPLIT}), "text")
    check_field(found, calls, piece_ids(folder("bert")))
    check_batch_equals_single(
        predictor, [{"text": SPLIT}, {"text": "good film"}, {"text": SPLIT + " it"}], 1e-4
    )


@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_the_only_transformer_of_a_plain_module_is_explained(
    folder: Callable[[str], str], mismatched: bool
) -> None:
    predictor = foreign(folder("bert"), mismatched, AwkwardPredictor)
    (instance,) = labeled(predictor, {"text": SPLIT})
    layer: Any = predictor._model
    calls = by_hand(predictor, instance, layer.backbone.embeddings.word_embeddings)
    found = field_of(explain(predictor, {"text": SPLIT}), "text")
    check_field(found, calls, piece_ids(folder("bert")))


def test_a_plain_module_that_nobody_explains(folder: Callable[[str], str]) -> None:
    predictor = foreign(folder("bert"), False, AwkwardPredictor)
    model: Any = predictor._model
    # Which of two transformers is to be explained, nobody says.
    model.second = copy.deepcopy(model.backbone)
    with pytest.raises(InterpretationError, match="get_interpretable_layer"):
        explain(predictor, {"text": SPLIT})


def test_a_layer_that_is_no_part_of_the_model(folder: Callable[[str], str]) -> None:
    class Elsewhere(ForeignPredictor):
        def get_interpretable_layer(self) -> nn.Module:
            return nn.Embedding(3, 3)

    with pytest.raises(InterpretationError, match="no part of its model"):
        explain(foreign(folder("bert"), False, Elsewhere), {"text": SPLIT})


class WholeEmbedderPredictor(AwkwardPredictor):
    """Asks for scores at the embedder's top, not at the words."""

    def get_interpretable_layer(self) -> nn.Module:
        return self._model.text_field_embedder


def test_scores_at_the_top_of_an_embedder(folder: Callable[[str], str]) -> None:
    """A mismatched embedder's top has a position per word."""
    predictor = transformer(folder("bert"), mismatched=True)
    predictor = WholeEmbedderPredictor(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": SPLIT})
    (call,) = by_hand(predictor, instance, predictor._model.text_field_embedder)
    found = field_of(explain(predictor, {"tokens": SPLIT}), "tokens")
    assert found.attributions == pytest.approx(call.products[0].tolist(), rel=1e-4, abs=1e-6)
