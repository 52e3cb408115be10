"""Token classification: named entities, or a tag for every word."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import torch
from allennlp.data import DatasetReader, Instance, TextFieldTensors
from allennlp.data.fields import (
    FlagField,
    IndexField,
    LabelField,
    MetadataField,
    SequenceLabelField,
)
from allennlp.data.fields.field import Field
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected, Windows
from allennlp_saliency.interpret.explanation import Span
from allennlp_saliency.interpret.inputs.texts import tag_spans, word_spans

from ..model.label_vocabulary import NAMESPACE
from ..model.model import TransformersModel, at_places
from ..model.outputs import check_positions
from ..predictor import TransformersPredictor
from ..texts.json_input import TEXT
from ..texts.overlong import LongText, Spans, window_around, window_of_most_context
from ..texts.reader import Overlong, TransformersReader

OUTSIDE = "O"


@DatasetReader.register("transformers-token-classification")
class TransformersTokenClassificationReader(TransformersReader):
    """Reads `sentence`; a word's tag is that of its first token."""

    def text_to_instance(self, sentence: str) -> Instance:
        """One text, with the places of its words.

        Args:
            sentence: The text.
        """
        tokens = self._tokenizer.text(sentence)
        words = _first_tokens(tokens, word_spans(sentence))
        metadata = MetadataField({"text": sentence, "words": words})
        return Instance({"sentence": self.text_field(tokens, sentence), "metadata": metadata})


@Model.register("transformers-token-classification")
class TransformersTokenClassifier(TransformersModel):
    """A Hugging Face model with a head for token classification."""

    task = "token-classification"
    names_labels = True
    default_predictor = "transformers-token-classification"

    @property
    def finds_entities(self) -> bool:
        """Whether there is a tag for words outside of entities."""
        return OUTSIDE in self.vocab.get_token_to_index_vocabulary(NAMESPACE)

    def forward(
        self,
        sentence: TextFieldTensors,
        metadata: list[Any] | None = None,
        tags: Tensor | None = None,
        ignore_loss_on_o_tags: Any = None,
        position: Tensor | None = None,
        label: Tensor | None = None,
    ) -> dict[str, Any]:
        """Tags a batch.

        Args:
            sentence: The texts, indexed.
            metadata: Per row what the reader noted.
            tags: `(rows, positions)`, the tags' indices; those of `O` do not count.
            ignore_loss_on_o_tags: Says so to those who read the instance.
            position: `(rows, 1)`, the token whose tag is `label`.
            label: `(rows,)`, the tag's index.

        Returns:
            `logits` and `probs`, `(rows, positions, labels)`, or `(rows, labels)` at a given
            position; with tags `loss`, the mean over the rows of the mean cross entropy.
        """
        (sequence,) = self.joined_texts({"sentence": sentence})
        logits = self.run(sequence).logits.float()
        check_positions(logits, sequence.ids.shape[1], self.transformer)
        if position is not None:
            logits = at_places(logits, position.view(-1))
        outputs: dict[str, Any] = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = -_own(logits, label.view(-1)).mean()
        if tags is not None:
            outside = self.vocab.get_token_to_index_vocabulary(NAMESPACE).get(OUTSIDE, -1)
            mask = sequence.mask & (tags != outside)
            own = _own(logits, tags) * mask
            outputs["loss"] = -(own.sum(-1) / mask.sum(-1).clamp_min(1)).mean()
        if metadata is not None:
            outputs["metadata"] = metadata
        return outputs

    def expected_outputs(self, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
        """The logits of all tokens, or of the one whose tag is explained."""
        logits = prediction.get("logits")
        if logits is None:
            return {}
        at: Any = instance.fields.get("position")
        return {"logits": logits if at is None else logits[at.sequence_index]}

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        """Adds, per row, `words`, the `tags` of these, and the `entities` that they make."""
        metadata = output_dict.pop("metadata", ())
        output_dict.update(words=[], tags=[], entities=[])
        for logits, known in zip(output_dict["logits"], metadata, strict=True):
            text, words = known["text"], [*known["words"].values()]
            tags = self.names(logits[[*known["words"]]].argmax(-1).tolist())
            entities, own = [], self.config_names(tags)
            for a, b in tag_spans(own) if self.finds_entities else ():
                start, end = words[a][0], words[b - 1][1]
                kind = own[a].partition("-")[2] or own[a]
                entity = {"text": text[start:end], "type": kind, "start": start, "end": end}
                entities.append(entity)
            output_dict["words"].append([text[start:end] for start, end in words])
            output_dict["tags"].append(tags)
            output_dict["entities"].append(entities)
        return output_dict

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """Tags are explained in the window that has most text on both sides of them."""
        spans = super().spans(instance, texts, room, wanted)
        explained = _explained(instance)
        if wanted.policy != "window" or not explained:
            return spans
        (text,) = texts
        own = explained[0] - text.head, explained[-1] + 1 - text.head
        best = window_of_most_context([one[text.name] for one in spans], own, text.length)
        if best is not None:
            return [spans[best]]
        if own[1] - own[0] <= room:
            return [{text.name: window_around(text, room, own)}]
        raise InterpretationError(
            f"an entity has {own[1] - own[0]} tokens, and {room} fit into a window of field "
            f"{text.name!r}; no window has it all"
        )

    def field_of_window(self, field: Field, places: Sequence[int]) -> Field:
        """The words that begin in the window."""
        if not isinstance(field, MetadataField):
            return field
        metadata: Any = field.metadata
        words = metadata["words"]
        own = {number: words[place] for number, place in enumerate(places) if place in words}
        return MetadataField({**metadata, "words": own})

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Each token's logits from the window that has most text on both sides of it; words that
        were cut are left out."""
        text: Any = instance["sentence"]
        logits = torch.zeros(len(text.tokens), outputs[0]["logits"].shape[-1])
        spans = [window.spans["sentence"] for window in cut.windows]
        for number, (window, output) in enumerate(zip(cut.windows, outputs, strict=True)):
            # Half of what it shares with the window before is that one's.
            start = 0 if number == 0 else -(-(spans[number][0] + spans[number - 1][1]) // 2)
            own = [n for n, place in enumerate(window.places["sentence"]) if place >= start]
            places = [window.places["sentence"][n] for n in own]
            logits[places] = torch.as_tensor(output["logits"])[own]
        return self.readable(
            logits=logits, probs=logits.softmax(-1), metadata=self.read(instance, cut)
        )

    def read(self, instance: Instance, cut: Windows | None) -> dict[str, Any]:
        """The reader's metadata, limited to the words that the model reads."""
        field: Any = instance["metadata"]
        words, windows = field.metadata["words"], () if cut is None else cut.windows
        there = {place for window in windows for place in window.places["sentence"]}
        own = {first: word for first, word in words.items() if cut is None or first in there}
        return {**field.metadata, "words": own}


@Predictor.register("transformers-token-classification")
class TransformersTokenClassificationPredictor(TransformersPredictor):
    """Reads `{"sentence": "…"}`.

    Explains each entity: the mean over its words of the log-likelihood of their tags. Of a model
    that has no tag `O` it explains the tag of each word.
    """

    reads: ClassVar = {"sentence": TEXT}

    _model: TransformersTokenClassifier

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        """One instance per entity, or per word; the outputs' `tags` are the words'."""
        first = [*self._model.read(instance, self._model.windows_of(instance))["words"]]
        tags = list(outputs["tags"])
        if self._model.finds_entities:
            spans = tag_spans(self._model.config_names(tags))
            return [_of_entity(instance, first[a:b], tags[a:b]) for a, b in spans]
        return [_of_word(instance, place, tag) for place, tag in zip(first, tags, strict=True)]


def _of_entity(instance: Instance, places: list[int], tags: list[str]) -> Instance:
    text: Any = instance["sentence"].duplicate()
    own = dict(zip(places, tags, strict=True))
    every = [own.get(place, OUTSIDE) for place in range(len(text.tokens))]
    labels = SequenceLabelField(every, text, NAMESPACE)
    return Instance({"sentence": text, "tags": labels, "ignore_loss_on_o_tags": FlagField(True)})


def _of_word(instance: Instance, place: int, tag: str) -> Instance:
    text: Any = instance["sentence"].duplicate()
    position, label = IndexField(place, text), LabelField(tag, NAMESPACE)
    return Instance({"sentence": text, "position": position, "label": label})


def _explained(instance: Instance) -> list[int]:
    """The tokens whose tags an instance explains, none where it carries no label."""
    fields: Any = instance.fields
    if "position" in fields:
        return [fields["position"].sequence_index]
    labels = fields["tags"].labels if "tags" in fields else ()
    return [place for place, tag in enumerate(labels) if tag != OUTSIDE]


def _first_tokens(tokens: Sequence[Token], words: Sequence[Span]) -> dict[int, Span]:
    """The words that have a token which begins in them, by the number of the first."""
    found = {}
    for start, end in words:
        own = (n for n, one in enumerate(tokens) if one.idx is not None and start <= one.idx < end)
        found.update(dict.fromkeys(islice(own, 1), (start, end)))
    return found


def _own(logits: Tensor, labels: Tensor) -> Tensor:
    """The log-probability of each label."""
    return logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
