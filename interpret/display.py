"""What this folder asks of the views, which stand above it: to be shown.

An explanation knows nothing of its views, and still a notebook asks the explanation how it looks.
So the view is named here, in one place, and imported when somebody looks; without it everything
else works. `tests/house` knows this door upwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from pandas import DataFrame

VIEW = "allennlp_saliency.views.notebook"
"""The module that shows explanations."""

COLUMNS = ("field", "position", "token", "start", "end", "score")
"""What every row of `token_rows` has."""


class View(Protocol):
    """What the module offers. `inputs` are the explanations of each input."""

    def html(self, inputs: Sequence[Sequence[Any]]) -> str:
        """A piece of a page, without scripts."""

    def show(self, inputs: Sequence[Sequence[Any]], words: bool) -> None:
        """Shows them where the caller is: in a notebook, or in a terminal."""


def view() -> View:
    """The view of explanations."""
    return cast(View, import_module(VIEW))


def token_rows(inputs: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """A mapping per token of the scores of fields (`InputAttribution`)."""
    for one in inputs:
        for position, (token, span) in enumerate(zip(one.tokens, one.offsets, strict=True)):
            values = (one.field, position, token, *(span or (None, None)))
            row = dict(zip(COLUMNS, (*values, one.attributions[position]), strict=True))
            if one.standard_errors is not None:
                row["standard_error"] = one.standard_errors[position]
            yield row


def data_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    """Rows as pandas' table.

    Args:
        rows: Mappings with the columns, or with more of them.
        columns: The columns that there are even if there are no rows.

    Raises:
        ModuleNotFoundError: If pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "to_pandas() needs pandas: pip install 'allennlp-saliency[notebook]'"
        ) from error
    known = list(rows)
    frame = pandas.DataFrame(known, columns=None if known else list(columns))
    # Whole numbers, also where some are missing.
    return frame.astype({"start": "Int64", "end": "Int64"})
