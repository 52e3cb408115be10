"""What came of a part of a job: a fixed slice of its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from allennlp_saliency.interpret.explanation import JsonDict


@dataclass(frozen=True)
class Part:
    """The explanations of a slice of the inputs, and what could not be explained.

    Attributes:
        rows: A row per input and interpreter, in the order of the inputs.
        errors: A row per input and interpreter that failed.
        statistics: What the summary adds up; it depends on the inputs and the settings alone.
        tokens: How many tokens were explained.
        seconds: What it took; this alone differs from run to run.
    """

    rows: list[JsonDict]
    errors: list[JsonDict]
    statistics: JsonDict = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
