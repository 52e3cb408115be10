"""Lists of explanations that know how to show themselves, and are lists like any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self, SupportsIndex, TypeVar, overload

from .display import COLUMNS, data_frame, view
from .explanation import Explanation, JsonDict

if TYPE_CHECKING:
    from pandas import DataFrame

_Item = TypeVar("_Item")


class _Shown(list[_Item]):
    """A list whose slices and sums are of its own kind."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> _Item: ...

    @overload
    def __getitem__(self, index: slice, /) -> Self: ...

    def __getitem__(self, index: SupportsIndex | slice, /) -> _Item | Self:
        if isinstance(index, slice):
            return type(self)(super().__getitem__(index))
        return super().__getitem__(index)

    def __add__(self, other: list[_Item], /) -> Self:  # type: ignore[override]
        return type(self)([*self, *other])


class Explanations(_Shown[Explanation]):
    """The explanations of one input: what `interpret_json` returns.

    A notebook shows it as heat maps; a text that was written token by token also as a matrix.
    """

    def show(self, words: bool = False) -> None:
        """Shows the heat maps: in a notebook as HTML, elsewhere in the terminal.

        Args:
            words: Whether to add the scores of a word's tokens up.
        """
        view().show([self], words)

    def rows(self) -> Iterator[JsonDict]:
        """A mapping per token, as `Explanation.rows` gives it, with `explanation`, the number of
        its explanation in this list, and `label`."""
        for number, explanation in enumerate(self):
            label = explanation.target.get("label")
            for row in explanation.rows():
                yield {"explanation": number, "label": label, **row}

    def to_pandas(self) -> DataFrame:
        """`rows` as a table.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        return data_frame(self.rows(), ("explanation", "label", *COLUMNS))

    def _repr_html_(self) -> str:
        return view().html([self])


class ExplainedInputs(_Shown[Explanations]):
    """The explanations of several inputs: what `interpret_batch_json` returns."""

    def show(self, words: bool = False) -> None:
        """As `Explanations.show`, input by input."""
        view().show(self, words)

    def rows(self) -> Iterator[JsonDict]:
        """As `Explanations.rows`, with `input`, the number of the input in this list."""
        for number, explanations in enumerate(self):
            for row in explanations.rows():
                yield {"input": number, **row}

    def to_pandas(self) -> DataFrame:
        """`rows` as a table.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        return data_frame(self.rows(), ("input", "explanation", "label", *COLUMNS))

    def _repr_html_(self) -> str:
        return view().html(self)
