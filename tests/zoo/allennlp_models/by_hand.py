"""Gradient times input by autograd alone, without anything of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from allennlp.data import Batch, Instance
from allennlp.models import Model
from torch import Tensor, nn


def scores_of(
    model: Model,
    layer: nn.Module,
    instance: Instance,
    numbers: Callable[[dict[str, Any]], list[Tensor]],
) -> list[list[Tensor]]:
    """The scores of each position, for several numbers that a model computes of an instance.

    Args:
        model: The model, in evaluation mode; its parameters need gradients, so that a graph is
            made.
        layer: The layer of it that embeds texts.
        instance: An instance, token indexers applied.
        numbers: What is explained, by what the model's `forward` returned.

    Returns:
        For each number, for each call of the layer, Σ embedding x gradient, `(rows, positions)`.
    """
    embedded: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> None:
        output.retain_grad()
        embedded.append(output)

    batch = Batch([instance])
    batch.index_instances(model.vocab)
    hook = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            outputs = model(**batch.as_tensor_dict())
            found = numbers(outputs)
    finally:
        hook.remove()
    scores = []
    for number in found:
        gradients = torch.autograd.grad(number, embedded, retain_graph=True, allow_unused=True)
        scores.append(
            [
                torch.zeros(one.shape[:-1])
                if gradient is None
                else (one * gradient).sum(-1).detach()
                for one, gradient in zip(embedded, gradients, strict=True)
            ]
        )
    return scores
