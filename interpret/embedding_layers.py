"""Which layers turn a predictor's text fields into vectors."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Any

from allennlp.modules import TextFieldEmbedder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    Embedding,
    EmptyEmbedder,
    PretrainedTransformerEmbedder,
    PretrainedTransformerMismatchedEmbedder,
)
from allennlp.predictors import Predictor
from torch import nn

from .errors import InterpretationError
from .twin import Twin


@dataclass(frozen=True)
class EmbeddingLayer:
    """A layer whose output is attributed to.

    Attributes:
        module: The layer, in the twin. Its output ends in `(positions, dim)`.
        indexer: Name of the token indexer whose indices it embeds, None where the predictor
            names the layer itself and nothing says whose indices it takes.
        transformer: The embedder of the transformer that the layer is in.
        embeds: Whether it takes the indexer's indices; otherwise it takes vectors, of what the
            indexer indexes or, where there is no indexer, of tokens.
    """

    module: nn.Module
    indexer: str | None = None
    transformer: PretrainedTransformerEmbedder | None = None
    embeds: bool = True


@dataclass(frozen=True)
class EmbeddingLayers:
    """The text field embedder of a predictor and the layers in it that are attributed to."""

    text_field_embedder: nn.Module
    layers: tuple[EmbeddingLayer, ...]


def find_embedding_layers(twin: Twin) -> EmbeddingLayers:
    """Finds the layers to interpret.

    A predictor that overrides `get_interpretable_layer` has the say. Otherwise every token
    embedder of the predictor's text field embedder counts: the input embeddings of a
    transformer, whatever its architecture, and the output of any other token embedder.

    Args:
        twin: The predictor's twin.

    Raises:
        InterpretationError: If the model has no text field embedder and the predictor does not
            say what to interpret.
    """
    text_field_embedder = _text_field_embedder(twin)
    if _overrides(twin.predictor, "get_interpretable_layer"):
        module = twin.counterpart(twin.predictor.get_interpretable_layer())
        known = [layer for layer in _layers_of(text_field_embedder) if layer.module is module]
        return EmbeddingLayers(text_field_embedder, tuple(known) or (EmbeddingLayer(module),))
    return EmbeddingLayers(text_field_embedder, tuple(_layers_of(text_field_embedder)))


def find_inner_layer(twin: Twin, name: str) -> EmbeddingLayers:
    """Finds a layer inside the model by its dotted name.

    Args:
        twin: The predictor's twin.
        name: As in `model.named_modules()`.

    Raises:
        InterpretationError: If there is no such layer; the message lists the close ones.
    """
    modules = dict(twin.model.named_modules())
    if name not in modules or not name:
        close = difflib.get_close_matches(name, modules, n=8, cutoff=0.4)
        known = close or [path for path in modules if path and path.count(".") < 2]
        raise InterpretationError(
            f"{type(twin.model).__name__} has no layer {name!r}; did you mean "
            f"{', '.join(map(repr, known))}?"
        )
    text_field_embedder = _text_field_embedder(twin)
    for first in find_embedding_layers(twin).layers:
        if first.module is modules[name]:
            return EmbeddingLayers(text_field_embedder, (first,))
        if first.transformer is not None and _contains(first.transformer, modules[name]):
            inner = replace(first, module=modules[name], embeds=False)
            return EmbeddingLayers(text_field_embedder, (inner,))
    return EmbeddingLayers(text_field_embedder, (EmbeddingLayer(modules[name], embeds=False),))


def _contains(outer: nn.Module, inner: nn.Module) -> bool:
    return any(module is inner for module in outer.modules())


def _text_field_embedder(twin: Twin) -> nn.Module:
    if not _overrides(twin.predictor, "get_interpretable_text_field_embedder"):
        for module in twin.model.modules():
            if isinstance(module, TextFieldEmbedder):
                return module
        if not _overrides(twin.predictor, "get_interpretable_layer"):
            raise InterpretationError(
                f"{type(twin.model).__name__} has no TextFieldEmbedder; override "
                "get_interpretable_layer and get_interpretable_text_field_embedder in "
                f"{type(twin.predictor).__name__} to name the layers to interpret"
            )
        return twin.counterpart(twin.predictor.get_interpretable_layer())
    return twin.counterpart(twin.predictor.get_interpretable_text_field_embedder())


def _overrides(predictor: Predictor, method: str) -> bool:
    own = getattr(predictor, method)
    return getattr(own, "__func__", own) is not getattr(Predictor, method)


def _layers_of(text_field_embedder: nn.Module) -> list[EmbeddingLayer]:
    if not isinstance(text_field_embedder, BasicTextFieldEmbedder):
        return [EmbeddingLayer(text_field_embedder)]
    embedders: dict[str, Any] = {
        key: getattr(text_field_embedder, f"token_embedder_{key}")
        for key in text_field_embedder._ordered_embedder_keys
    }
    return [
        _layer_of(key, embedder)
        for key, embedder in embedders.items()
        if not isinstance(embedder, EmptyEmbedder)
    ]


def _layer_of(key: str, embedder: nn.Module) -> EmbeddingLayer:
    if isinstance(embedder, PretrainedTransformerMismatchedEmbedder):
        embedder = embedder._matched_embedder
    if isinstance(embedder, PretrainedTransformerEmbedder):
        return EmbeddingLayer(input_embeddings(embedder.transformer_model), key, embedder)
    return EmbeddingLayer(embedder, key)


def input_embeddings(transformer: nn.Module) -> nn.Module:
    """The layer that embeds the word indices of a Hugging Face model.

    Args:
        transformer: Any `PreTrainedModel`, or a part of one.

    Raises:
        InterpretationError: If the model neither names its input embeddings nor holds an
            embedding as large as its vocabulary.
    """
    try:
        layer = transformer.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        layer = None
    if isinstance(layer, nn.Module):
        return layer
    size = getattr(getattr(transformer, "config", None), "vocab_size", None)
    for module in transformer.modules():
        if isinstance(module, (nn.Embedding, Embedding)) and module.weight.shape[0] == size:
            return module
    raise InterpretationError(
        f"{type(transformer).__name__} does not name its input embeddings; override "
        "get_interpretable_layer in the predictor to name them"
    )
