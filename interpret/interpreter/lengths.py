"""Texts that are longer than a model's learned positions."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import cast

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


def check_length(predictor: Predictor, instance: Instance) -> None:
    """Refuses a text with more wordpieces than the model has positions.

    The model would fail too, and on a GPU such an error makes the whole process unusable. A
    transformer may be one that AllenNLP embeds with, or one that the model holds itself (SRL-BERT,
    BART). The latter reads the texts that a transformer's indexer indexes; where there are none,
    it is known which text it reads only if there is one alone: otherwise see `too_long`.

    Args:
        predictor: The predictor.
        instance: The instance, which is indexed.

    Raises:
        InterpretationError: If a text is too long, with the way out that its reader has.
    """
    embedded = min(
        (
            most_positions(cast(nn.Module, one.transformer_model))
            for one in predictor._model.modules()
            if isinstance(one, PretrainedTransformerEmbedder) and one._max_length is None
        ),
        default=float("inf"),
    )
    _check(predictor, instance, embedded, wordpieces=True, embedded=True)
    held = _held(predictor._model)
    if held == float("inf"):
        return
    pieces = _lengths(predictor, instance, wordpieces=True)
    if pieces or len(_lengths(predictor, instance, wordpieces=False)) == 1:
        _check(predictor, instance, held, wordpieces=bool(pieces))


def too_long(predictor: Predictor, instance: Instance) -> InterpretationError | None:
    """The likely cause of an error of a model that holds a transformer: that a text is too long.

    Args:
        predictor: The predictor.
        instance: The instance that the model failed for.
    """
    try:
        _check(predictor, instance, _held(predictor._model), wordpieces=False)
    except InterpretationError as error:
        return error
    return None


def _check(
    predictor: Predictor,
    instance: Instance,
    limit: float,
    wordpieces: bool,
    embedded: bool = False,
) -> None:
    if limit == float("inf"):
        return
    for name, longest in _lengths(predictor, instance, wordpieces).items():
        if longest > limit:
            way_out = _way_out(predictor, name, int(limit), embedded)
            raise InterpretationError(
                f"field {name!r} has {longest} wordpieces, and the model takes at most "
                f"{limit:.0f}: shorten the text, or {way_out}"
            )


def _lengths(predictor: Predictor, instance: Instance, wordpieces: bool) -> dict[str, int]:
    """How long each text field is, the longest of a list of them.

    Args:
        predictor: The predictor.
        instance: The instance.
        wordpieces: Whether only those count that a transformer's own indexer indexes.
    """
    instance.index_fields(predictor._model.vocab)
    texts = {name for name, one in instance.fields.items() if any(True for _ in text_items(one))}
    found = {}
    for name, lengths in instance.get_padding_lengths().items():
        own = [
            length
            for key, length in lengths.items()
            if key.endswith("token_ids") or (not wordpieces and key.endswith("tokens"))
        ]
        if own and name in texts:
            found[name] = max(own)
    return found


def _held(model: nn.Module) -> float:
    """How many positions the transformers have that the model holds itself, not by an embedder."""
    if isinstance(model, ReadsWindows):
        return float("inf")  # it checks by itself what it does not read in windows
    found = [most_positions(one) for one in _own_children(model)]
    return min(found, default=float("inf"))


def _own_children(module: nn.Module) -> Iterator[nn.Module]:
    """The modules under one that hold no embedder, the largest ones."""
    if not any(map(_embeds, module.modules())):
        yield module
    elif not _embeds(module):
        for child in module.children():
            yield from _own_children(child)


def _embeds(module: nn.Module) -> bool:
    return isinstance(module, PretrainedTransformerEmbedder)


def _way_out(predictor: Predictor, field: str, limit: int, embedded: bool) -> str:
    """How to shorten a text by the archive, as far as its reader can."""
    reader = type(predictor._dataset_reader)
    known = {name for kind in reader.__mro__ for name in _parameters(kind)}
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


def _parameters(kind: type) -> list[str]:
    own = vars(kind).get("__init__")
    return [] if own is None or not callable(own) else list(signature(own).parameters)
