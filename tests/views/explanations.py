"""Explanations to look at, and what the terminal shows of them."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views import render


def attribution(tokens: list[str], scores: list[float], name: str = "tokens") -> InputAttribution:
    return InputAttribution(name, "grad_input_1", tokens, [None] * len(tokens), scores)


def explanation(*inputs: InputAttribution, **changes: Any) -> Explanation:
    return Explanation(
        **{
            "interpreter": {"type": "integrated-gradients", "steps": 32},
            "target": {
                "type": "log-likelihood",
                "label": "positive",
                "value": -0.02,
                "baseline_value": -0.69,
            },
            "inputs": list(inputs),
            "convergence_delta": 0.0003,
            **changes,
        }
    )


GOOD = explanation(attribution(["a", "great", "film"], [0.0, 0.61, -0.305]))


def printed(*arguments: Any, width: int = 80, **keywords: Any) -> str:
    """What a file gets."""
    stream = io.StringIO()
    render(*arguments, console=Console(file=stream, width=width, _environ={}), **keywords)
    return stream.getvalue()


def terminal(width: int = 80, system: str = "truecolor", **environment: str) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system=system,  # type: ignore[arg-type]
        width=width,
        legacy_windows=False,
        record=True,
        _environ=environment,
    )


def styles(console: Console) -> dict[str, Style]:
    """The style of every piece of text that went to the console, where it first stood."""
    segments: list[Segment] = console._record_buffer
    return {segment.text: segment.style or Style() for segment in reversed(segments)}
