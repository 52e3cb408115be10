"""Texts of an instance that have no scores."""

from __future__ import annotations

from allennlp.predictors import Predictor

from ..contracts import JoinsTexts, overrides
from ..inputs.texts import text_items
from ..model.embedding_layers import NamesLayers
from ..space.embedding_space import EmbeddingSpace
from ..space.variants.layer_space import LayerSpace


def unread(space: EmbeddingSpace, row: int) -> list[str]:
    """The warning that a text has no scores, as none of the layers that are interpreted embeds it;
    none where the model or the predictor names these layers.

    Args:
        space: The space.
        row: The instance, by its number.
    """
    predictor = space.session.twin.predictor
    named = isinstance(space.model, (JoinsTexts, NamesLayers)) or isinstance(space, LayerSpace)
    named |= overrides(predictor, Predictor.get_interpretable_layer)
    if named or overrides(predictor, Predictor.get_interpretable_text_field_embedder):
        return []
    return [
        f"field {name!r} has no scores: no text field embedder takes it, so if the model reads it "
        "in another way, what the scores add up to lacks its part; let the model embed it by a "
        "text field embedder, or use 'leave-one-out' with the target 'output'"
        for name, one in space.instances[row].fields.items()
        if name not in space.layout.names and any(item.text.tokens for item in text_items(one))
    ]
