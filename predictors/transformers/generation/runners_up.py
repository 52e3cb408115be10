"""Foils that the model chooses itself: the most probable other token in each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from allennlp.data import Instance
from allennlp.data.tokenizers import Token

from allennlp_saliency.interpret.inputs.collation import collate
from allennlp_saliency.interpret.model.twin import place

from ..texts.token_sequence import joined
from .generation import GeneratingModel

RUNNER_UP = "runner-up"
"""The foil of an input that asks for them."""


def runners_up(
    model: GeneratingModel, instance: Instance, generated: Sequence[Token]
) -> list[Token]:
    """Of each token of a generated text the most probable other one, given what comes before.

    Where the model wrote the most probable token itself, it is the second.

    Args:
        model: The model.
        instance: The instance with the prompt or source.
        generated: The generated tokens.
    """
    ids = [int(token.text_id or 0) for token in generated]
    if model.windows_of(instance) is not None:
        steps = [model.step(instance, generated[:number]) for number in range(len(ids))]
        outputs = model.forward_on_instances(steps)
        logits = torch.stack([torch.as_tensor(one["logits"]) for one in outputs])
    else:
        field = model.prompt_field
        alone = Instance({field: instance[field]})
        texts = collate([alone], model.vocab, place(model)[0])
        with torch.no_grad():
            sequence = replace(joined(texts, model.padding_id), types=None)
            logits = model.logits_after(sequence, ids).cpu()
    others = logits.scatter(1, torch.tensor(ids).unsqueeze(1), -torch.inf)
    return [model._pieces.token(number) for number in others.argmax(-1).tolist()]
