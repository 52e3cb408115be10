"""Models that read a text which is too long for them in parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from allennlp.data import Instance
from allennlp.data.fields import IndexField, SequenceLabelField, SpanField
from allennlp.data.fields.field import Field
from allennlp.models import Model
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Part, Parts
from allennlp_saliency.interpret.interpreter.windows import describe_parts

from .overlong import LongText, Overlong, Span, truncated, window_spans

_TOKENS_AT_ONCE = 16384

Spans = dict[str, Span]
"""Per text that is cut, by its name, which of its own tokens a part has."""


class ReadsLongTexts(Model):
    """A model with a say in what becomes of texts that are longer than it takes.

    What is wanted is with the text field, where the reader put it (`Overlong`).
    """

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The fields that may be cut, and how many tokens the model reads beside them, by where
        these are from."""
        raise NotImplementedError(f"{type(self).__name__} does not implement long_texts()")

    def long_text(self, name: str, field: Any) -> LongText:
        """A text field that may be cut, with what stays of it in any case."""
        return LongText.of(name, field)

    def most_tokens(self) -> float:
        """How many tokens the model takes."""
        raise NotImplementedError(f"{type(self).__name__} does not implement most_tokens()")

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """What to read of texts that are too long: per part the texts that are cut.

        Args:
            instance: The instance.
            texts: Its texts that may be cut.
            room: How many of their own tokens fit.
            wanted: What to do.
        """
        if wanted.policy == "truncate":
            return [truncated(texts, room)]
        longest = max(texts, key=lambda text: text.length)
        room -= sum(text.length for text in texts if text is not longest)
        return [{longest.name: span} for span in window_spans(longest, room, wanted.stride)]

    def in_parts(self, instance: Instance) -> Parts | None:
        """The parts of an instance that is too long, None where it fits.

        Args:
            instance: An instance, labelled or not.

        Raises:
            InterpretationError: If it is too long, and that is not wanted.
        """
        names, beside = self.long_texts(instance)
        fields: dict[str, Any] = {name: instance.fields[name] for name in names}
        wanted = getattr(next(iter(fields.values())), "overlong", None) or Overlong()
        limit = min(wanted.max_length or float("inf"), self.most_tokens())
        lengths = {name: len(field.tokens) for name, field in fields.items()}
        length = sum(lengths.values()) + sum(beside.values())
        if length <= limit:
            return None
        if wanted.policy == "error":
            raise InterpretationError(self._refusal(lengths, beside, int(limit)))
        texts = [self.long_text(name, field) for name, field in fields.items()]
        room = int(limit) - sum(beside.values()) - sum(text.added for text in texts)
        spans = self.spans(instance, texts, room, wanted)
        parts = [self._part(instance, texts, one) for one in spans]
        return Parts(wanted.policy, int(limit), length, parts)

    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        """The model's outputs, of an instance that is too long what its parts give together.

        Args:
            instances: The instances.

        Returns:
            Per instance its outputs; where it was too long with `overlong`, what was done.

        Raises:
            InterpretationError: If one is too long, and that is not wanted.
        """
        cut = [self.in_parts(instance) for instance in instances]
        whole = [one for one, parts in zip(instances, cut, strict=True) if parts is None]
        of_whole = iter(super().forward_on_instances(whole) if whole else [])
        of_parts = self._outputs([parts for parts in cut if parts is not None])
        return [
            next(of_whole) if parts is None else self._told(instance, parts, next(of_parts))
            for instance, parts in zip(instances, cut, strict=True)
        ]

    def _outputs(self, cut: Sequence[Parts]) -> Iterator[list[dict[str, Any]]]:
        """The outputs of the parts of instances, per instance; they share batches."""
        limit = max((parts.limit for parts in cut), default=1)
        parts = iter([part.instance for parts in cut for part in parts.parts])
        outputs: list[dict[str, Any]] = []
        while some := list(islice(parts, max(_TOKENS_AT_ONCE // limit, 1))):
            outputs += super().forward_on_instances(some)
        found = iter(outputs)
        for one in cut:
            yield list(islice(found, len(one.parts)))

    def _told(
        self, instance: Instance, cut: Parts, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        return {**self.together(instance, cut, outputs), "overlong": describe_parts(cut, instance)}

    def together(
        self, instance: Instance, cut: Parts, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The outputs of parts as those of the whole.

        Args:
            instance: The instance that is too long.
            cut: Its parts.
            outputs: The outputs of each.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement together()")

    def readable(self, **outputs: Any) -> dict[str, Any]:
        """The outputs of one instance, which were merged, with what people read in them."""
        batch = {name: value.unsqueeze(0) for name, value in outputs.items() if _is_tensor(value)}
        batch |= {name: [value] for name, value in outputs.items() if not _is_tensor(value)}
        readable = self.make_output_human_readable(batch)
        return {
            name: value[0].cpu().numpy() if _is_tensor(value) else value[0]
            for name, value in readable.items()
        }

    def part_of_field(self, name: str, field: Field, places: Sequence[int]) -> Field:
        """What a field that tells of a text is of a part of the text.

        Args:
            name: The field's name.
            field: The field.
            places: For each token of the part its number in the whole.
        """
        return field

    def _part(self, instance: Instance, texts: Sequence[LongText], spans: Spans) -> Part:
        places = {text.name: text.places(spans[text.name]) for text in texts if text.name in spans}
        fields = dict(instance.fields)
        for text in texts:
            if text.name in places:
                own = places[text.name]
                fields[text.name] = part = text.part(own)
                for name, field in instance.fields.items():
                    fields[name] = self.part_of_field(name, fields[name], own)
                    if _tells_places(field) and not _is_of_another(field, instance, text.name):
                        fields[name] = _moved(field, part, own)
        numbers = {
            text.name: text.numbers(spans[text.name]) for text in texts if text.name in spans
        }
        return Part(Instance(fields), places, numbers)

    def _refusal(self, lengths: dict[str, int], beside: dict[str, int], limit: int) -> str:
        name = type(getattr(self, "transformer", self)).__name__
        some = {field: count for field, count in lengths.items() if count}
        told = " and ".join(f"field {field!r} has {count}" for field, count in some.items())
        more = "".join(f", {what} {count} more" for what, count in beside.items() if count)
        total = sum(lengths.values()) + sum(beside.values())
        in_all = f", {total} in all" if more or len(some) > 1 else ""
        fewer = " ask for fewer tokens," if any("max_new_tokens" in what for what in beside) else ""
        return (
            f"{told} tokens{more}{in_all}, and {name} takes at most {limit}; shorten the text,"
            f"{fewer} cut it with overlong='truncate', or read overlapping windows of it with "
            "overlong='window'"
        )


def mean_probabilities(outputs: Sequence[Mapping[str, Any]]) -> Tensor:
    """The mean over parts of the probabilities of classes that exclude each other, `(classes,)`."""
    logits = torch.stack([torch.as_tensor(one["logits"]) for one in outputs])
    return logits.double().softmax(-1).mean(0)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _tells_places(field: Field) -> bool:
    return isinstance(field, IndexField | SpanField | SequenceLabelField)


def _is_of_another(field: Any, instance: Instance, name: str) -> bool:
    """Whether a field counts the tokens of another text of an instance."""
    return any(
        field.sequence_field is other for key, other in instance.fields.items() if key != name
    )


def _moved(field: Any, part: Any, places: Sequence[int]) -> Field:
    """A field that counts the tokens of a text, for a part of them."""
    if isinstance(field, SequenceLabelField):
        labels: Any = [field.labels[place] for place in places]
        return SequenceLabelField(labels, part, field._label_namespace)
    at = {place: number for number, place in enumerate(places)}
    if isinstance(field, IndexField):
        return IndexField(at[field.sequence_index], part)
    return SpanField(at[field.span_start], at[field.span_end], part)
