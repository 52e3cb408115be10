"""Recurrent layers, written out step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

States = tuple[Tensor, ...]
Cell = Callable[..., States]
"""Takes a step's input, the states before and the weights; returns the states after."""


def lstm_cell(
    x: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM."""
    h, c = hx
    i, f, g, o = (F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_cell(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of a GRU."""
    r_x, z_x, n_x = F.linear(x, w_ih, b_ih).chunk(3, dim=-1)
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
    z = (z_x + z_h).sigmoid()
    n = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    return n + z * (h - n)


def _rnn_cell(nonlinearity: Callable[[Tensor], Tensor]) -> Cell:
    def cell(x: Tensor, states: States, w_ih: Tensor, w_hh: Tensor, *biases: Tensor) -> States:
        b_ih, b_hh = biases or (None, None)
        return (nonlinearity(F.linear(x, w_ih, b_ih) + F.linear(states[0], w_hh, b_hh)),)

    return cell


def _layer(
    cell: Cell, steps: Sequence[Tensor], states: States, weights: Sequence[Tensor], back: bool
) -> tuple[list[Tensor], States]:
    """One layer in one direction over time steps, `(rows, dim)` each; in a packed sequence a step
    has as many rows as texts are that long, the longest first."""
    outputs: list[Tensor] = []
    done: list[States] = []
    full = states
    current = tuple(state[: len(steps[-1 if back else 0])] for state in full)
    for x in reversed(steps) if back else steps:
        rows = len(x)
        if rows < len(current[0]):
            done.append(tuple(state[rows:] for state in current))
            current = tuple(state[:rows] for state in current)
        elif rows > len(current[0]):
            fresh = tuple(state[len(current[0]) : rows] for state in full)
            current = tuple(torch.cat(pair) for pair in zip(current, fresh, strict=True))
        current = cell(x, current, *weights)
        outputs.append(current[0])
    final = tuple(
        torch.cat([current[i], *(states[i] for states in reversed(done))])
        for i in range(len(current))
    )
    return (outputs[::-1] if back else outputs), final


def _run(
    cell: Cell,
    steps: list[Tensor],
    initial: States,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
) -> tuple[list[Tensor], States]:
    """All layers; initial and final states `(layers · directions, batch, dim)`."""
    per_direction = 4 if has_biases else 2
    directions = 2 if bidirectional else 1
    if len(params) != per_direction * directions * num_layers:
        raise NotImplementedError("a recurrent layer whose outputs are projected (proj_size)")
    finals: list[States] = []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = params[number * per_direction : (number + 1) * per_direction]
            states = tuple(state[number] for state in initial)
            out, final = _layer(cell, steps, states, weights, back=direction == 1)
            outputs.append(out)
            finals.append(final)
        steps = [torch.cat(both, dim=-1) for both in zip(*outputs, strict=True)]
    return steps, tuple(torch.stack(states) for states in zip(*finals, strict=True))


def _recurrent(cell: Cell) -> Callable[..., Any]:
    def whole(first: Tensor, second: Any, third: Any, *rest: Any) -> tuple[Any, ...]:
        packed = isinstance(second, Tensor) and second.dim() == 1
        if packed:
            # (data, batch_sizes, hx, params, …)
            hx, (params, has_biases, num_layers, _, _, bidirectional) = third, rest
            steps = list(first.split(second.tolist()))
        else:
            # (input, hx, params, …)
            hx, params = second, third
            has_biases, num_layers, _, _, bidirectional, batch_first = rest
            steps = list(first.unbind(1 if batch_first else 0))
        initial = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        steps, states = _run(cell, steps, initial, params, has_biases, num_layers, bidirectional)
        out = torch.cat(steps) if packed else torch.stack(steps, 1 if batch_first else 0)
        return (out, *states)

    return whole


lstm = _recurrent(lstm_cell)
gru = _recurrent(lambda x, states, *weights: (gru_cell(x, states[0], *weights),))
rnn_tanh = _recurrent(_rnn_cell(torch.tanh))
rnn_relu = _recurrent(_rnn_cell(torch.relu))
