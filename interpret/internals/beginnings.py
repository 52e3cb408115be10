"""Sequences that are beginnings of another one: what a causal model does in them, it does there.

(The tokens of a generated text are explained one by one, each given what comes before it.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .attention_space import Stack
from .recorder import DECODER, ENCODER, AttentionCall
from .sequences import Sequences


def longest(stack: Stack, encoded: Sequences | None) -> Tensor:
    """For each sequence the one to look at in its place, `(sequences,)`: itself, or a longer one
    that begins with it, where no position depends on one behind it.

    Args:
        stack: The attentions of a decoder.
        encoded: The sequences that its encoder read, None where it has none.
    """
    own = torch.arange(len(stack.queries.rows))
    looking = stack.run.of_kind(DECODER)
    if not looking or not all(_causal(call, stack.queries) for call in looking):
        return own
    vectors = _vectors(looking[0], stack.queries)
    read: list[Tensor] | None = None
    if encoded is not None and stack.run.reads is not None:
        encoder = stack.run.reads.of_kind(ENCODER)
        read = _vectors(encoder[0], encoded)
    found: list[int] = []
    for number in sorted(range(len(own)), key=lambda n: -len(vectors[n])):
        for other in found:
            begins = torch.equal(vectors[other][: len(vectors[number])], vectors[number])
            if begins and (read is None or torch.equal(read[other], read[number])):
                own[number] = other
                break
        else:
            found.append(number)
    return own


def copied(values: Tensor, stack: Stack, source: Tensor) -> None:
    """Writes for each sequence what stands there for another, as far as it goes.

    Args:
        values: `(sequences, queries, keys)`.
        stack: Whose they are.
        source: The other sequences, as `longest` gives them.
    """
    for number, other in enumerate(source.tolist()):
        if other != number:
            into, out = (
                [one.real[n].nonzero().flatten() for one in (stack.queries, stack.keys)]
                for n in (number, other)
            )
            there = [a[: len(b)] for a, b in zip(out, into, strict=True)]
            values[number][into[0].unsqueeze(1), into[1]] = values[other][
                there[0].unsqueeze(1), there[1]
            ]


def _causal(call: AttentionCall, sequences: Sequences) -> bool:
    real = sequences.real
    there = (real.unsqueeze(2) & real.unsqueeze(1)).unsqueeze(1).to(call.made.device)
    return not bool((call.weights.detach() * there).triu(1).any())


def _vectors(call: AttentionCall, sequences: Sequences) -> list[Tensor]:
    """The states that an attention was given: of each sequence those that are no padding."""
    states = call.given.detach()
    states = states.transpose(0, 1) if call.transposed else states
    return [own[real.to(own.device)] for own, real in zip(states, sequences.real, strict=True)]


__all__ = ["copied", "longest"]
