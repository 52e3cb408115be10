"""How many positions a transformer has learned."""

from __future__ import annotations

from torch import nn

_NAMES = ("position_embeddings", "wpe", "embed_positions")


def position_tables(transformer: nn.Module) -> list[nn.Embedding]:
    """The layers that hold the positions that a model has learned."""
    return [
        module
        for name, module in transformer.named_modules()
        if name.rpartition(".")[2] in _NAMES and isinstance(module, nn.Embedding)
    ]


def most_positions(transformer: nn.Module) -> float:
    """How many positions a model has learned; infinite where it has learned none."""
    most = float("inf")
    for table in position_tables(transformer):
        # RoBERTa's positions begin behind that of padding, BART's behind two that nobody uses.
        before = 0 if table.padding_idx is None else table.padding_idx + 1
        most = min(most, table.num_embeddings - (getattr(table, "offset", None) or before))
    return most
