"""The same models as Hugging Face's users run them, and what these say of their attention."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from allennlp_saliency.interpret import AttentionMatrix, Explanation, SaliencyInterpreter
from allennlp_saliency.interpret.space.packing import TokenBudget
from tests.zoo.task_models import KINDS, predictor, tokenizer

SENTENCE = "john smith lives in london, but the plot was not very good !"
SHORT = "a great film"


def eager(name: str, task: str) -> Any:
    """A copy of a model that computes its attention step by step and shows it."""
    own = copy.deepcopy(predictor(name, task)._model.transformer)
    own.set_attn_implementation("eager")
    return own.eval()


def encoded(name: str, *texts: Any, **more: Any) -> dict[str, Any]:
    """What Hugging Face's users pass to their models."""
    batch = dict(tokenizer(KINDS[name].tokenizer)(*texts, return_tensors="pt", **more))
    if name not in ("bert", "electra", "albert"):
        batch.pop("token_type_ids", None)
    return batch


def shown(outputs: Any) -> dict[str, np.ndarray]:
    """The attentions of a model's outputs by kind, `(layers, batch, heads, queries, keys)`."""
    found = {}
    for kind, key in (
        ("encoder", "encoder_attentions"),
        ("decoder", "decoder_attentions"),
        ("cross", "cross_attentions"),
        ("self", "attentions"),
    ):
        if getattr(outputs, key, None):
            found[kind] = np.stack([layer.detach().numpy() for layer in getattr(outputs, key)])
    return found


def interpreter(method: str, name: str, task: str, **settings: Any) -> SaliencyInterpreter:
    made = SaliencyInterpreter.by_name(method)(predictor(name, task), **settings)
    assert isinstance(made, SaliencyInterpreter)
    return made


def explained(method: str, name: str, task: str, given: Any, **settings: Any) -> list[Explanation]:
    return interpreter(method, name, task, **settings).interpret_json(given)


def of_kind(explanation: Explanation, kind: str) -> np.ndarray:
    """The only matrices of a kind."""
    (one,) = [matrix for matrix in explanation.matrices if matrix.kind == kind]
    return one.numpy()


def scores(explanation: Explanation, *fields: str) -> np.ndarray:
    """The scores of some fields, one after the other."""
    by_name = {one.field: one.attributions for one in explanation.inputs}
    return np.array([score for field in fields for score in by_name[field]])


def one_group(self: TokenBudget, lengths: Sequence[int], rows: int, shapes: Any = None) -> Any:
    """In the place of `TokenBudget.groups`: all instances share a batch, whatever their length."""
    return [list(range(len(lengths)))]


def zeroed(model: Any, block: Any, value: Any, part: slice, batch: dict[str, Any]) -> np.ndarray:
    """C by its definition: a pass of the whole model for each key, with the value projection's
    output set to zero there.

    Args:
        model: The model.
        block: The block whose output is compared.
        value: The module that projects to values.
        part: Which of its outputs are values.
        batch: One input.

    Returns:
        1 - cos, `(queries, keys)`.
    """
    states: list[torch.Tensor] = []
    lengths: list[int] = []
    zero: list[int] = []

    def listen(module: Any, args: Any, output: Any) -> None:
        states.append((output[0] if isinstance(output, tuple) else output)[0].double())

    def silence(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
        lengths.append(output.shape[1])
        output = output.clone()
        for key in zero:
            output[:, key, part] = 0
        return output

    handles = [block.register_forward_hook(listen), value.register_forward_hook(silence)]
    with torch.no_grad():
        model(**batch)
        for key in range(lengths[0]):
            zero[:] = [key]
            model(**batch)
    for handle in handles:
        handle.remove()
    changes = [1 - torch.cosine_similarity(states[0], other, dim=-1) for other in states[1:]]
    return torch.stack(changes, dim=1).numpy()


def normalized(changes: np.ndarray) -> np.ndarray:
    return changes / changes.sum(-1, keepdims=True)


__all__ = [
    "SENTENCE",
    "SHORT",
    "AttentionMatrix",
    "eager",
    "encoded",
    "explained",
    "interpreter",
    "normalized",
    "of_kind",
    "one_group",
    "scores",
    "shown",
    "zeroed",
]
