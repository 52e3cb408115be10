"""Which columns of a table, or keys of an object, are what a predictor reads."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.errors import close_names
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.given import text_keys

DEFAULT_ID = "id"
_TEXTS = ("text", "sentence")
_MOST_SHOWN = 20


@dataclass(frozen=True)
class Fields:
    """What is read of each row.

    Attributes:
        columns: The predictor's keys, and the column that each is read from.
        needed: Keys without which the predictor reads nothing.
        rest: Whether what is in no column of these is handed on under its own name.
        id_key: The column of the user's own names for the rows; None if there is none.
    """

    columns: Mapping[str, str]
    needed: frozenset[str] = frozenset()
    rest: bool = True
    id_key: str | None = None

    def names(self) -> list[str] | None:
        """The columns that are read; None for all."""
        if self.rest:
            return None
        own = [] if self.id_key is None else [self.id_key]
        return list(dict.fromkeys([*self.columns.values(), *own]))

    def given(self, row: Mapping[str, Any], table: bool) -> JsonDict:
        """What the predictor reads of a row.

        Args:
            row: The row.
            table: Whether a cell is left out where it is missing, or empty and not needed.

        Raises:
            InterpretationError: If a cell is missing that is needed.
        """
        taken: JsonDict = {}
        for key, column in self.columns.items():
            value = row.get(column)
            needed = key in self.needed
            if is_missing(value) if table else column not in row:
                if needed:
                    there = "null" if column in row else "not there"
                    raise InterpretationError(
                        f"{column!r} is {there}, and {key!r} is read from it; leave the input out, "
                        "or give it a text"
                    )
            elif needed or not table or not (isinstance(value, str) and not value):
                taken[key] = _plain(value) if table else value
        if not self.rest:
            return taken
        moved = set(self.columns.values())
        others = {key: value for key, value in row.items() if key not in moved}
        if table:
            others = {key: _plain(one) for key, one in others.items() if not is_missing(one)}
        return {**others, **taken}

    def id(self, row: Mapping[str, Any]) -> str | None:
        """The user's name for a row: a text, or a number as JSON writes it; None for others."""
        value = None if self.id_key is None else row.get(self.id_key)
        if isinstance(value, numpy.generic):
            value = value.item()
        if isinstance(value, str):
            return value
        if is_missing(value) or isinstance(value, (Mapping, list, tuple)):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # pandas has whole numbers as floats where one is missing
        return json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: null, NaN, or pandas' and numpy's own."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    """A cell in Python's own types."""
    return value.tolist() if isinstance(value, (numpy.ndarray, numpy.generic)) else value


def fields_of(
    name: str,
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str] | None = None,
    id_key: str | None = None,
    predictor: Predictor | None = None,
    table: bool = True,
) -> Fields:
    """What is read of the rows of a source.

    A predictor that reads one text under a key that there is not gets the column `text` or
    `sentence`, or the only one that holds texts.

    Args:
        name: The source, for messages.
        names: The columns that there are.
        rows: The first rows, by which columns of numbers are known.
        columns: The column for each key, as the user has it.
        id_key: The column of the user's own names for the rows; None for `id` where it is there.
        predictor: What reads them; None if that is not known.
        table: Whether every row has the same columns. If so, those that the predictor does not
            read are left out.

    Raises:
        ConfigurationError: If a column is not there, or it is not clear which one is meant.
    """
    asked = dict(columns or {})
    for key, column in asked.items():
        if not isinstance(column, str) or not isinstance(key, str):
            raise ConfigurationError(
                f"columns has names of columns by keys of the predictor, not {columns!r:.200}"
            )
        if column not in names and (table or rows):
            raise _no_column(name, column, names, f"for {key!r}")
    if id_key is not None and id_key not in names and (table or rows):
        raise _no_column(name, id_key, names, "for the ids (--id-key)")
    own_id = DEFAULT_ID if id_key is None and (DEFAULT_ID in names or not table) else id_key
    needed, known = ([], []) if predictor is None else _keys(predictor)
    # Whoever names keys that we do not know of knows the predictor better.
    expert = bool(asked) and not set(asked) & set(known)
    found = {key: key for key in known if key in names and key not in asked}
    chosen = {**found, **asked} if table else asked
    missing = [key for key in needed if key not in found and key not in asked]
    if missing and not expert and (table or rows) and not _instead(predictor, missing, found):
        guess = _one_text(names, rows, {own_id, *asked.values()}) if len(needed) == 1 else None
        if guess is None:
            raise _unclear(name, names, missing, predictor)
        chosen = {**chosen, missing[0]: guess}
    return Fields(chosen, frozenset(needed), not (table and (known or asked)), own_id)


def _keys(predictor: Predictor) -> tuple[list[str], list[str]]:
    """The keys of the texts that a predictor needs, and all that are known to be read."""
    needed = list(text_keys(predictor))
    reads = getattr(predictor, "reads", None)
    if isinstance(reads, Mapping):
        return needed, list(reads)
    predict = getattr(predictor, "predict", None)
    if not needed or predict is None:
        return needed, needed
    return needed, list(dict.fromkeys([*needed, *inspect.signature(predict).parameters]))


def _instead(predictor: Any, missing: Sequence[str], found: Collection[str]) -> bool:
    """Whether each key has another in its place, as a prompt has messages."""
    reads = getattr(predictor, "reads", None)
    if not isinstance(reads, Mapping):
        return False
    return all(key in reads and reads[key].unless in found for key in missing)


def _one_text(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], taken: Collection[str | None]
) -> str | None:
    """The column that must be meant for the only text."""
    for wanted in _TEXTS:
        called = [name for name in names if name.lower() == wanted]
        if len(called) == 1:
            return called[0]
    texts = [name for name in names if name not in taken and _holds_texts(name, rows)]
    return texts[0] if len(texts) == 1 else None


def _holds_texts(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(name) for row in rows if not is_missing(row.get(name))]
    if not all(isinstance(value, str) for value in values):
        return False
    filled = [value for value in values if str(value).strip()]
    return not filled or not all(map(_is_number, filled))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _no_column(name: str, column: str, names: Sequence[str], what: str) -> ConfigurationError:
    hint = close_names(column, names)
    return ConfigurationError(f"{name} has no column {column!r} {what}{'; ' if hint else ''}{hint}")


def _unclear(
    name: str, names: Sequence[str], missing: Sequence[str], predictor: Any
) -> ConfigurationError:
    shown = ", ".join(map(repr, names[:_MOST_SHOWN])) or "none"
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    example = " ".join(f"{key}=COLUMN" for key in missing)
    what = " and ".join(map(repr, missing))
    return ConfigurationError(
        f"{type(predictor).__name__} reads {what}, and {name} has no such column; its columns are "
        f"{shown}{more}. Say which is meant: --columns {example}"
    )
