"""A predictor's reading of an input, with errors that say what is wrong with the input: its keys,
its values, or how long its texts are."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.modules.token_embedders import PretrainedTransformerEmbedder
from allennlp.predictors import Predictor
from torch import nn

from ..contracts import ReadsWindows
from ..errors import InterpretationError
from ..inputs.texts import text_items
from ..model.embedding_layers import most_positions

# Parameters of readers that cut any text; a field's own is called, say, `source_max_tokens`.
_CUTS = ("length_limit", "max_tokens", "max_sequence_length", "max_length")
_EMBEDDED = (
    "set max_length in the archive's tokenizer (cuts), or in its indexer and embedder (folds)"
)
_INFINITE = float("inf")


class InputKeys(dict[str, Any]):
    """An input that records which keys were looked up; otherwise a plain `dict`.

    The record distinguishes a `KeyError` for a key that the input lacks from one of the model's
    own. Copies made by `copy` and `deepcopy` share the record.

    Args:
        given: The input.

    Attributes:
        read: Keys that were looked up and found.
        missing: Keys that were looked up and not found.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.read: set[Any] = set()
        self.missing: set[Any] = set()

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return self._note(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As `dict.get`."""
        self._note(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """As `dict.pop`."""
        self._note(key)
        return super().pop(key, *default)

    def copy(self) -> InputKeys:
        """As `dict.copy`."""
        other = InputKeys(self)
        other.read, other.missing = self.read, self.missing
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> InputKeys:
        other = self.copy()
        other.update(deepcopy(dict(self), memo))
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        # A process of its own gets the plain input.
        return dict, (dict(self),)

    def _note(self, key: Any) -> bool:
        there = super().__contains__(key)
        # A key that was popped was there.
        if there or key not in self.read:
            (self.read if there else self.missing).add(key)
        return there


def misses(given: Any, error: BaseException) -> bool:
    """Whether an error is about a key that an input lacks.

    Args:
        given: The input that was passed to the function which raised the error.
        error: The error.
    """
    if not (isinstance(given, InputKeys) and isinstance(error, KeyError)):
        return False
    return len(error.args) == 1 and error.args[0] in given.missing


def place_of(error: BaseException) -> str:
    """Where an error was raised, `module.function`; empty if that is not known."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    frame = trace.tb_frame
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}"


def read_input(
    predictor: Predictor, read: Callable[[JsonDict], Any], json: JsonDict, reads: bool = False
) -> Any:
    """The result of a predictor's method for a copy of an input.

    Args:
        predictor: The predictor.
        read: The method.
        json: The input.
        reads: Whether the method only reads the input, as `_json_to_instance` does: no model runs.

    Raises:
        InterpretationError: If it fails because of the input's values (also empty ones), or of a
            key it lacks.
    """
    given = json.copy() if isinstance(json, InputKeys) else InputKeys(json)
    try:
        return read(given)
    except KeyError as error:
        if not misses(given, error):
            raise
        raise InterpretationError(
            f"the input lacks the key {error} that {type(predictor).__name__} reads; it has "
            f"{', '.join(map(repr, json)) or 'none'}"
        ) from error
    except (TypeError, ValueError, AttributeError, AssertionError, IndexError) as error:
        own = {key: value for key, value in json.items() if key in given.read}
        what = "; ".join(_no_texts(own))
        if not what and not reads:
            raise  # probably an error of the model
        what = what or "; ".join(_empty_texts(own))
        if not what and isinstance(error, AssertionError | IndexError):
            raise  # of the predictor's or its reader's own
        if not what:
            what = _cause(predictor, own, error)
        raise InterpretationError(
            f"{type(predictor).__name__} cannot read the input: {what}"
        ) from error


def lone_surrogate(text: str) -> int | None:
    """The place of the first lone surrogate (half a character), which no tokenizer takes."""
    return next((n for n, one in enumerate(text) if "\ud800" <= one <= "\udfff"), None)


def _no_texts(json: JsonDict) -> Iterator[str]:
    """The values in an input that no predictor can read: null, and texts with lone surrogates."""
    for key, value in json.items():
        for name, one in _leaves(repr(key), value):
            place = lone_surrogate(one) if isinstance(one, str) else None
            if one is None:
                yield f"{name} is null, and a text is wanted"
            elif place is not None:
                yield f"{name} has half a character, {one[place]!r} at place {place}"


def _empty_texts(json: JsonDict) -> Iterator[str]:
    """The values in an input that have no word, if there is nothing else but texts."""
    leaves = [leaf for key, value in json.items() for leaf in _leaves(repr(key), value)]
    if not all(isinstance(one, str) for _, one in leaves):
        return
    for key, value in json.items():
        if value == []:
            yield f"{key!r} is an empty list; leave the input out, or give it texts"
    for name, one in leaves:
        if not one.strip():
            yield f"{name} is empty; leave the input out, or give it a text"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(f"{name}[{number}]", one)
    else:
        yield name, value


def _cause(predictor: Predictor, read: JsonDict, error: Exception) -> str:
    """The likely cause of an error, from the values that were read of an input."""
    types = ", ".join(
        f"{key!r} is {reprlib.repr(value)} of type {type(value).__name__}"
        for key, value in read.items()
        if not isinstance(value, str)
    )
    place = place_of(error)
    own = {type(predictor).__module__, type(predictor._dataset_reader).__module__}
    if types and place.rpartition(".")[0] not in own:
        # A tokenizer's error message addresses its caller, not the user.
        return f"{types}, where mostly a text is wanted ({type(error).__name__})"
    says = f"it says {type(error).__name__}: {error}"
    return f"{types}; {says}" if types else f"{says}; check the type of the value of each key"


@dataclass
class LengthCheck:
    """Refuses texts with more wordpieces than the model has positions.

    The model would fail too, and on a GPU such an error makes the whole process unusable. A
    transformer may be one that AllenNLP embeds with, or one that the model holds itself (SRL-BERT,
    BART). The latter reads the texts that a transformer's indexer indexes; where there are none,
    it is known which text it reads only if there is one alone: otherwise see `too_long`.

    Args:
        predictor: The predictor. Its model is looked through once.
    """

    predictor: Predictor
    _positions: tuple[float, float] | None = None

    def check(self, instance: Instance) -> None:
        """Refuses an instance with a text that is too long.

        Args:
            instance: The instance, which is indexed.

        Raises:
            InterpretationError: If a text is too long, with the way out that its reader has.
        """
        predictor = self.predictor
        if self._positions is None:
            whole = [
                most_positions(cast(nn.Module, one.transformer_model))
                for one in predictor._model.modules()
                if isinstance(one, PretrainedTransformerEmbedder) and one._max_length is None
            ]
            self._positions = min(whole, default=_INFINITE), _held(predictor._model)
        embedded, held = self._positions
        if embedded == held == _INFINITE:
            return
        pieces = _lengths(predictor, instance, wordpieces=True)
        error = _too_long(predictor, pieces, embedded, embedded=True)
        if error is None and held < _INFINITE:
            texts = pieces or _lengths(predictor, instance, wordpieces=False)
            if pieces or len(texts) == 1:
                error = _too_long(predictor, texts, held)
        if error is not None:
            raise error


def too_long(predictor: Predictor, instance: Instance) -> InterpretationError | None:
    """The likely cause of an error of a model that holds a transformer: that a text is too long.

    Args:
        predictor: The predictor.
        instance: The instance that the model failed for.
    """
    lengths = _lengths(predictor, instance, wordpieces=False)
    return _too_long(predictor, lengths, _held(predictor._model))


def _held(model: nn.Module) -> float:
    """How many positions the transformers have that the model holds itself, not by an embedder."""
    if isinstance(model, ReadsWindows):
        return _INFINITE  # it checks by itself what it does not read in windows
    return most_positions(model, outside=PretrainedTransformerEmbedder)


def _lengths(predictor: Predictor, instance: Instance, wordpieces: bool) -> dict[str, int]:
    """How long each text field is, the longest of a list of them; `wordpieces`: of those alone that
    a transformer's own indexer indexes."""
    instance.index_fields(predictor._model.vocab)
    found = {}
    for name, lengths in instance.get_padding_lengths().items():
        own = [
            length
            for key, length in lengths.items()
            if key.endswith("token_ids") or (not wordpieces and key.endswith("tokens"))
        ]
        if own and text_items(instance.fields[name]):
            found[name] = max(own)
    return found


def _too_long(
    predictor: Predictor, lengths: Mapping[str, int], limit: float, embedded: bool = False
) -> InterpretationError | None:
    for name, longest in lengths.items():
        if longest > limit:
            return InterpretationError(
                f"field {name!r} has {longest} wordpieces, and the model takes at most "
                f"{limit:.0f}: shorten the text, or "
                + _way_out(predictor, name, int(limit), embedded)
            )
    return None


def _way_out(predictor: Predictor, field: str, limit: int, embedded: bool) -> str:
    """How to shorten a text by the archive, as far as its reader can."""
    reader = type(predictor._dataset_reader)
    known: set[str] = set()
    for kind in reader.__mro__:
        if callable(vars(kind).get("__init__")):
            known.update(signature(vars(kind)["__init__"]).parameters)
    if embedded and any(name.endswith("tokenizer") for name in known):
        return _EMBEDDED
    wanted = (f"{field.partition('_')[0]}_max_tokens", *_CUTS)
    cuts = next((name for name in wanted if name in known), None)
    if cuts is None:
        return f"explain its parts one by one ({reader.__name__} cannot cut it)"
    return (
        f"set {cuts} in the archive's dataset_reader to {limit} at most (cuts): --overrides "
        f"'{{\"dataset_reader.{cuts}\": {limit}}}'"
    )
