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


def field(
    text: str, tokens: list[str], scores: list[float], name: str = "source"
) -> InputAttribution:
    """A field whose tokens stand in its text one after the other; `[…]` and `<…>` beside it."""
    spans: list[tuple[int, int] | None] = []
    start = 0
    for token in tokens:
        bare = token.lstrip("Ġ▁").removeprefix("##")
        place = -1 if token.startswith(("[", "<")) else text.lower().find(bare.lower(), start)
        spans.append(None if place < 0 else (place, place + len(bare)))
        start = start if place < 0 else place + len(bare)
    return InputAttribution(name, "grad_input_1", tokens, spans, scores, text=text)


def written_text() -> list[Explanation]:
    """A translation of "un bon film" that was explained token by token."""
    rows = [("Ġa", [1.0, 0.25, 0.0]), ("Ġgood", [0.0, 2.0, -0.5]), ("Ġfilm", [0.0, 0.5, 1.5])]
    before: list[str] = []
    found = []
    for label, scores in rows:
        source = field("un bon film", ["un", "bon", "film"], scores)
        earlier = field("a good", list(before), [0.125] * len(before), "generated")
        target = {"type": "log-likelihood", "label": label, "value": -0.5}
        found.append(explanation(earlier, source, target=target, convergence_delta=None))
        before.append(label)
    return found
