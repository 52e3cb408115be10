"""Extractive question answering: the answer is a span of the passage."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import MetadataField, SpanField, TensorField
from allennlp.data.fields.field import Field
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Windows
from allennlp_saliency.interpret.target.span_target import best_spans

from ..model.model import TransformersModel
from ..model.outputs import check_positions
from ..predictor import TransformersPredictor
from ..texts.json_input import SWITCH, TEXT
from ..texts.overlong import LongText, Spans
from ..texts.reader import Overlong, TransformersReader
from .no_answer import END, START, no_answer_logits, no_answer_loss, no_answer_place, threshold_of


@DatasetReader.register("transformers-question-answering")
class TransformersQuestionAnsweringReader(TransformersReader):
    """Reads `question` and `passage`.

    Args:
        model_name: A folder, a hub id or a tokenizer object.
        no_answer: Whether a passage may have no answer, for models trained on such; a number is
            by how much that has to exceed the best answer.
        kwargs: See `TransformersReader`.
    """

    def __init__(self, model_name: Any, no_answer: bool | float = False, **kwargs: Any) -> None:
        super().__init__(model_name, **kwargs)
        self.no_answer = threshold_of(no_answer)

    def text_to_instance(
        self, question: str, passage: str, no_answer: bool | float | None = None
    ) -> Instance:
        """A question and the text that has the answer.

        Args:
            question: The question.
            passage: The text.
            no_answer: Whether there may be none, as for the reader; None for what that says.

        Raises:
            InterpretationError: If the passage has no tokens.
        """
        first, second = self._tokenizer.pair(question, passage)
        offsets = [None if t.idx is None else (t.idx, t.idx_end) for t in second]
        if not any(span is not None for span in offsets):
            raise InterpretationError("the passage has no tokens, so there is no answer in it")
        known = {
            "original_passage": passage,
            "token_offsets": offsets,
            "no_answer": self.no_answer if no_answer is None else threshold_of(no_answer),
            "no_answer_place": no_answer_place(self.tokenizer, first, second),
        }
        texts = {
            "question": self.text_field(first, question),
            "passage": self.text_field(second, passage),
        }
        return Instance({**texts, "metadata": MetadataField(known)})


@Model.register("transformers-question-answering")
class TransformersQuestionAnswerer(TransformersModel):
    """A Hugging Face model with a head for extractive question answering."""

    task = "question-answering"
    sizes: ClassVar = {"start_logits": 2, "end_logits": 2}
    default_predictor = "transformers-question-answering"
    text_fields = ("question", "passage")

    def forward(
        self,
        question: TextFieldTensors,
        passage: TextFieldTensors,
        answer: Tensor | None = None,
        metadata: list[Any] | None = None,
        no_answer: Tensor | None = None,
    ) -> dict[str, Any]:
        """Finds answers.

        Args:
            question: The questions, indexed.
            passage: The passages, indexed.
            answer: `(rows, 2)`, the first and last token of each answer in its passage.
            metadata: Per row what the reader noted.
            no_answer: `(rows, 1)`, 1 where what is labelled is that there is none.

        Returns:
            `span_start_logits` and `span_end_logits`, `(rows, passage positions)`, lowest where no
            answer can be; with metadata those of no answer, `(rows,)`; with answers `loss`, the
            mean of minus the log-likelihood of both ends.
        """
        (sequence,) = self.joined_texts({"question": question, "passage": passage})
        found = self.run(sequence)
        check_positions(found.start_logits, sequence.ids.shape[1], self.transformer)
        before, mask = question["tokens"]["mask"].sum(-1), passage["tokens"]["mask"]
        # (rows, passage positions): where the passage's tokens stand in the sequence.
        places = before.unsqueeze(1) + torch.arange(mask.shape[1], device=mask.device)
        places = places.clamp_max(found.start_logits.shape[1] - 1)
        possible = passage["tokens"]["in_text"] & mask
        starts, ends = (
            logits.float().gather(1, places).masked_fill(~possible, torch.finfo(torch.float32).min)
            for logits in (found.start_logits, found.end_logits)
        )
        outputs: dict[str, Any] = {"span_start_logits": starts, "span_end_logits": ends}
        none = {}
        if metadata is not None:
            none = no_answer_logits(found.start_logits, found.end_logits, before, metadata)
            outputs.update(none, metadata=metadata)
        if no_answer is not None:
            outputs["no_answer"] = no_answer.view(-1).bool()
        if answer is not None:
            within = answer.clamp_max(starts.shape[1] - 1)
            loss = F.cross_entropy(starts, within[:, 0], reduction="none")
            loss = loss + F.cross_entropy(ends, within[:, 1], reduction="none")
            if no_answer is not None:
                other = no_answer_loss(starts, ends, none)
                loss = torch.where(outputs["no_answer"], other, loss)
            outputs["loss"] = loss.mean()
        return outputs

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The passage; the question stays as it is."""
        question: Any = instance["question"]
        return ["passage"], {"'question'": len(question.tokens)}

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """An answer is explained in the window that it was found in."""
        spans = super().spans(instance, texts, room, wanted)
        number = _known(instance).get("window")
        return spans if number is None else [spans[number]]

    def field_of_window(self, field: Field, places: Sequence[int]) -> Field:
        """The places of the window's tokens."""
        if not isinstance(field, MetadataField):
            return field
        known: Any = field.metadata
        offsets = [known["token_offsets"][place] for place in places]
        text, number = known["no_answer_place"]
        # A token that the tokenizer adds is in every window.
        place = (text, list(places).index(number) if text == "passage" else number)
        return MetadataField({**known, "token_offsets": offsets, "no_answer_place": place})

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The logits of the window whose best answer has the highest sum of logits, lowest at the
        tokens of the passage that are not in it; of no answer those of the window where they are
        lowest, `no_answer_window`."""
        number = max(range(len(outputs)), key=lambda n: _score(outputs[n]))
        passage: Any = instance["passage"]
        places = cut.windows[number].places["passage"]
        # There is an answer if any window has one.
        least = min(range(len(outputs)), key=lambda n: outputs[n][START] + outputs[n][END])
        logits = {name: torch.as_tensor(outputs[least][name]) for name in (START, END)}
        for name in _LOGITS:
            logits[name] = torch.full((len(passage.tokens),), torch.finfo(torch.float32).min)
            logits[name][places] = torch.as_tensor(outputs[number][name])[: len(places)]
        known = self.readable(**logits, metadata=_known(instance))
        return {**known, "no_answer_window": least}

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds `best_span`, the first and last token of the answer in the passage,
        `best_span_str`, its text, `best_span_characters`, where that stands, and `no_answer`,
        whether there is none: then the text is empty and stands nowhere."""
        starts, ends = (output_dict[name] for name in _LOGITS)
        # Row by row: the sums of a long passage's logits take as many numbers as it has pairs.
        pairs = zip(starts.cpu().split(1), ends.cpu().split(1), strict=True)
        spans = output_dict["best_span"] = [best_spans(*pair)[0].tolist() for pair in pairs]
        metadata = output_dict.pop("metadata", None)
        if metadata is None:
            return output_dict
        output_dict.update(no_answer=[], best_span_characters=[], best_span_str=[])
        for row, (known, (first, last)) in enumerate(zip(metadata, spans, strict=True)):
            more = float(output_dict[START][row] + output_dict[END][row])
            more -= float(starts[row][first] + ends[row][last])
            none = known["no_answer"] is not None and more > known["no_answer"]
            start, end = known["token_offsets"][first][0], known["token_offsets"][last][1]
            output_dict["no_answer"].append(none)
            output_dict["best_span_characters"].append(None if none else (start, end))
            answer = "" if none else known["original_passage"][start:end]
            output_dict["best_span_str"].append(answer)
        return output_dict


@Predictor.register("transformers-question-answering")
class TransformersQuestionAnsweringPredictor(TransformersPredictor):
    """Reads `{"question": "…", "passage": "…"}`; explains the best answer, as two inputs.

    Args:
        model: The model.
        dataset_reader: The reader of its inputs.
        no_answer: Whether a passage may have no answer, for models trained on such (SQuAD 2); that
            is explained where its logits exceed those of the best answer, by a number if it is
            one. None for what the reader says; `no_answer` in an input is for that alone.
        kwargs: See `TransformersPredictor`.

    Raises:
        ConfigurationError: If `no_answer` is neither.
    """

    reads: ClassVar = {"question": TEXT, "passage": TEXT, "no_answer": SWITCH}

    _model: TransformersQuestionAnswerer

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        *args: Any,
        no_answer: bool | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, dataset_reader, *args, **kwargs)
        if no_answer is not None:
            self._change_reader(no_answer=threshold_of(no_answer))

    @property
    def default_target(self) -> str:
        """The start logit of the answer plus its end logit; of no answer the same two logits."""
        return "span"

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """The instance with its best answer: `best_span` of the outputs, or `no_answer`."""
        known = _known(instance)
        none = bool(outputs["no_answer"])
        text, (start, end) = "passage", outputs["best_span"]
        if none:
            text, start = known["no_answer_place"]
            end = start
        copied = instance.duplicate()
        within: Any = copied[text]
        copied.add_field("answer", SpanField(int(start), int(end), within))
        if known["no_answer"] is not None:
            copied.add_field("no_answer", TensorField(torch.tensor([int(none)])))
        cut = self._model.windows_of(instance)
        if cut is not None:
            # The window that the answer was found in is the one that has logits.
            first = int((outputs[_LOGITS[0]] > torch.finfo(torch.float32).min).argmax())
            starts = [window.spans["passage"][0] for window in cut.windows]
            found = max(number for number, at in enumerate(starts) if at <= first)
            found = outputs["no_answer_window"] if none else found
            copied.fields["metadata"] = MetadataField({**known, "window": found})
        return [copied]


_LOGITS = ("span_start_logits", "span_end_logits")


def _known(instance: Instance) -> dict[str, Any]:
    """What the reader noted of an instance; nothing where it has no metadata."""
    metadata: Any = instance.fields.get("metadata")
    return {} if metadata is None else metadata.metadata


def _score(outputs: Mapping[str, Any]) -> float:
    """The sum of the logits of the best answer's ends."""
    places = zip(_LOGITS, outputs["best_span"], strict=True)
    return sum(float(outputs[name][place]) for name, place in places)
