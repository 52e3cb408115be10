"""Which of a model's predictions a labelled instance stands for, where no label field shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allennlp.data import Instance
from allennlp.data.fields import LabelField, MetadataField
from allennlp.data.fields.field import Field

from ..explanation import JsonDict

EXPLAINED = "explained"
"""The name of the field, and of the argument that a wrapped `forward` takes it from."""

PRIVATE = "explained_"
"""The prefix of the names of fields and outputs that exist for explanations only."""

LOG_LIKELIHOOD = "explained_log_likelihood"
"""The output that holds the log-likelihood of what is explained, `(rows,)`."""

PROBABILITY = "explained_probability"
"""The output that holds the probability of what is explained, where that is no single label,
`(rows,)`."""


@dataclass(frozen=True)
class Explained:
    """One prediction of several that a model makes for an input.

    Attributes:
        label: Entries for the `target` of an explanation: `label`, its name; where it belongs to
            tokens, their `positions`, and `field`, their text field. Missing entries come from the
            label field.
        choice: Where in the model's outputs it is, in the terms of the `PredictionLabels` that
            made it.
        label_field: The instance's label field that carries it, None if none does.
        choices: Further entries for `target` by the index in the label field, where labels are
            numbers with another meaning for every input (an alternative, an antecedent).
        positions: Which tags are explained, where the label field holds a sequence of tags; None
            for all.
    """

    label: JsonDict | None = None
    choice: Any = None
    label_field: str | None = None
    choices: Sequence[JsonDict] = ()
    positions: Sequence[int] | None = None


def explained(instance: Instance, what: Explained, **labels: Field) -> Instance:
    """An instance with the same fields that stands for one prediction; the original stays as it is.

    Args:
        instance: The instance.
        what: What it stands for.
        labels: Label fields to add.
    """
    # Fields are shared: a document has thousands of spans, and maybe hundreds of predictions.
    copy = Instance({**instance.fields, **labels, EXPLAINED: MetadataField(what)})
    # A label may be an index already.
    indices = (isinstance(one, LabelField) and one._skip_indexing for one in labels.values())
    copy.indexed = instance.indexed and all(indices)
    return copy


def explained_by(instance: Instance) -> Explained | None:
    """The prediction that an instance stands for, None where its label field shows it."""
    found = instance.fields.get(EXPLAINED)
    what = found.metadata if isinstance(found, MetadataField) else None
    return what if isinstance(what, Explained) else None
