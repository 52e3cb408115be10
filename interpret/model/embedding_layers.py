"""Which layers turn a predictor's text fields into vectors."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

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

from ..contracts import JoinsTexts
from ..errors import InterpretationError, SettingError, close_names
from ..inputs.overrides import overrides
from .twin import Twin


@dataclass(frozen=True)
class EmbeddingLayer:
    """A layer whose output is attributed to.

    Attributes:
        module: The layer, in the twin. Its output ends in `(positions, dim)`.
        indexer: Name of the token indexer whose indices it embeds, None where the predictor
            names the layer itself and its indexer is not known.
        transformer: The embedder of the transformer that the layer is in.
        embeds: Whether it takes the indexer's indices; otherwise it takes vectors, one per index
            or, where there is no indexer, one per token.
    """

    module: nn.Module
    indexer: str | None = None
    transformer: PretrainedTransformerEmbedder | None = None
    embeds: bool = True


@dataclass(frozen=True)
class EmbeddingLayers:
    """The layers of a predictor that are attributed to.

    Attributes:
        embedders: The modules that take texts: the text field embedder, or the layers that
            embed the ids of a model that joins its texts.
        layers: The layers whose outputs are attributed to.
        backbone: The module that does most of the work and whose outputs the rest of the model is
            computed from; None if a prediction calls it with other arguments than the run that
            explains it.
    """

    embedders: tuple[nn.Module, ...]
    layers: tuple[EmbeddingLayer, ...]
    backbone: nn.Module | None = None


@runtime_checkable
class NamesLayers(Protocol):
    """A model that embeds texts beside its first text field embedder, or without any."""

    def text_layers(self) -> EmbeddingLayers:
        """The layers that embed its text fields."""


def find_embedding_layers(twin: Twin) -> EmbeddingLayers:
    """Finds the layers to interpret.

    A model that joins its texts names them itself. Next come a predictor that overrides
    `get_interpretable_layer` and a model that names its layers. Otherwise every
    token embedder of the predictor's text field embedder counts: the input embeddings of a
    transformer, whatever its architecture, and the output of any other token embedder. Of a model
    without text field embedder, they are the input embeddings of its only Hugging Face model.

    Args:
        twin: The predictor's twin.

    Raises:
        InterpretationError: If the model has no text field embedder and the predictor names
            no layer to interpret.
    """
    if isinstance(twin.model, JoinsTexts):
        modules = tuple(twin.model.embedding_layers)
        layers = tuple(EmbeddingLayer(module) for module in modules)
        return EmbeddingLayers(modules, layers, twin.model.backbone)
    if isinstance(twin.model, NamesLayers) and not _names_layers(twin.predictor):
        return twin.model.text_layers()
    bare = _bare_transformer(twin)
    if bare is not None:
        module = input_embeddings(bare)
        return EmbeddingLayers((module,), (EmbeddingLayer(module),), bare)
    text_field_embedder = _text_field_embedder(twin)
    embedders = (text_field_embedder,)
    layers = tuple(layers_of(text_field_embedder))
    if overrides(twin.predictor, Predictor.get_interpretable_layer):
        module = twin.counterpart(twin.predictor.get_interpretable_layer())
        known = tuple(layer for layer in layers if layer.module is module)
        layers = known or (EmbeddingLayer(module),)
    return EmbeddingLayers(embedders, layers, text_field_embedder)


def find_inner_layer(twin: Twin, name: str | int) -> EmbeddingLayers:
    """Finds a layer inside the model.

    Args:
        twin: The predictor's twin.
        name: Its dotted name as in `model.named_modules()`, or the end of that name where no other
            layer's ends so (a Hugging Face model's own names do); or the number of a block, where
            the model has one stack of blocks.

    Raises:
        InterpretationError: If no layer has that name; the message lists close ones.
    """
    path = inner_layer_name(twin.model, name)
    module = dict(twin.model.named_modules())[path]
    found = find_embedding_layers(twin)
    for first in found.layers:
        if first.module is module:
            return replace(found, layers=(first,), backbone=None)
        if first.transformer is not None and _contains(first.transformer, module):
            inner = replace(first, module=module, embeds=False)
            return replace(found, layers=(inner,), backbone=None)
    inner = EmbeddingLayer(module, embeds=False)
    return replace(found, layers=(inner,), backbone=None)


def inner_layer_name(model: nn.Module, name: str | int) -> str:
    """The full dotted name of a layer, as in `model.named_modules()`.

    Args:
        model: The model.
        name: As in `find_inner_layer`.

    Raises:
        SettingError: If no layer has that name, or several have.
    """
    modules = dict(model.named_modules())
    if not isinstance(name, str):
        # A number of numpy's, too.
        return _block_name(model, modules, int(name))
    if name in modules and name:
        return name
    ending = [path for path in modules if name and path.endswith(f".{name}")]
    # A Hugging Face model's own full name is that of a layer one level further down here.
    own = [path for path in ending if path.count(".") == name.count(".") + 1]
    for found in (ending, own):
        if len(found) == 1:
            return found[0]
    if ending:
        raise SettingError(
            f"{type(model).__name__} has several layers that end with {name!r}; name one of "
            f"{', '.join(map(repr, ending[:8]))}"
        )
    known = [path for path in modules if path]
    close = close_names(name, known, cutoff=0.4)
    raise SettingError(f"{type(model).__name__} has no layer {name!r}; {close}")


def _block_name(model: nn.Module, modules: Mapping[str, nn.Module], number: int) -> str:
    """The name of a block by its number in the model's only stack of blocks."""
    stacks = block_stacks(modules)
    if len(stacks) != 1:
        found = ", ".join(f"'{path}.{number}'" for path in stacks) or "no stack of blocks"
        raise SettingError(
            f"{type(model).__name__} has {len(stacks)} stacks of blocks, so the number {number} "
            f"names no layer; name it: {found}"
        )
    (path,) = stacks
    count = len(stacks[path])
    if not -count <= number < count:
        raise SettingError(
            f"{type(model).__name__} has {count} blocks, numbered from 0, and no number {number}"
        )
    return f"{path}.{number % count}"


def block_stacks(modules: Mapping[str, nn.Module]) -> dict[str, nn.ModuleList]:
    """The outermost lists of blocks of one kind, by name: `encoder.layer`, `model.layers`.

    Args:
        modules: A model's modules by name.
    """
    found: dict[str, nn.ModuleList] = {}
    for path, module in modules.items():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if not isinstance(module, nn.ModuleList) or inside or not len(module):
            continue
        if all(_is_block(block) for block in module):
            found[path] = module
    return found


def _is_block(module: nn.Module) -> bool:
    """Whether it has several layers with weights; heads and single embeddings have one. A list of
    blocks (Funnel has them in groups) is none itself: it never runs."""
    if isinstance(module, nn.ModuleList):
        return False
    return sum(bool(one._parameters) for one in module.modules()) > 2


def _contains(outer: nn.Module, inner: nn.Module) -> bool:
    return any(module is inner for module in outer.modules())


def _is_hugging_face_model(module: nn.Module) -> bool:
    # Where there is an object of the class, its module is loaded; to import it here would load most
    # of transformers for models that have none.
    known = sys.modules.get("transformers.modeling_utils")
    return known is not None and isinstance(module, known.PreTrainedModel)


def _bare_transformer(twin: Twin) -> nn.Module | None:
    """The only Hugging Face model of a model without text field embedder, where the predictor
    names no layer to interpret."""
    if _names_layers(twin.predictor):
        return None
    modules = list(twin.model.modules())
    if any(isinstance(module, TextFieldEmbedder) for module in modules):
        return None
    whole = [module for module in modules if _is_hugging_face_model(module)]
    inner = {id(part) for one in whole for part in one.modules() if part is not one}
    outer = [module for module in whole if id(module) not in inner]
    return outer[0] if len(outer) == 1 else None


def _text_field_embedder(twin: Twin) -> nn.Module:
    if not overrides(twin.predictor, Predictor.get_interpretable_text_field_embedder):
        for module in twin.model.modules():
            if isinstance(module, TextFieldEmbedder):
                return module
        if not overrides(twin.predictor, Predictor.get_interpretable_layer):
            raise InterpretationError(
                f"{type(twin.model).__name__} has no TextFieldEmbedder; override "
                "get_interpretable_layer and get_interpretable_text_field_embedder in "
                f"{type(twin.predictor).__name__} to name the layers to interpret"
            )
        return twin.counterpart(twin.predictor.get_interpretable_layer())
    return twin.counterpart(twin.predictor.get_interpretable_text_field_embedder())


def _names_layers(predictor: Predictor) -> bool:
    methods = (
        Predictor.get_interpretable_layer,
        Predictor.get_interpretable_text_field_embedder,
    )
    return any(overrides(predictor, method) for method in methods)


def layers_of(text_field_embedder: nn.Module) -> list[EmbeddingLayer]:
    """The layers of a text field embedder: for each token embedder the one to attribute to."""
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
