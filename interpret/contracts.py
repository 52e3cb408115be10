"""What a predictor or a model may offer beyond AllenNLP's own interface, in one place.

All of it is optional: each has a default where it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from allennlp.data import Instance
from allennlp.predictors import Predictor
from torch import Tensor, nn

from .explanation import Explanation, JsonDict, Span


@runtime_checkable
class LabelsUnpredicted(Protocol):
    """A predictor that may know the labels to explain before the model has run."""

    def labeled_instances(self, instance: Instance) -> list[Instance] | None:
        """The labelled instances that an input itself asks for; None where the labels are those
        of the model's prediction."""


@runtime_checkable
class AddsDetails(Protocol):
    """A predictor that adds entries to `Explanation.details`, as methods do."""

    def explanation_details(self, instance: Instance) -> JsonDict:
        """Entries for the details of all explanations of an input; where a method has an entry
        under the same key, the method's is kept."""


ExplainedInstance = tuple[Instance, Explanation]
"""A labelled instance and its explanation, whose scores are those of tokens."""


@runtime_checkable
class CombinesExplanations(Protocol):
    """A predictor whose explanations of one input are combined: some serve others."""

    def combined(
        self, instance: Instance, explained: Sequence[ExplainedInstance]
    ) -> Sequence[ExplainedInstance]:
        """What is returned for an input.

        Args:
            instance: The instance that was made of the input.
            explained: Its labelled instances and their explanations.
        """


Expected = Mapping[str, Any]
"""The outputs that are expected for one instance, by name, without the batch dimension."""


@runtime_checkable
class ExpectsOutputs(Protocol):
    """A model whose outputs for a labelled instance have another form than its predictions."""

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
            `(rows, positions)`; `UNASSIGNED` for a token of no field, `HELD` for one that is part
            of what is explained.
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
        backbone: The module that does most of the work; None if a prediction calls it otherwise
            than the run that explains it.
    """

    backbone: nn.Module | None

    # No attribute: `isinstance` reads those of a protocol, and these are found among all modules.
    def embedding_layers(self) -> Sequence[nn.Module]:
        """The layers that embed the ids."""

    def joined_texts(self, fields: Mapping[str, Any]) -> Sequence[JoinedTexts]:
        """The sequences that `forward` reads.

        Args:
            fields: The arguments of `forward`.
        """


@runtime_checkable
class KeepsRows(Protocol):
    """A model of which it may be known that it embeds the rows of a batch as they are given."""

    def keeps_rows(self) -> bool:
        """Whether that is known; a user's own code may sort them."""


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


@runtime_checkable
class SharesPrefixes(Protocol):
    """A model that need not run the beginning of a text again that it has run."""

    def sharing_prefixes(self) -> AbstractContextManager[None]:
        """While it is open, a beginning that a text has in common with the first or the last that
        was run is not run again, where no gradient is asked for. It may be opened again."""


def sharing_prefixes(model: Any) -> AbstractContextManager[None]:
    """`SharesPrefixes.sharing_prefixes` of a model that has it, else nothing."""
    return model.sharing_prefixes() if isinstance(model, SharesPrefixes) else nullcontext()


@dataclass(frozen=True)
class Window:
    """An instance with a part of the texts of another, which is too long for the model.

    Attributes:
        instance: The instance, with the labels of the other.
        places: For every text that is not complete, by its name: for each token in the window its
            number in the complete text.
        spans: For the same texts which tokens `[start, end)` of the complete text the window has,
            without those that the tokenizer adds to every text.
    """

    instance: Instance
    places: Mapping[str, Sequence[int]]
    spans: Mapping[str, Span]


@dataclass(frozen=True)
class Windows:
    """The windows in which a model reads an instance that is too long for it.

    Attributes:
        policy: "truncate" or "window".
        limit: How many tokens the model takes.
        length: How many tokens there are.
        windows: The windows; the mean of the target over them is explained.
    """

    policy: str
    limit: int
    length: int
    windows: Sequence[Window]


@runtime_checkable
class ReadsWindows(Protocol):
    """A model that can read a long text in windows."""

    def windows_of(self, instance: Instance) -> Windows | None:
        """The windows to explain in the place of a labelled instance; None where it fits.

        Raises:
            InterpretationError: If it is too long and the policy for long texts is "error".
        """


@runtime_checkable
class PredictsTogether(Protocol):
    """A model with a `forward_on_instances` of its own.

    Attributes:
        predicts_together: Whether it returns for each of several instances what it returns for
            that alone; then the predictions of many inputs are made in batches.
    """

    predicts_together: bool


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


@runtime_checkable
class HasTextKeys(Protocol):
    """A predictor that knows which texts an input must have.

    Attributes:
        text_keys: Their keys; where there is one, a plain string is an input, too.
    """

    text_keys: Sequence[str]


@runtime_checkable
class ComparesTexts(Protocol):
    """A predictor of a model that writes, which can compare what the model expects with what it
    would expect after another text.

    Attributes:
        text_key: The key, and the field, of the text that the model reads.
        changed_key: The key of the other text; targets such as "kl-divergence" compare with it.
    """

    text_key: str
    changed_key: str


def overrides(predictor: Predictor, method: Callable[..., Any]) -> bool:
    """Whether a predictor has another implementation of a method than the given one.

    Args:
        predictor: The predictor.
        method: A method of one of its base classes: `Predictor.predict_json`.
    """
    own = getattr(predictor, method.__name__)
    return getattr(own, "__func__", own) is not method
