"""Inputs as people have them (a text, a table, a data set, a generator) as the JSON that predictors
read, where it is clear what is meant."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, cast

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import nn

from ..contracts import HasTextKeys
from ..errors import InterpretationError
from ..explanation import JsonDict

# Parameters of AllenNLP's `predict` that are called otherwise than the key of the JSON, or hold
# something else than one text.
_KEYS = {"sentence_with_masks": "sentence"}
_NO_TEXTS = {"jsonline"}


def check_predictor(predictor: Any, interpreter: str) -> Predictor:
    """The predictor.

    Args:
        predictor: What an interpreter was given for it.
        interpreter: The interpreter's class, for the line to type.

    Raises:
        ConfigurationError: If it is a model or a pipeline of transformers, or another class.
    """
    package = type(predictor).__module__.partition(".")[0]
    if isinstance(predictor, nn.Module) or package == "transformers":
        tokenizer = ", tokenizer" if isinstance(predictor, nn.Module) else ""
        raise ConfigurationError(
            f"{interpreter} explains predictors, and this is a {type(predictor).__name__}. Import "
            "TransformersPredictor from allennlp_saliency.predictors, and type "
            f"{interpreter}(TransformersPredictor.from_pretrained("
            f"{'model' if tokenizer else 'pipeline'}{tokenizer}))"
        )
    if isinstance(predictor, (str, PathLike)):
        raise ConfigurationError(
            f"{interpreter} explains predictors, and this is {str(predictor)!r}; type "
            f"{interpreter}(Predictor.from_path(…)) for an archive of AllenNLP, or "
            f"{interpreter}(TransformersPredictor.from_pretrained(…)) for a folder or hub id of "
            "Hugging Face, with TransformersPredictor from allennlp_saliency.predictors"
        )
    if isinstance(predictor, type):
        raise ConfigurationError(
            f"{interpreter} explains predictors, and this is {predictor!r}; type "
            f"{interpreter}(Predictor.from_path(…))"
        )
    return predictor


def given_input(predictor: Predictor, given: Any) -> JsonDict:
    """One input as a predictor reads it.

    Args:
        predictor: The predictor.
        given: A mapping of its keys, a row of a table (pandas), or, where it reads one text, a
            plain string.

    Raises:
        InterpretationError: If it is a string and the predictor reads several texts, if it is
            several inputs, or something else.
    """
    if isinstance(given, str):
        return _of_text(predictor, given)
    if isinstance(given, Mapping):
        return cast(JsonDict, given)
    if _has_columns(given):
        raise _several("a table", "rows of a table", "interpret_batch_json(table)")
    if isinstance(given, (list, tuple)):
        raise _several("a list", "several inputs", "interpret_batch_json([…])")
    if _is_series(given):
        return _row(given.to_dict())
    raise InterpretationError(f"an input is a JSON object, not {type(given).__name__}")


def given_inputs(predictor: Predictor, given: Any) -> Iterator[JsonDict]:
    """Several inputs as a predictor reads them, one by one.

    Args:
        predictor: The predictor.
        given: A list, a generator, a data set of `datasets`, a table of pandas or polars, whose
            rows are the inputs, or a column of texts.

    Raises:
        InterpretationError: If it is one input, or data sets of several splits.
    """
    if isinstance(given, str):
        known = _of_text(predictor, given)  # the error about its keys comes first
        raise _one(f"interpret_json({_shown(known)})", f"interpret_batch_json([{_shown(given)}])")
    if isinstance(given, Mapping):
        parts = [name for name, one in given.items() if _has_columns(one)]
        if parts:
            raise InterpretationError(
                f"these are {len(parts)} data sets, {', '.join(map(repr, parts))}; name one: "
                f"interpret_batch_json(data[{parts[0]!r}])"
            )
        raise _one("interpret_json(input)", "interpret_batch_json([input])")
    return (given_input(predictor, one) for one in _each(given))


def _each(given: Any) -> Iterable[Any]:
    if hasattr(given, "to_dicts") and _has_columns(given):  # polars
        return given.iter_rows(named=True)
    if hasattr(given, "itertuples") and _has_columns(given):  # pandas
        names = list(given.columns)
        return (
            _row(dict(zip(names, row, strict=True)))
            for row in given.itertuples(index=False, name=None)
        )
    if not isinstance(given, Iterable):
        raise InterpretationError(
            f"inputs are a list of JSON objects, not {type(given).__name__}; for one input call "
            "interpret_json"
        )
    return given


def _of_text(predictor: Predictor, text: str) -> JsonDict:
    keys = text_keys(predictor)
    if len(keys) == 1:
        return {keys[0]: text}
    if not keys:
        example, reads = {"sentence": "…"}, "an object"
    else:
        example, reads = dict.fromkeys(keys, "…"), f"an object with {' and '.join(keys)}"
    raise InterpretationError(
        f"a plain text is not enough: {type(predictor).__name__} reads {reads}; type "
        f"interpret_json({_shown(example)})"
    )


def text_keys(predictor: Predictor) -> Sequence[str]:
    """The keys of the texts that a predictor needs; empty where that is not known.

    The predictor says so itself, or, as AllenNLP's do, has a method `predict` with a parameter for
    each.
    """
    if isinstance(predictor, HasTextKeys):
        return predictor.text_keys
    predict = getattr(predictor, "predict", None)
    if predict is None:
        return ()
    parameters = inspect.signature(predict).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind in kinds]
    if _NO_TEXTS.intersection(needed):
        return ()
    return [_KEYS.get(name, name) for name in needed]


def _has_columns(given: Any) -> bool:
    """Whether this is a table: of pandas, of polars, or a data set of `datasets`."""
    return hasattr(given, "columns") or hasattr(given, "column_names")


def _is_series(given: Any) -> bool:
    """Whether this is a row of a table of pandas."""
    return hasattr(given, "to_dict") and hasattr(given, "index")


def _row(row: Mapping[Any, Any]) -> JsonDict:
    """A row without what is missing: pandas writes NaN for it, which is no text."""
    return {str(name): one for name, one in row.items() if not _missing(one)}


def _missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):  # an array; pandas' NA
        return type(value).__name__ == "NAType"


def _several(what: str, meant: str, line: str) -> InterpretationError:
    return InterpretationError(
        f"interpret_json takes one input, not {what}; for {meant} type {line}"
    )


def _one(line: str, other: str) -> InterpretationError:
    return InterpretationError(f"this is one input, not a list of inputs; type {line} or {other}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:100] + "…"
