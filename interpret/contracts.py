"""What a predictor or a model may offer beyond AllenNLP's own interface, in one place.

All of it is optional: what is not there is done the plain way.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from allennlp.data import Instance
from torch import Tensor, nn

from .explanation import JsonDict, Span


@runtime_checkable
class LabelsUnpredicted(Protocol):
    """A predictor that may know what is to be explained before the model has run."""

    def labeled_instances(self, instance: Instance) -> list[Instance] | None:
        """The labelled instances that an input itself asks for; None where only the model's
        prediction tells."""


@runtime_checkable
class AddsDetails(Protocol):
    """A predictor that has something to say about what is explained, as a method has in
    `Explanation.details`."""

    def explanation_details(self, instance: Instance) -> JsonDict:
        """What to add to the details of all explanations of an input; where a method reports
        something under the same key, the method's stays."""


Expected = Mapping[str, Any]
"""By the name of an output what it is to be for an instance, without the dimension of the rows."""


@runtime_checkable
class ExpectsOutputs(Protocol):
    """A model that predicts in another form than it returns for a labelled instance."""

    def expected_outputs(self, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
        """What `forward` must return for a labelled instance.

        Args:
            instance: An instance labelled with what was predicted.
            prediction: The outputs of the prediction.
        """


@dataclass(frozen=True)
class JoinedTexts:
    """Token ids as a model reads them, and the token of which text field each is.

    Attributes:
        names: The text fields, in the order in which explanations list them from the last.
        ids: `(rows, positions)`; rows may be several times as many as there are instances (the
            choices of a question).
        mask: Which positions hold a token, `(rows, positions)`.
        fields: The field of each token, a place in `names`, `(rows, positions)`; -1 for a token
            of no field.
        tokens: The number of each token in its field, counted through the items of a list,
            `(rows, positions)`; `UNASSIGNED` for a token of no field.
        padding: The id that fills up texts; None where that is not known.
    """

    names: tuple[str, ...]
    ids: Tensor
    mask: Tensor
    fields: Tensor
    tokens: Tensor
    padding: int | None = None


@runtime_checkable
class JoinsTexts(Protocol):
    """A model that reads its text fields as sequences of token ids.

    Attributes:
        embedding_layers: The layers that embed the ids.
        backbone: The module that does most of the work; None if a prediction calls it otherwise
            than the run that explains it.
    """

    embedding_layers: Sequence[nn.Module]
    backbone: nn.Module | None

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[JoinedTexts]:
        """The sequences that `forward` reads.

        Args:
            fields: The arguments of `forward`.
        """


@dataclass(frozen=True)
class PrefixTargets:
    """Which targets `forward` computes from which rows: its argument `prefix_targets`.

    The text fields of such a batch hold whole texts, one a row; all other fields have one entry
    per target.

    Attributes:
        rows: The row that each target is read in, `(targets,)`.
        lengths: How many tokens of the generated field come before it, `(targets,)`.
    """

    rows: Tensor
    lengths: Tensor


@runtime_checkable
class SupportsPrefixes(Protocol):
    """A model that can return several targets of one row, each after another prefix of it.

    Given `prefix_targets`, its `forward` returns, next to outputs with one entry per target,
    `states`, `(rows, places, dim)`, and `places`, a pair of indices `(targets,)`: everything that
    a target is computed from is its own `states[row, place]`.

    Attributes:
        generated_field: The text field that is longer from one target of a text to the next.
    """

    generated_field: str

    def whole_text(self, instance: Instance) -> Hashable:
        """What identifies the text that an instance is a prefix of, the same for all its prefixes;
        None where the model cannot read them in one row."""


@dataclass(frozen=True)
class Part:
    """An instance with a part of another's texts.

    Attributes:
        instance: The instance, labelled as the other.
        places: For every text that is not whole, by its name: for each token of the part its
            number in the whole text.
        spans: For the same texts which tokens of the whole `[start, end)` the part has, those
            aside that the tokenizer adds to every text.
    """

    instance: Instance
    places: Mapping[str, Sequence[int]]
    spans: Mapping[str, Span]


@dataclass(frozen=True)
class Parts:
    """What a model reads of an instance that is too long for it.

    Attributes:
        policy: "truncate" or "window".
        limit: How many tokens the model takes.
        length: How many tokens there are.
        parts: The parts; the mean over them is what is explained.
    """

    policy: str
    limit: int
    length: int
    parts: Sequence[Part]


@runtime_checkable
class ReadsParts(Protocol):
    """A model that can read a text in parts, each of which it takes."""

    def in_parts(self, instance: Instance) -> Parts | None:
        """What to explain in the place of a labelled instance; None where the model takes it.

        Raises:
            InterpretationError: If it is too long, and nobody said what to do then.
        """


@runtime_checkable
class HasDefaultTarget(Protocol):
    """A predictor whose predictions have a target that suits them better than
    "log-likelihood".

    Attributes:
        default_target: A registered name or a params dict.
    """

    default_target: str | JsonDict


@runtime_checkable
class HasDefaultBaseline(Protocol):
    """A predictor whose model has a baseline that suits it better than "zero".

    Attributes:
        default_baseline: A registered name or a params dict.
    """

    default_baseline: str | JsonDict
