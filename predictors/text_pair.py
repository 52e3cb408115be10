"""Classify a pair of texts: a dataset reader, a small model and a predictor, all named `text-pair`.

AllenNLP's core has no model with two text fields. This one attends, compares and aggregates, as
Parikh et al. 2016 (arXiv 1606.01933), over any text field embedder.
"""

# AllenNLP builds constructor arguments from their annotations, and reads neither `X | None` nor
# annotations that are strings.
# ruff: noqa: UP045

import json
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy
import torch
from allennlp.common.file_utils import cached_path
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, TextFieldTensors, Vocabulary
from allennlp.data.fields import Field, LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer, TokenIndexer
from allennlp.data.tokenizers import SpacyTokenizer, Tokenizer
from allennlp.models import Model
from allennlp.modules import FeedForward, MatrixAttention, TextFieldEmbedder
from allennlp.nn import InitializerApplicator
from allennlp.nn.util import get_text_field_mask, masked_softmax, weighted_sum
from allennlp.predictors import Predictor
from allennlp.training.metrics import CategoricalAccuracy


@DatasetReader.register("text-pair")
class TextPairReader(DatasetReader):
    """Reads JSON lines with two texts and a label into instances.

    The fields are `premise` and `hypothesis` (text) and, where the line has one, `label`.

    Args:
        tokenizer: splits both texts; spaCy's by default.
        token_indexers: index both texts; one id per word by default.
        premise_key: the first text's key in a line.
        hypothesis_key: the second text's key in a line.
        label_key: the label's key in a line.
    """

    def __init__(
        self,
        tokenizer: Optional[Tokenizer] = None,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        premise_key: str = "premise",
        hypothesis_key: str = "hypothesis",
        label_key: str = "label",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
        )
        self._tokenizer = tokenizer or SpacyTokenizer()
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        self._keys = premise_key, hypothesis_key, label_key

    def _read(self, file_path: str) -> Iterable[Instance]:
        premise, hypothesis, label = self._keys
        with open(cached_path(file_path), encoding="utf-8") as lines:
            for line in self.shard_iterable(line for line in lines if line.strip()):
                pair = json.loads(line)
                yield self.text_to_instance(pair[premise], pair[hypothesis], pair.get(label))

    def text_to_instance(self, premise: str, hypothesis: str, label: str | None = None) -> Instance:
        """One pair as an instance.

        Args:
            premise: the first text.
            hypothesis: the second text.
            label: the gold label, if there is one.
        """
        fields: dict[str, Field] = {
            "premise": TextField(self._tokenizer.tokenize(premise)),
            "hypothesis": TextField(self._tokenizer.tokenize(hypothesis)),
        }
        if label is not None:
            fields["label"] = LabelField(label)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Give both texts of an instance their indexers."""
        for name in ("premise", "hypothesis"):
            instance.fields[name].token_indexers = self._token_indexers  # type: ignore[attr-defined]


@Model.register("text-pair")
class TextPairClassifier(Model):
    """Classifies a pair of texts by comparing each word with what it stands for in the other text.

    Each word attends to the other text, is compared with what it attends to, and the comparisons
    are added up per text; both sums decide. The premise is embedded first, then the hypothesis.

    Args:
        vocab: knows the labels.
        text_field_embedder: embeds both texts; vectors of size `d`.
        attention: how alike a word of one text and a word of the other are, from vectors of size
            `d`. With `cosine` a word attends to the same words however long its vector is.
        sharpness: what the likeness is multiplied by before the softmax.
        compare: maps `d`, how a word differs from what it attends to, to `c`.
        aggregate: maps `2 * c` to one logit per label.
        dropout: the share of embedding entries dropped in training.
        label_namespace: where the vocabulary has the labels.
        initializer: initialises parameters by name.

    Source: Parikh et al. 2016, arXiv 1606.01933.
    """

    default_predictor = "text-pair"

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        attention: MatrixAttention,
        compare: FeedForward,
        aggregate: FeedForward,
        sharpness: float = 10.0,
        dropout: float = 0.0,
        label_namespace: str = "labels",
        initializer: Optional[InitializerApplicator] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(vocab, **kwargs)
        self._text_field_embedder = text_field_embedder
        self._attention = attention
        self._sharpness = sharpness
        self._compare = compare
        self._aggregate = aggregate
        self._dropout = torch.nn.Dropout(dropout)
        self._label_namespace = label_namespace
        self._accuracy = CategoricalAccuracy()
        self._loss = torch.nn.CrossEntropyLoss()
        if initializer is not None:
            initializer(self)

    def forward(
        self,
        premise: TextFieldTensors,
        hypothesis: TextFieldTensors,
        label: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Classify a batch of pairs.

        Args:
            premise: the first texts, indexed.
            hypothesis: the second texts, indexed.
            label: `(batch,)`, the labels' indices.

        Returns:
            `logits` and `probs`, `(batch, labels)`, and with labels the mean cross entropy, `loss`.
        """
        first, second = (
            self._dropout(self._text_field_embedder(text)) for text in (premise, hypothesis)
        )
        first_mask, second_mask = get_text_field_mask(premise), get_text_field_mask(hypothesis)
        # (batch, words of the first, words of the second)
        similarity = self._sharpness * self._attention(first, second)
        of_first = self._compared(first, first_mask, second, second_mask, similarity)
        similarity = similarity.transpose(1, 2)
        of_second = self._compared(second, second_mask, first, first_mask, similarity)
        logits = self._aggregate(torch.cat([of_first, of_second], dim=-1))
        outputs = {"logits": logits, "probs": logits.softmax(dim=-1)}
        if label is not None:
            outputs["loss"] = self._loss(logits, label.long().view(-1))
            self._accuracy(logits, label)
        return outputs

    def _compared(
        self,
        text: torch.Tensor,
        mask: torch.Tensor,
        other: torch.Tensor,
        other_mask: torch.BoolTensor,
        similarity: torch.Tensor,
    ) -> torch.Tensor:
        aligned = weighted_sum(other, masked_softmax(similarity, other_mask))
        # A signed square: words that have their like in the other text add nothing, and neither
        # does a small change of theirs, so that what is the same explains nothing.
        difference = text - aligned
        compared = self._compare(difference * difference.abs())
        return (compared * mask.unsqueeze(-1)).sum(dim=1)

    def make_output_human_readable(
        self, output_dict: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Add the name of the most probable label, `label`."""
        names = self.vocab.get_index_to_token_vocabulary(self._label_namespace)
        best = output_dict["probs"].argmax(dim=-1)
        output_dict["label"] = [names[int(index)] for index in best]  # type: ignore[assignment]
        return output_dict

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        """The share of right labels, `accuracy`."""
        return {"accuracy": self._accuracy.get_metric(reset)}


@Predictor.register("text-pair")
class TextPairPredictor(Predictor):
    """Predicts from JSON that looks like `{"premise": "...", "hypothesis": "..."}`."""

    def predict(self, premise: str, hypothesis: str) -> JsonDict:
        """Classify one pair of texts."""
        return self.predict_json({"premise": premise, "hypothesis": hypothesis})

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["premise"], json_dict["hypothesis"])

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, numpy.ndarray]
    ) -> list[Instance]:
        """The instance with the predicted label; `probs` of the outputs is `(labels,)`."""
        labeled = instance.duplicate()
        best = int(numpy.argmax(outputs["probs"]))
        labeled.add_field("label", LabelField(best, skip_indexing=True))
        return [labeled]
