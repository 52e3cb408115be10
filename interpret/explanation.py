"""What an interpreter returns: plain numbers and text, JSON both ways, no tensors.

Everything downstream (views, metrics, pipelines) reads these classes and nothing else, so an
explanation can be stored, sent and shown without a model at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .display import COLUMNS, data_frame, token_rows, view

if TYPE_CHECKING:
    from pandas import DataFrame

JsonDict = dict[str, Any]
Span = tuple[int, int]

FORMAT = 2
"""The format that is written."""

READABLE = (1, 2)
"""The formats that are read. Format 1 knows no text of a field."""


class ExplanationFormatError(ValueError):
    """The JSON is not an explanation of the format that this version reads."""


@dataclass(frozen=True)
class InputAttribution:
    """The scores of one embedded text field.

    Attributes:
        field: Name of the field, `"premise"`; an item of a list field is `"choices[1]"`.
        grad_input: The key of the same scores in AllenNLP's contract, `"grad_input_1"`.
        tokens: The field's tokens, as the tokenizer made them.
        offsets: Per token its character span `(start, end)` in the text, or `None` for one that
            stands nowhere in it, or of which that is not known.
        attributions: Per token its signed score, in units of the target: positive supports
            the explained prediction. Always as many as there are tokens, always finite.
        unassigned: What fell on positions that belong to no token of the field (special tokens
            that a mismatched indexer adds), in units of the target.
        standard_errors: Per token the standard error of its score, for a method that draws samples;
            None for one that does not.
        text: The text of the field as it was written, which the offsets count the characters of;
            None where it is not known.

    Raises:
        ValueError: If the lists differ in length, a number is not finite, or an offset is outside
            of the text.
    """

    field: str
    grad_input: str
    tokens: list[str]
    offsets: list[Span | None]
    attributions: list[float]
    unassigned: float = 0.0
    standard_errors: list[float] | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        errors = self.attributions if self.standard_errors is None else self.standard_errors
        lengths = {len(self.tokens), len(self.offsets), len(self.attributions), len(errors)}
        if len(lengths) > 1:
            raise ValueError(
                f"field {self.field!r} has {len(self.tokens)} tokens, {len(self.offsets)} offsets, "
                f"{len(self.attributions)} attributions and {len(errors)} standard errors; give "
                "one of each per token"
            )
        if not all(math.isfinite(score) for score in (*self.attributions, self.unassigned)):
            raise ValueError(f"field {self.field!r} has attributions that are not finite")
        if self.text is not None and not fits(self.offsets, self.text):
            raise ValueError(
                f"field {self.field!r} has offsets outside of its text, which has "
                f"{len(self.text)} characters; leave the text out"
            )

    def to_json(self) -> JsonDict:
        """The value as a JSON object."""
        # Not `asdict`, which copies every string and number by itself.
        errors = self.standard_errors
        return {
            "field": self.field,
            "grad_input": self.grad_input,
            "tokens": list(self.tokens),
            "offsets": [None if span is None else list(span) for span in self.offsets],
            "attributions": list(self.attributions),
            "unassigned": self.unassigned,
            **({} if errors is None else {"standard_errors": list(errors)}),
            "text": self.text,
        }

    @classmethod
    def from_json(cls, json: JsonDict) -> InputAttribution:
        """The value back from its JSON object.

        Raises:
            ExplanationFormatError: If a key is missing or has the wrong shape.
        """
        try:
            errors = json.get("standard_errors")
            return cls(
                field=json["field"],
                grad_input=json["grad_input"],
                tokens=list(json["tokens"]),
                offsets=[None if span is None else (span[0], span[1]) for span in json["offsets"]],
                attributions=[float(score) for score in json["attributions"]],
                unassigned=float(json.get("unassigned", 0.0)),
                standard_errors=None if errors is None else [float(error) for error in errors],
                text=None if json.get("text") is None else str(json["text"]),
            )
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise ExplanationFormatError(f"not an input attribution: {error!r}") from error


def fits(offsets: Sequence[Span | None], text: str) -> bool:
    """Whether all character spans are within a text."""
    return all(span is None or 0 <= span[0] <= span[1] <= len(text) for span in offsets)


@dataclass(frozen=True)
class Interaction:
    """What two tokens do together, beyond what each does alone.

    Attributes:
        first: The field of the first token, and its number there.
        second: The same of the second.
        value: The number, in units of the target: positive where the target needs both.
    """

    first: tuple[str, int]
    second: tuple[str, int]
    value: float

    def to_json(self) -> JsonDict:
        """The value as a JSON object."""
        return {"first": list(self.first), "second": list(self.second), "value": self.value}

    @classmethod
    def from_json(cls, json: JsonDict) -> Interaction:
        """The value back from its JSON object.

        Raises:
            ExplanationFormatError: If a key is missing or has the wrong shape.
        """
        try:
            (field, number), (other, last) = json["first"], json["second"]
            return cls((str(field), int(number)), (str(other), int(last)), float(json["value"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ExplanationFormatError(f"not an interaction: {error!r}") from error


@dataclass(frozen=True, eq=False)
class AttentionMatrix:
    """Who looks at whom in a sequence that the model made of the input, in each layer.

    Attributes:
        kind: "encoder", "decoder" or "cross".
        axes: What the dimensions of the numbers count: `["layer", "head", "query", "key"]`, or
            without heads.
        queries: The wordpieces that look, one per row; "" for a position without one.
        keys: Those that are looked at, one per column.
        values: The numbers, single precision, None where they are in a file.
        file: The `.npz` file that they are in, None where they are here.
        array: Their name in the file.
    """

    kind: str
    axes: list[str]
    queries: list[str]
    keys: list[str]
    values: np.ndarray | None = None
    file: str | None = None
    array: str | None = None

    def __post_init__(self) -> None:
        if (self.values is None) == (self.file is None):
            raise ValueError("attention has its numbers or the name of a file: give one of them")
        if self.values is None:
            return
        shape = (len(self.queries), len(self.keys))
        if self.values.ndim != len(self.axes) or self.values.shape[-2:] != shape:
            raise ValueError(
                f"attention of {shape[0]} queries and {shape[1]} keys by {self.axes} has numbers "
                f"of shape {self.values.shape}"
            )

    def numpy(self) -> np.ndarray:
        """The numbers; they are read where they are in a file."""
        if self.values is not None:
            return self.values
        with np.load(str(self.file), allow_pickle=False) as file:
            return file[str(self.array)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AttentionMatrix):
            return NotImplemented
        plain = [
            (one.kind, one.axes, one.queries, one.keys, one.file, one.array)
            for one in (self, other)
        ]
        if plain[0] != plain[1]:
            return False
        if self.values is None or other.values is None:
            return self.values is other.values
        return np.array_equal(self.values, other.values)

    def to_json(self) -> JsonDict:
        """The value as a JSON object."""
        described = {
            "kind": self.kind,
            "axes": list(self.axes),
            "queries": list(self.queries),
            "keys": list(self.keys),
        }
        if self.values is None:
            return {**described, "file": self.file, "array": self.array}
        return {**described, "values": self.values.tolist()}

    @classmethod
    def from_json(cls, json: JsonDict) -> AttentionMatrix:
        """The value back from its JSON object.

        Raises:
            ExplanationFormatError: If a key is missing or has the wrong shape.
        """
        try:
            values = json.get("values")
            return cls(
                kind=json["kind"],
                axes=list(json["axes"]),
                queries=list(json["queries"]),
                keys=list(json["keys"]),
                values=None if values is None else np.asarray(values, dtype=np.float32),
                file=json.get("file"),
                array=json.get("array"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ExplanationFormatError(f"not an attention matrix: {error!r}") from error


@dataclass(frozen=True)
class Explanation:
    """Why a model predicted what it predicted, for one labelled instance.

    Attributes:
        interpreter: The method and its parameters, as they would stand in a config:
            `{"type": "integrated-gradients", "steps": 32}`.
        target: What was explained: `type`, `label` (None where it has none), `value` at the input
            and, where the method has a baseline, `baseline_value`.
        inputs: One attribution per embedded field, in the order of AllenNLP's `grad_input_M`:
            the last-embedded field first.
        convergence_delta: What completeness lacks, in units of the target:
            `value - baseline_value - sum(attributions) - sum(unassigned)`. None for methods that
            do not promise completeness.
        details: What else the method reports (`{"steps": 65, "converged": True}`).
        warnings: What a reader of the numbers should know (`"all attributions are zero …"`).
        overlong: What was done with a text that is longer than the model takes, None where there
            was none (`{"policy": "window", "limit": 512, "tokens": 700, "dropped": 0, …}`).
        matrices: The attention that the scores were read from, where it was asked for.
        interactions: Pairs of tokens with a number, for a method that finds them.
    """

    interpreter: JsonDict
    target: JsonDict
    inputs: list[InputAttribution]
    convergence_delta: float | None = None
    details: JsonDict = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    overlong: JsonDict | None = None
    matrices: list[AttentionMatrix] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)

    def to_json(self) -> JsonDict:
        """The value as a JSON object of format 2; `docs/format.md` holds the schema."""
        optional: JsonDict = {} if self.overlong is None else {"overlong": dict(self.overlong)}
        if self.matrices:
            optional["matrices"] = [matrix.to_json() for matrix in self.matrices]
        if self.interactions:
            optional["interactions"] = [one.to_json() for one in self.interactions]
        return {
            "format": FORMAT,
            "interpreter": dict(self.interpreter),
            "target": dict(self.target),
            "convergence_delta": self.convergence_delta,
            "inputs": [attribution.to_json() for attribution in self.inputs],
            "details": dict(self.details),
            "warnings": list(self.warnings),
            **optional,
        }

    def show(self, words: bool = False) -> None:
        """Shows the heat map: in a notebook as HTML, elsewhere in the terminal.

        Args:
            words: Whether to add the scores of a word's tokens up.
        """
        view().show([[self]], words)

    def rows(self) -> Iterator[JsonDict]:
        """A mapping per token: `field`, `position` in it, `token`, `start` and `end` of its
        characters (None where they are not known), `score`, and `standard_error` where there are
        some."""
        return token_rows(self.inputs)

    def to_pandas(self) -> DataFrame:
        """`rows` as a table.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        return data_frame(self.rows(), COLUMNS)

    def _repr_html_(self) -> str:
        return view().html([[self]])

    @classmethod
    def from_json(cls, json: JsonDict) -> Explanation:
        """The value back from its JSON object, of this format or an older one.

        Raises:
            ExplanationFormatError: If the object is of another format, or a key is missing.
        """
        if not isinstance(json, dict) or json.get("format") not in READABLE:
            found = json.get("format") if isinstance(json, dict) else type(json).__name__
            raise ExplanationFormatError(
                f"expected an explanation of format {' or '.join(map(str, READABLE))}, "
                f"got {found!r}; pass the value of the key 'explanation'"
            )
        try:
            return cls(
                interpreter=dict(json["interpreter"]),
                target=dict(json["target"]),
                inputs=[InputAttribution.from_json(item) for item in json["inputs"]],
                convergence_delta=json.get("convergence_delta"),
                details=dict(json.get("details", {})),
                warnings=list(json.get("warnings", [])),
                overlong=None if json.get("overlong") is None else dict(json["overlong"]),
                matrices=[AttentionMatrix.from_json(one) for one in json.get("matrices", [])],
                interactions=[Interaction.from_json(one) for one in json.get("interactions", [])],
            )
        except (KeyError, TypeError) as error:
            raise ExplanationFormatError(f"not an explanation: {error!r}") from error
