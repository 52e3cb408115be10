"""Sequence classification: one text or two, one label or several, or a number."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy
import torch
import torch.nn.functional as F
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import Field, LabelField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Windows

from ..model.model import TransformersModel
from ..predictor import TransformersPredictor, labelled
from ..texts.json_input import TEXT
from ..texts.reader import TransformersReader


@DatasetReader.register("transformers-text-classification")
class TransformersTextClassificationReader(TransformersReader):
    """Reads `sentence`, or `premise` and `hypothesis`, and `label` where there is one."""

    def text_to_instance(
        self,
        sentence: str | None = None,
        premise: str | None = None,
        hypothesis: str | None = None,
        label: str | None = None,
    ) -> Instance:
        """One text, or two that the model reads as one sequence.

        Args:
            sentence: The text.
            premise: The first of two texts.
            hypothesis: The second.
            label: The gold label.

        Raises:
            InterpretationError: If there is neither one text nor two.
        """
        fields: dict[str, Field] = {}
        if sentence is not None and premise is None and hypothesis is None:
            fields["sentence"] = self.text_field(self._tokenizer.text(sentence), sentence)
        elif sentence is None and premise is not None and hypothesis is not None:
            first, second = self._tokenizer.pair(premise, hypothesis)
            fields["premise"] = self.text_field(first, premise)
            fields["hypothesis"] = self.text_field(second, hypothesis)
        else:
            raise InterpretationError(
                "give one text as 'sentence', or two as 'premise' and 'hypothesis'"
            )
        if label is not None:
            fields["label"] = LabelField(label)
        return Instance(fields)


@Model.register("transformers-text-classification")
class TransformersTextClassifier(TransformersModel):
    """A Hugging Face model with a head for sequence classification or regression."""

    task = "text-classification"
    names_labels = True
    default_predictor = "transformers-text-classification"
    text_fields = ("sentence", "premise", "hypothesis")
    pools = True
    sizes: ClassVar = {"logits": 2}

    @property
    def regression(self) -> bool:
        """Whether the model predicts a number."""
        return self.config.num_labels == 1 or self.config.problem_type == "regression"

    @property
    def multi_label(self) -> bool:
        """Whether each label is there or not, whatever the others."""
        return self.config.problem_type == "multi_label_classification"

    def forward(  # type: ignore[override]
        self, label: Tensor | None = None, **texts: TextFieldTensors
    ) -> dict[str, Any]:
        """Classifies a batch.

        Args:
            label: `(rows,)`, the labels' indices.
            texts: The texts, indexed: `sentence`, or the pairs `premise` and `hypothesis`.

        Returns:
            `logits`, `(rows, labels)`; `probs`, of the same shape, unless the model predicts
            numbers; with labels `loss`, the mean over the rows of the cross entropy (of the
            label's own binary one where there may be several labels).
        """
        (sequence,) = self.joined_texts(texts)
        # A model may end on another device than it begins on.
        logits = self.run(sequence).logits.float().to(sequence.ids.device)
        outputs: dict[str, Any] = {"logits": logits}
        if self.regression:
            return outputs
        outputs["probs"] = logits.sigmoid() if self.multi_label else logits.softmax(-1)
        if label is not None and self.multi_label:
            own = logits.gather(1, label.view(-1, 1)).squeeze(1)
            outputs["loss"] = -F.logsigmoid(own).mean()
        elif label is not None:
            outputs["loss"] = F.cross_entropy(logits, label.view(-1))
        return outputs

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The mean over the windows of the probabilities, or of the number; `logits` are those that
        give these probabilities."""
        logits = torch.stack([torch.as_tensor(one["logits"]) for one in outputs])
        if self.regression:
            return self.readable(logits=logits.mean(0))
        if not self.multi_label:
            return super().merge_windows(instance, cut, outputs)
        probs = logits.double().sigmoid().mean(0)
        return self.readable(logits=probs.logit(eps=1e-12).float(), probs=probs.float())

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds `label`, the name of the best label; `labels`, the names of all that are there,
        where there may be several; or `score`, the number."""
        logits = output_dict["logits"]
        if self.regression:
            output_dict["score"] = logits.tolist() if logits.shape[1] > 1 else logits[:, 0].tolist()
            return output_dict
        output_dict["label"] = self.names(logits.argmax(-1).tolist())
        if self.multi_label:
            output_dict["labels"] = [
                self.names(torch.nonzero(row > 0).flatten().tolist()) for row in logits
            ]
        return output_dict


@Predictor.register("transformers-text-classification")
class TransformersTextClassificationPredictor(TransformersPredictor):
    """Reads `{"sentence": "…"}`, or `{"premise": "…", "hypothesis": "…"}` as two inputs.

    Explains the best label; where there may be several, each that is there (probability above
    one half), or the best if none is; or the number that the model predicts.
    """

    reads: ClassVar = {
        "sentence": replace(TEXT, unless="premise"),
        "premise": replace(TEXT, unless="sentence"),
        "hypothesis": replace(TEXT, unless="sentence"),
    }

    _model: TransformersTextClassifier

    @property
    def default_target(self) -> str:
        """A number has no likelihood: it is explained itself."""
        return "logit" if self._model.regression else "log-likelihood"

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, numpy.ndarray]
    ) -> list[Instance]:
        """One instance per predicted label; the outputs' `logits` are `(labels,)`."""
        if self._model.regression:
            return [instance]
        logits = outputs["logits"]
        several = numpy.flatnonzero(logits > 0) if self._model.multi_label else ()
        return [labelled(instance, int(label)) for label in several] or [
            labelled(instance, int(numpy.argmax(logits)))
        ]
