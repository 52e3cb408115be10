"""Explanations as columns of a data set of `datasets`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import Explanation, JsonDict
from allennlp_saliency.interpret.interpreter.named import interpreter_of
from allennlp_saliency.predictors.saliency.json_lines import message
from allennlp_saliency.predictors.saliency.outcomes import Explains

from .models import load, model_identity
from .sources.rows import ListRows, RowsSource

COLUMNS = ("tokens", "attributions", "fields", "label", "value", "explanations", "error")
"""The columns that are added."""


@dataclass(frozen=True)
class _Settings:
    """What `load` asks."""

    model: Any
    task: str | None = None
    predictor: str | None = None
    overrides: str | JsonDict = ""
    cuda_device: int = -1
    dtype: str | None = None


class ExplainRows:
    """A function for `dataset.map(…, batched=True)` that adds columns with explanations.

    Of the first explanation of a row: `tokens`, `attributions` and `fields` (a text, a number and
    the name of a field per token, the fields in the order of the explanation), `label` ("" where
    there is none) and the target's `value`. `explanations` has the JSON of all of them, and `error`
    why there are none, "" if there are.

    A model that is named by a path is loaded by each process (`num_proc`) itself, and
    `datasets` finds what it has computed before by the content of the model's files and the
    settings. A predictor is pickled, and no two are alike to `datasets`: pass
    `new_fingerprint=rows.fingerprint(dataset)` to `map`.

    Args:
        model: A predictor, or what `load` takes.
        interpreter: The registered name of an interpreter, or its parameters with the name as
            `type`.
        columns: For keys of the predictor the column; None for those of the same name, or the only
            text.
        task: What a Hugging Face model is for, where its config does not say.
        cuda_device: The number of a GPU, -1 for the CPU.
        dtype: The floating type of a Hugging Face model's weights.

    Raises:
        ConfigurationError: If the model cannot be loaded, there is no such interpreter, or it gives
            scores alone.
    """

    def __init__(
        self,
        model: Any,
        interpreter: str | Mapping[str, Any] = "integrated-gradients",
        columns: Mapping[str, str] | None = None,
        task: str | None = None,
        cuda_device: int = -1,
        dtype: str | None = None,
    ) -> None:
        self._settings = _Settings(model, task, cuda_device=cuda_device, dtype=dtype)
        named = {"type": interpreter} if isinstance(interpreter, str) else dict(interpreter)
        self._interpreter = named
        self._columns = None if columns is None else dict(columns)
        self._predictor: Predictor | None = load(self._settings)
        self._identity = model_identity(self._settings, self._predictor)
        self._source: RowsSource | None = None
        self._made(self._predictor)

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The new columns of some rows.

        Args:
            batch: The rows' columns.

        Raises:
            ConfigurationError: If it is not clear which column the predictor reads.
        """
        if self._predictor is None:
            self._predictor = load(self._settings)
        rows = [dict(zip(batch, one, strict=True)) for one in zip(*batch.values(), strict=True)]
        if self._source is None:
            table = _BatchRows(rows, list(batch))
            name = "the data set"
            self._source = RowsSource(table, name, self._columns, None, self._predictor)
        items = list(self._source.of(_BatchRows(rows, list(batch))).items(0, len(rows)))
        readable = [item for item in items if item.problem is None]
        interpreter = self._made(self._predictor)
        found = interpreter.interpret_each([_given(item.given) for item in readable])
        outcomes = iter(found)
        added: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for item in items:
            error, explanations = item.problem, []
            if error is None:
                outcome = next(outcomes)
                error, explanations = outcome.error, outcome.explanations
            said = "" if error is None else message(error, item.given) or type(error).__name__
            for name, value in _columns_of(explanations, said).items():
                added[name].append(value)
        return added

    def fingerprint(self, dataset: Any) -> str:
        """What `map` is to call its result, `new_fingerprint`: the same for the same data set,
        model and settings, in any process.

        Args:
            dataset: The data set of `datasets`.
        """
        content = [dataset._fingerprint, self._identity, self._interpreter, self._columns]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def _made(self, predictor: Predictor) -> Explains:
        """A new interpreter: what one has learned of a batch must not reach the next one."""
        made = interpreter_of(self._interpreter, predictor)
        if not isinstance(made, Explains):
            raise ConfigurationError(
                f"{type(made).__name__} gives scores without tokens: take an interpreter of "
                "allennlp_saliency"
            )
        return made

    def __getstate__(self) -> dict[str, Any]:
        named = isinstance(self._settings.model, (str, PathLike, Mapping))
        state = {**self.__dict__, "_source": None}
        return {**state, "_predictor": None} if named else state


class _BatchRows(ListRows):
    """Rows that have the columns of a table."""

    def __init__(self, rows: Sequence[Any], names: list[str]) -> None:
        super().__init__(rows)
        self.names = names


def _given(given: Any) -> JsonDict:
    return dict(given)


def _columns_of(explanations: Sequence[Explanation], error: str) -> dict[str, Any]:
    """A row's new cells. None of them is ever null, whose type the first batch would decide."""
    tokens: list[str] = []
    attributions: list[float] = []
    names: list[str] = []
    label, value = "", math.nan
    if explanations:
        first = explanations[0]
        for one in first.inputs:
            tokens += one.tokens
            attributions += one.attributions
            names += [one.field] * len(one.tokens)
        target = first.target
        label = "" if target.get("label") is None else str(target["label"])
        value = math.nan if target.get("value") is None else float(target["value"])
    texts = [json.dumps(one.to_json(), ensure_ascii=False) for one in explanations]
    cells = (tokens, attributions, names, label, value, texts, error)
    return dict(zip(COLUMNS, cells, strict=True))
