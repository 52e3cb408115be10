"""Which layers turn a predictor's text fields into vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
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

from ..contracts import JoinsTexts, overrides
from ..errors import InterpretationError, SettingError, close_names
from .twin import Twin

_POSITIONS = ("position_embeddings", "wpe", "embed_positions")


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
        embedders: The modules that take texts: text field embedders, or the layers that
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
    token embedder of the text field embedder that the predictor names, or of all that the model
    has, counts: the input embeddings of a transformer, whatever its architecture, and the output of
    any other token embedder. Of a model without text field embedder, they are the input embeddings
    of its only Hugging Face model.

    Args:
        twin: The predictor's twin.

    Raises:
        InterpretationError: If the model has no text field embedder and the predictor names
            no layer to interpret.
    """
    model, predictor = twin.model, twin.predictor
    if isinstance(model, JoinsTexts):
        modules = tuple(model.embedding_layers())
        return EmbeddingLayers(modules, tuple(map(EmbeddingLayer, modules)), model.backbone)
    names_layer = overrides(predictor, Predictor.get_interpretable_layer)
    names_embedder = overrides(predictor, Predictor.get_interpretable_text_field_embedder)
    if isinstance(model, NamesLayers) and not (names_layer or names_embedder):
        return model.text_layers()
    inner: set[int] = set()
    embedders: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, TextFieldEmbedder) and id(module) not in inner:
            embedders.append(module)
            inner.update(map(id, module.modules()))
    if names_embedder:
        embedders = [twin.counterpart(predictor.get_interpretable_text_field_embedder())]
    elif not embedders and names_layer:
        embedders = [twin.counterpart(predictor.get_interpretable_layer())]
    if not embedders:
        transformer = _bare_transformer(twin)
        module = input_embeddings(transformer)
        return EmbeddingLayers((module,), (EmbeddingLayer(module),), transformer)
    layers = tuple(layer for one in embedders for layer in layers_of(one))
    if names_layer:
        module = twin.counterpart(predictor.get_interpretable_layer())
        known = tuple(layer for layer in layers if layer.module is module)
        layers = known or (EmbeddingLayer(module),)
    backbone = embedders[0] if len(embedders) == 1 else None
    return EmbeddingLayers(tuple(embedders), layers, backbone)


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
    module = dict(twin.model.named_modules())[inner_layer_name(twin.model, name)]
    found = find_embedding_layers(twin)
    inner = EmbeddingLayer(module, embeds=False)
    for first in found.layers:
        if first.module is module:
            inner = first
            break
        if first.transformer is not None and any(m is module for m in first.transformer.modules()):
            inner = replace(first, module=module, embeds=False)
            break
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
    if name.lstrip("-").isdecimal():
        close = f"a block's number has no quotes: {name}"
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


def hugging_face_models(modules: Iterable[nn.Module]) -> list[nn.Module]:
    """Those of some modules that are Hugging Face models."""
    # Where there is an object of the class, its module is loaded; to import it here would load most
    # of transformers for models that have none.
    known = sys.modules.get("transformers.modeling_utils")
    kind: Any = () if known is None else known.PreTrainedModel
    return [module for module in modules if isinstance(module, kind)]


def outermost_models(module: nn.Module) -> list[nn.Module]:
    """The Hugging Face models in a module that are part of no other."""
    whole = hugging_face_models(module.modules())
    inner = {id(part) for one in whole for part in one.modules() if part is not one}
    return [one for one in whole if id(one) not in inner]


def _bare_transformer(twin: Twin) -> nn.Module:
    """The only Hugging Face model of a model without text field embedder."""
    outer = outermost_models(twin.model)
    if len(outer) != 1:
        raise InterpretationError(
            f"{type(twin.model).__name__} has no TextFieldEmbedder; override "
            "get_interpretable_layer and get_interpretable_text_field_embedder in "
            f"{type(twin.predictor).__name__} to name the layers to interpret"
        )
    return outer[0]


def layers_of(text_field_embedder: nn.Module) -> list[EmbeddingLayer]:
    """The layers of a text field embedder: for each token embedder the one to attribute to."""
    if not isinstance(text_field_embedder, BasicTextFieldEmbedder):
        return [EmbeddingLayer(text_field_embedder)]
    layers = []
    for key in text_field_embedder._ordered_embedder_keys:
        embedder: Any = getattr(text_field_embedder, f"token_embedder_{key}")
        if isinstance(embedder, PretrainedTransformerMismatchedEmbedder):
            embedder = embedder._matched_embedder
        if isinstance(embedder, PretrainedTransformerEmbedder):
            module = input_embeddings(embedder.transformer_model)
            layers.append(EmbeddingLayer(module, key, embedder))
        elif not isinstance(embedder, EmptyEmbedder):
            layers.append(EmbeddingLayer(embedder, key))
    return layers


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
    around = outermost_models(transformer)
    if len(around) == 1 and around[0] is not transformer:
        # A module of the user's around a Hugging Face model.
        return input_embeddings(around[0])
    size = getattr(getattr(transformer, "config", None), "vocab_size", None)
    for module in transformer.modules():
        if isinstance(module, (nn.Embedding, Embedding)) and module.weight.shape[0] == size:
            return module
    raise InterpretationError(
        f"{type(transformer).__name__} does not name its input embeddings; override "
        "get_interpretable_layer in the predictor to name them"
    )


def position_tables(transformer: nn.Module) -> list[nn.Embedding]:
    """The layers that hold the positions that a model has learned."""
    found = {
        id(table): table
        for module in transformer.modules()
        for name, table in module._modules.items()
        if name in _POSITIONS and isinstance(table, nn.Embedding)
    }
    return list(found.values())


def most_positions(transformer: nn.Module, outside: type | tuple[type, ...] = ()) -> float:
    """How many positions a model has learned; infinite where it has learned none.

    Args:
        transformer: The model.
        outside: A class of modules whose positions do not count.
    """
    tables = position_tables(transformer)
    left_out: set[int] = set()
    if outside and tables:
        holders = [module for module in transformer.modules() if isinstance(module, outside)]
        left_out = {id(part) for one in holders for part in one.modules()}
    most = float("inf")
    for table in tables:
        if id(table) in left_out:
            continue
        # RoBERTa's positions begin behind that of padding, BART's behind two that nobody uses.
        before = 0 if table.padding_idx is None else table.padding_idx + 1
        most = min(most, table.num_embeddings - (getattr(table, "offset", None) or before))
    return most
