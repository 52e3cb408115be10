"""Extractive question answering: why the answer stands here."""

from typing import Any

import torch
import torch.nn.functional as F
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import MetadataField, SpanField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError

from .embedded import joined
from .model import TransformersModel
from .predictor import TransformersPredictor
from .reader import TransformersReader


@DatasetReader.register("transformers-question-answering")
class TransformersQuestionAnsweringReader(TransformersReader):
    """Reads `question` and `passage`."""

    def text_to_instance(self, question: str, passage: str) -> Instance:
        """A question and the text that has the answer.

        Args:
            question: The question.
            passage: The text.

        Raises:
            InterpretationError: If the passage has no tokens.
        """
        first, second = self._tokenizer.pair(question, passage)
        offsets = [None if t.idx is None else (t.idx, t.idx_end) for t in second]
        if not any(span is not None for span in offsets):
            raise InterpretationError("the passage has no tokens, so there is no answer in it")
        told = {"original_passage": passage, "token_offsets": offsets}
        return Instance(
            {
                "question": self.text_field(first, question),
                "passage": self.text_field(second, passage),
                "metadata": MetadataField(told),
            }
        )


@Model.register("transformers-question-answering")
class TransformersQuestionAnswerer(TransformersModel):
    """A Hugging Face model with a head for extractive question answering.

    Args:
        vocab: Not used.
        model_name: A folder, a hub id or a model object.
        dtype: The floating type of the weights; None as they are.
    """

    task = "question-answering"
    default_predictor = "transformers-question-answering"

    def forward(
        self,
        question: TextFieldTensors,
        passage: TextFieldTensors,
        answer: Tensor | None = None,
        metadata: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Finds answers.

        Args:
            question: The questions, indexed.
            passage: The passages, indexed.
            answer: `(rows, 2)`, the first and last token of each answer in its passage.
            metadata: Per row what the reader noted.

        Returns:
            `span_start_logits` and `span_end_logits`, `(rows, passage positions)`, lowest where no
            answer can be; with answers `loss`, the mean of minus the log-likelihood of both ends.
        """
        first, second = self.embed(question), self.embed(passage)
        found = self.run(joined([first, second]))
        # (rows, passage positions): where the passage's tokens stand in the sequence.
        places = first.lengths.unsqueeze(1) + torch.arange(
            second.mask.shape[1], device=second.mask.device
        )
        places = places.clamp_max(found.start_logits.shape[1] - 1)
        possible = passage["tokens"]["in_text"] & second.mask
        starts, ends = (
            logits.float().gather(1, places).masked_fill(~possible, torch.finfo(torch.float32).min)
            for logits in (found.start_logits, found.end_logits)
        )
        outputs: dict[str, Any] = {"span_start_logits": starts, "span_end_logits": ends}
        if answer is not None:
            loss = F.cross_entropy(starts, answer[:, 0]) + F.cross_entropy(ends, answer[:, 1])
            outputs["loss"] = loss
        if metadata is not None:
            outputs["metadata"] = metadata
        return outputs

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds `best_span`, the first and last token of the answer in the passage,
        `best_span_str`, its text, and `best_span_characters`, where that stands."""
        starts, ends = output_dict["span_start_logits"], output_dict["span_end_logits"]
        spans = [_best(*pair) for pair in zip(starts, ends, strict=True)]
        output_dict["best_span"] = spans
        told = output_dict.pop("metadata", None)
        if told is not None:
            places = [
                (one["token_offsets"][a][0], one["token_offsets"][b][1])
                for one, (a, b) in zip(told, spans, strict=True)
            ]
            output_dict["best_span_characters"] = places
            output_dict["best_span_str"] = [
                one["original_passage"][a:b] for one, (a, b) in zip(told, places, strict=True)
            ]
        return output_dict


@Predictor.register("transformers-question-answering")
class TransformersQuestionAnsweringPredictor(TransformersPredictor):
    """Reads `{"question": "…", "passage": "…"}`; explains the best answer, as two inputs."""

    @property
    def default_target(self) -> str:
        """The start logit of the answer plus its end logit."""
        return "span"

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["question"], json_dict["passage"])

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """The instance with its best answer.

        Args:
            instance: What the reader made of the input.
            outputs: The model's outputs for it.
        """
        start, end = outputs["best_span"]
        copy = instance.duplicate()
        copy.add_field("answer", SpanField(int(start), int(end), copy["passage"]))  # type: ignore[arg-type]
        return [copy]


def _best(starts: Tensor, ends: Tensor) -> tuple[int, int]:
    """The first and last token with the highest sum of logits, first <= last."""
    sums = (starts.unsqueeze(1) + ends.unsqueeze(0)).cpu()
    sums = sums.masked_fill(~torch.ones_like(sums, dtype=torch.bool).triu(), -torch.inf)
    best = int(sums.argmax())
    return best // len(ends), best % len(ends)
