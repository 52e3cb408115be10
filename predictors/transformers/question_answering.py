"""Extractive question answering: why the answer stands here."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import MetadataField, SpanField, TextField
from allennlp.data.fields.field import Field
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.windows import Parts

from .json_input import TEXT
from .long_texts import Spans
from .model import TransformersModel
from .overlong import LongText, Overlong
from .predictor import TransformersPredictor
from .reader import TransformersReader
from .token_sequence import TokenSequence, joined


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
        (sequence,) = self.joined_texts({"question": question, "passage": passage})
        found = self.run(sequence)
        if getattr(found, "start_logits", None) is None:
            raise InterpretationError(
                f"{type(self.transformer).__name__} returns no start_logits but "
                f"{', '.join(found)}; use a head that scores every token as an answer's start and "
                "end"
            )
        before, mask = question["tokens"]["mask"].sum(-1, keepdim=True), passage["tokens"]["mask"]
        # (rows, passage positions): where the passage's tokens stand in the sequence.
        places = before + torch.arange(mask.shape[1], device=mask.device)
        places = places.clamp_max(found.start_logits.shape[1] - 1)
        possible = passage["tokens"]["in_text"] & mask
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

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[TokenSequence]:
        """The question and the passage as one sequence."""
        given = {name: fields[name] for name in ("question", "passage")}
        return [joined(given, self.padding_id)]

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The passage; the question stays as it is."""
        question: Any = instance["question"]
        return ["passage"], {"'question'": len(question.tokens)}

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """An answer is explained in the window that it was found in."""
        spans = super().spans(instance, texts, room, wanted)
        metadata: Any = instance.fields.get("metadata")
        number = metadata.metadata.get("window") if metadata is not None else None
        return spans if number is None else [spans[number]]

    def part_of_field(self, name: str, field: Field, places: Sequence[int]) -> Field:
        """The places of the part's tokens."""
        if not isinstance(field, MetadataField):
            return field
        told: Any = field.metadata
        offsets = [told["token_offsets"][place] for place in places]
        return MetadataField({**told, "token_offsets": offsets})

    def together(
        self, instance: Instance, cut: Parts, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The logits of the window whose best answer has the highest sum of logits, lowest at the
        tokens of the passage that are not in it."""
        number = max(range(len(outputs)), key=lambda n: _score(outputs[n]))
        passage, metadata = instance["passage"], instance["metadata"]
        assert isinstance(passage, TextField)
        assert isinstance(metadata, MetadataField)
        places = cut.parts[number].places["passage"]
        logits = {}
        for name in _LOGITS:
            logits[name] = torch.full((len(passage.tokens),), torch.finfo(torch.float32).min)
            logits[name][places] = torch.as_tensor(outputs[number][name])[: len(places)]
        return self.readable(**logits, metadata=metadata.metadata)

    def found_in(self, cut: Parts, outputs: Mapping[str, Any]) -> int:
        """The number of the window that an answer was found in, by the outputs of the whole."""
        possible = outputs[_LOGITS[0]] > torch.finfo(torch.float32).min
        first = int(possible.argmax())
        starts = [part.spans["passage"][0] for part in cut.parts]
        return max(number for number, start in enumerate(starts) if start <= first)

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

    reads: ClassVar = {"question": TEXT, "passage": TEXT}

    _model: TransformersQuestionAnswerer

    @property
    def default_target(self) -> str:
        """The start logit of the answer plus its end logit."""
        return "span"

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
        cut = self._model.in_parts(instance)
        if cut is not None:
            metadata: Any = instance["metadata"]
            told = {**metadata.metadata, "window": self._model.found_in(cut, outputs)}
            copy.fields["metadata"] = MetadataField(told)
        return [copy]


_LOGITS = ("span_start_logits", "span_end_logits")


def _score(outputs: Mapping[str, Any]) -> float:
    """The sum of the logits of the best answer's ends."""
    ends = zip(_LOGITS, outputs["best_span"], strict=True)
    return sum(float(outputs[name][place]) for name, place in ends)


def _best(starts: Tensor, ends: Tensor) -> tuple[int, int]:
    """The first and last token with the highest sum of logits, first <= last."""
    sums = (starts.unsqueeze(1) + ends.unsqueeze(0)).cpu()
    sums = sums.masked_fill(~torch.ones_like(sums, dtype=torch.bool).triu(), -torch.inf)
    best = int(sums.argmax())
    return best // len(ends), best % len(ends)
