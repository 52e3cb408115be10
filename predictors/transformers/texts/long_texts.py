"""Models that read a text which is too long for them in windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any, ClassVar

import torch
from allennlp.data import Instance
from allennlp.data.fields import IndexField, SequenceLabelField, SpanField
from allennlp.data.fields.field import Field
from allennlp.models import Model
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Window, Windows
from allennlp_saliency.interpret.interpreter.windows import describe_windows
from allennlp_saliency.interpret.model.embedding_layers import most_positions

from .overlong import LongText, Spans, truncated, window_spans
from .reader import Overlong

_TOKENS_AT_ONCE = 16384


class ReadsLongTexts(Model):
    """A model that cuts texts which are longer than it takes, or reads them in windows.

    The policy is an attribute of the text field, set by the reader (`Overlong`).
    """

    transformer: Any
    #: The text fields that it reads, in the order in which it reads them; some may be missing.
    text_fields: ClassVar[tuple[str, ...]] = ("sentence",)

    def long_texts(self, instance: Instance) -> tuple[list[str], dict[str, int]]:
        """The names of the fields that may be cut, and how many tokens the model reads beside
        them, by their source."""
        return [name for name in self.text_fields if name in instance.fields], {}

    def long_text(self, name: str, field: Any) -> LongText:
        """A text field that may be cut, with the tokens that are kept in any case."""
        return LongText.of(name, field)

    def most_tokens(self) -> float:
        """How many tokens the model takes: as many as it has positions."""
        return self._most_positions

    @cached_property
    def _most_positions(self) -> float:
        return most_positions(self.transformer)

    def spans(
        self, instance: Instance, texts: Sequence[LongText], room: int, wanted: Overlong
    ) -> list[Spans]:
        """The windows of texts that are too long: per window the spans of the texts that are cut.

        Args:
            instance: The instance.
            texts: Its texts that may be cut.
            room: How many of their own tokens fit.
            wanted: The policy.
        """
        if wanted.policy == "truncate":
            return [truncated(texts, room)]
        longest = max(texts, key=lambda text: text.length)
        room -= sum(text.length for text in texts if text is not longest)
        return [{longest.name: span} for span in window_spans(longest, room, wanted.stride)]

    def windows_of(self, instance: Instance) -> Windows | None:
        """The windows of an instance, labelled or not, that is too long; None where it fits.

        Raises:
            InterpretationError: If it is too long and the policy is "error".
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
        windows = [self._window(instance, texts, one) for one in spans]
        return Windows(wanted.policy, int(limit), length, windows)

    def forward_on_instances(self, instances: list[Instance]) -> list[dict[str, Any]]:
        """The model's outputs; for an instance that is too long the merged outputs of its windows,
        and `overlong`, see `describe_windows`.

        Raises:
            InterpretationError: If one is too long and the policy is "error".
        """
        cut = [self.windows_of(instance) for instance in instances]
        whole = [one for one, windows in zip(instances, cut, strict=True) if windows is None]
        parts = [window.instance for one in cut if one is not None for window in one.windows]
        # Windows share batches.
        size = max(_TOKENS_AT_ONCE // max((one.limit for one in cut if one), default=1), 1)
        run = super().forward_on_instances
        of_whole = iter(run(whole) if whole else [])
        of_parts = chain.from_iterable(
            run(parts[start : start + size]) for start in range(0, len(parts), size)
        )
        outputs: list[dict[str, Any]] = []
        for instance, one in zip(instances, cut, strict=True):
            if one is None:
                outputs.append(next(of_whole))
                continue
            merged = self.merge_windows(instance, one, [*islice(of_parts, len(one.windows))])
            outputs.append({**merged, "overlong": describe_windows(one, instance)})
        return outputs

    def merge_windows(
        self, instance: Instance, cut: Windows, outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Merges the outputs of the windows of an instance: here to the mean of the probabilities,
        and the `logits` that give it.

        Args:
            instance: The instance that is too long.
            cut: Its windows.
            outputs: The outputs of each window.
        """
        probs = mean_probabilities(outputs)
        return self.readable(logits=probs.clamp_min(1e-30).log().float(), probs=probs.float())

    def readable(self, **outputs: Any) -> dict[str, Any]:
        """The merged outputs of one instance, made human-readable."""
        batch: Any = {
            name: value.unsqueeze(0) if isinstance(value, Tensor) else [value]
            for name, value in outputs.items()
        }
        return {
            name: value[0].cpu().numpy() if isinstance(value, Tensor) else value[0]
            for name, value in self.make_output_human_readable(batch).items()
        }

    def field_of_window(self, field: Field, places: Sequence[int]) -> Field:
        """A field that refers to a text, for a window of that text, whose tokens are at some places
        of the complete text."""
        return field

    def _window(self, instance: Instance, texts: Sequence[LongText], spans: Spans) -> Window:
        cut = [text for text in texts if text.name in spans]
        places = {text.name: text.places(spans[text.name]) for text in cut}
        fields = dict(instance.fields)
        for text in cut:
            own = places[text.name]
            fields[text.name] = part = text.part(own)
            others = [field for name, field in instance.fields.items() if name != text.name]
            for name, field in instance.fields.items():
                fields[name] = self.field_of_window(fields[name], own)
                # The text whose tokens the field refers to, if to any.
                text_of: Any = getattr(field, "sequence_field", None)
                if text_of is not None and not any(text_of is other for other in others):
                    fields[name] = _moved(field, part, own)
        numbers = {text.name: text.numbers(spans[text.name]) for text in cut}
        return Window(Instance(fields), places, numbers)

    def _refusal(self, lengths: dict[str, int], beside: dict[str, int], limit: int) -> str:
        name = type(self.transformer).__name__
        some = {field: count for field, count in lengths.items() if count}
        counts = " and ".join(f"field {field!r} has {count}" for field, count in some.items())
        more = "".join(f", {what} {count} more" for what, count in beside.items() if count)
        total = sum(lengths.values()) + sum(beside.values())
        in_all = f", {total} in all" if more or len(some) > 1 else ""
        fewer = " ask for fewer tokens," if any("max_new_tokens" in what for what in beside) else ""
        return (
            f"{counts} tokens{more}{in_all}, and {name} takes at most {limit}; shorten the text,"
            f"{fewer} cut it with overlong='truncate', or read overlapping windows of it with "
            "overlong='window'"
        )


def mean_probabilities(outputs: Sequence[Mapping[str, Any]]) -> Tensor:
    """The mean over windows of the softmax of `logits`, `(classes,)`."""
    logits = torch.stack([torch.as_tensor(one["logits"]) for one in outputs])
    return logits.double().softmax(-1).mean(0)


def _moved(field: Any, part: Any, places: Sequence[int]) -> Field:
    """A field that refers to the tokens of a text, for a window of them."""
    if isinstance(field, SequenceLabelField):
        labels: Any = [field.labels[place] for place in places]
        return SequenceLabelField(labels, part, field._label_namespace)
    at = {place: number for number, place in enumerate(places)}
    if isinstance(field, IndexField):
        return IndexField(at[field.sequence_index], part)
    return SpanField(at[field.span_start], at[field.span_end], part)
