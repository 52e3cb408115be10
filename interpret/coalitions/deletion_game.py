"""The model as a game: the target of an input whose text lacks some units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField, ListField, TextField
from allennlp.data.fields.field import Field
from torch import Tensor

from ..contracts import sharing_prefixes
from ..errors import InterpretationError, NotApplicableError
from ..explanation import JsonDict, Span
from ..inputs.deletion import without
from ..inputs.explained import explained_by
from ..inputs.json_texts import Path, Place, json_texts, path_name, trace_all, with_texts
from ..inputs.origin import Origin
from ..inputs.texts import text_items
from ..space.embedding_space import EmbeddingSpace
from ..space.other_instances import values_of
from .game import Coalitions, Floats, Integers
from .units import Units

Fields = Mapping[str, Field]

_WAY_OUT = "use a removal that keeps the tokens, such as 'mask' or 'zero'"
_SAME = 1e-3


class DeletionGame:
    """F(x without some units): the text without them is read and tokenised again.

    Args:
        space: The instances.
        units: The units of each player.
        instances: The instance of each player; None for one player per instance.

    Raises:
        NotApplicableError: If an instance cannot be read again, or its label belongs to tokens.
        InterpretationError: If the model returns another number for the text that is read again.
    """

    def __init__(
        self,
        space: EmbeddingSpace,
        units: Sequence[Units],
        instances: Sequence[int] | None = None,
    ) -> None:
        self._space = space
        self._sharing = sharing_prefixes(space.model)
        self._units = units
        self._instances = np.asarray(range(len(units)) if instances is None else instances)
        self._written = {row: WrittenInstance(space, row) for row in self._instances.tolist()}
        self._places = [
            [*own.written] or [self._written[row].place(*one) for one in own.tokens]
            for row, own in zip(self._instances.tolist(), units, strict=True)
        ]
        self._check_whole()

    @property
    def sizes(self) -> Sequence[int]:
        """Units per player."""
        return [len(own) for own in self._units]

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`; all texts of one shape are packed together."""
        owners = torch.from_numpy(self._instances[rows])
        values = self._space.values[owners].clone()
        read: dict[tuple[int, tuple[Place, ...]], Fields] = {}
        filled: list[int] = []
        instances: list[Instance] = []
        for number, (mask, player, row) in enumerate(
            zip(masks, rows.tolist(), owners.tolist(), strict=True)
        ):
            places = self._places[player]
            gone = tuple(
                one for one, stays in zip(places, mask[: len(places)], strict=True) if not stays
            )
            if not gone:
                continue
            written = self._written[row]
            key = written.owner, gone
            if key not in read:
                read[key] = written.read_without(gone)
            instance = written.labelled(read[key])
            if written.empties(gone):
                values[number] = self._value_of_empty(instance, row, written.empties(gone))
            else:
                filled.append(number)
                instances.append(instance)
        if filled:
            with self._sharing:
                values[filled] = values_of(self._space, instances, owners[filled])
        found: Floats = values.numpy()
        return found

    def _value_of_empty(self, instance: Instance, row: int, names: Sequence[str]) -> float:
        """The value of an input with an empty text, which not every model takes."""
        try:
            value = float(values_of(self._space, [instance], torch.tensor([row])))
        except Exception as error:
            raise _cannot_be_empty(names, self._space, error) from error
        if not math.isfinite(value):
            raise _cannot_be_empty(names, self._space, value)
        return value

    def _check_whole(self) -> None:
        rows = sorted(self._written)
        wholes = [self._written[row].labelled(self._written[row].read_without(())) for row in rows]
        with self._sharing:
            found = values_of(self._space, wholes, torch.tensor(rows))
        for value, row in zip(found.tolist(), rows, strict=True):
            expected = float(self._space.values[row])
            if abs(value - expected) > _SAME * max(abs(expected), 1.0):
                raise InterpretationError(
                    f"the target is {expected:.6g}, and {value:.6g} where the same text is read "
                    f"and labelled again, so the text cannot be read without a part; {_WAY_OUT}"
                )


class WrittenInstance:
    """A labelled instance with the texts in JSON that it was made of.

    Args:
        space: The instances.
        row: Which of them.

    Raises:
        NotApplicableError: If it was made of no text in JSON.

    Attributes:
        owner: The number of its input.
    """

    def __init__(self, space: EmbeddingSpace, row: int) -> None:
        self._space, self._row = space, row
        self._instance = space.instances[row]
        self._origin, self._json = _json_of(space, self._instance)
        self.owner = self._origin.owner
        self._texts = json_texts(self._json)
        # By the name of a text field where its text stands, and the characters of each token.
        self._traced = trace_all(self._instance, space.layout.names, self._json)
        if not self._traced:
            raise NotApplicableError(
                f"the texts of {type(space.session.twin.predictor).__name__} are not those of its "
                f"JSON, so nothing can be deleted; {_WAY_OUT}"
            )

    def removable(self) -> Tensor:
        """The positions of tokens that stand in the JSON, `(positions,)`."""
        layout = self._space.layout
        found = torch.zeros(layout.tokens.shape[1], dtype=torch.bool)
        for name in layout.names:
            tokens = layout.tokens_of(name)[self._row]
            for item in text_items(self._instance.fields[name]):
                _, spans = self._traced.get(item.name(name), ((), []))
                numbers = [n + item.first_token for n, span in enumerate(spans) if _is_some(span)]
                found |= torch.isin(tokens, torch.tensor(numbers, dtype=tokens.dtype))
        return found

    def place(self, field: str, tokens: Sequence[int]) -> Place:
        """Where some neighbouring tokens of a text field stand in the JSON."""
        path, spans = self._traced[field]
        own = [span for span in (spans[number] for number in tokens) if span is not None]
        return path, (min(start for start, _ in own), max(end for _, end in own))

    def empties(self, places: Sequence[Place]) -> list[str]:
        """The names of the texts that are empty without some of their characters."""
        edited = self._edited(places).items()
        return [path_name(path) for path, text in edited if not text.strip()]

    def read_without(self, places: Sequence[Place]) -> Fields:
        """The fields of the input without some of its characters, as the predictor reads it."""
        try:
            return self._origin.read(with_texts(self._json, self._edited(places))).fields
        except Exception as error:
            empty = self.empties(places)
            if not empty:
                raise
            raise _cannot_be_empty(empty, self._space, error) from error

    def labelled(self, read: Fields) -> Instance:
        """Fields that were read again as an instance with the label of the original one."""
        return Instance(
            {
                name: read[name] if name in self._read_again else own
                for name, own in self._instance.fields.items()
            }
        )

    def _edited(self, places: Sequence[Place]) -> dict[Path, str]:
        by_path: dict[Path, list[Span]] = {}
        for path, span in places:
            by_path.setdefault(path, []).append(span)
        return {path: without(self._texts[path], own) for path, own in by_path.items()}

    @cached_property
    def _read_again(self) -> frozenset[str]:
        """The names of the fields that are read again; the others are labels, and kept."""
        read = self.read_without(())
        again = frozenset(
            name
            for name, own in self._instance.fields.items()
            if name in read and _is_input(own, read[name])
        )
        texts = [_texts(read[name]) for name in again]
        what = explained_by(self._instance)
        kept = (own for name, own in self._instance.fields.items() if name not in again)
        of_tokens = what is not None and (what.choice is not None or what.positions is not None)
        if of_tokens or any(_is_of_tokens(own, texts) for own in kept):
            raise NotApplicableError(
                f"what {type(self._space.model).__name__} predicts belongs to tokens of the text, "
                f"which are others once a part of it is deleted; {_WAY_OUT}"
            )
        return again


def _json_of(space: EmbeddingSpace, instance: Instance) -> tuple[Origin, JsonDict]:
    origin = space.session.origins.get(id(instance))
    if origin is None or origin.json is None:
        raise InterpretationError(
            f"deletion edits the text in an input's JSON, and instances were given; {_WAY_OUT}"
        )
    if not origin.whole:
        raise InterpretationError(
            "the text is longer than the model takes, and deletion needs one that it reads at "
            f"once: shorten it, or {_WAY_OUT}"
        )
    return origin, origin.json


def _is_some(span: Span | None) -> bool:
    return span is not None and span[0] < span[1]


def _texts(field: Field) -> list[list[str]]:
    return [[token.text or "" for token in item.text.tokens] for item in text_items(field)]


def _is_input(own: Field, read: Field) -> bool:
    """Whether a field of a labelled instance is that of the input, and no label."""
    return not isinstance(own, LabelField) and _texts(own) == _texts(read)


def _is_of_tokens(field: Field, read: Sequence[list[list[str]]]) -> bool:
    """Whether a label counts the tokens of a text that is read again."""
    if isinstance(field, ListField):
        return any(_is_of_tokens(one, read) for one in field.field_list)
    sequence = getattr(field, "sequence_field", None)
    return isinstance(sequence, TextField) and _texts(sequence) in read


def _cannot_be_empty(
    names: Sequence[str], space: EmbeddingSpace, why: object
) -> InterpretationError:
    return InterpretationError(
        f"without these units {' and '.join(map(repr, names))} is empty, and "
        f"{type(space.model).__name__} takes no empty text ({why}); {_WAY_OUT}, or a method and "
        "units that leave some of the text"
    )
