"""The data of a page: the explanations as their files have them, and how to draw them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from allennlp_saliency.interpret.explanation import (
    AttentionMatrix,
    Explanation,
    JsonDict,
)
from allennlp_saliency.views.outputs import marks_of, output_name
from allennlp_saliency.views.tokens import numbers_of, predicted, probability_of, short

from .cases import Case, method_key, output_key
from .layouts import SPECIAL, Layouts, owners_of_prefix, reading_order, written_text


def page_data(cases: Sequence[Case]) -> JsonDict:
    """What the page's script draws, as JSON.

    `explanations` are those of the files, number by number; of attention the `values` are in
    `float32`, the bytes of single-precision numbers, little-endian, in base 64.

    Args:
        cases: The inputs.
    """
    page = _Page()
    return {
        "cards": [page.card(case) for case in cases],
        "layouts": page.layouts.all,
        "explanations": page.explanations,
        "views": page.views,
    }


class _Page:
    def __init__(self) -> None:
        self.layouts = Layouts()
        self.explanations: list[JsonDict] = []
        self.views: list[JsonDict] = []

    def card(self, case: Case) -> JsonDict:
        by_method: dict[str, list[Explanation]] = {}
        for one in case.explanations:
            by_method.setdefault(method_key(one), []).append(one)
        configs = [own[0].interpreter for own in by_method.values()]
        names = _method_names(configs)
        outputs: dict[tuple[str, int], Explanation] = {}
        methods: list[JsonDict] = []
        for name, own in zip(names, by_method.values(), strict=True):
            keys = _keys(own)
            for key, one in zip(keys, own, strict=True):
                outputs.setdefault(key, one)
            methods.append({"name": name, "own": dict(zip(keys, own, strict=True))})
        written = self._written(methods)
        for method in methods:
            numbers = self._added(method["own"], written is not None)
            method["outputs"] = [numbers.get(key) for key in outputs]
            del method["own"]
        first = next(iter(by_method.values()), [])
        gold = case.gold
        prediction = predicted(case.prediction, first)
        if written is not None:
            prediction = _joined(self.layouts.all[written])
        label = _label(case, first)
        return {
            "title": case.title,
            "prediction": prediction,
            "label": label,
            "labels": sorted({*map(_label_of, outputs.values()), label or ""} - {""}),
            "confidence": _confidence(case, first),
            "gold": gold,
            "wrong": None if gold is None or label is None else gold != label,
            "error": None if case.error is None else dict(case.error),
            "given": None if case.error is None else _text_of(case.given),
            "delta": max(
                (
                    abs(one.convergence_delta)
                    for one in case.explanations
                    if one.convergence_delta is not None
                ),
                default=None,
            ),
            "warnings": sum(len(one.warnings) for one in case.explanations),
            "methods": methods,
            "outputs": [output_name(one) for one in outputs.values()],
            "written": written,
        }

    def _written(self, methods: Sequence[JsonDict]) -> int | None:
        if not methods or any(set(m["own"]) != set(methods[0]["own"]) for m in methods):
            return None
        text = written_text(list(methods[0]["own"].values()))
        return None if text is None else self.layouts.of(text, written=True)

    def _added(self, own: dict[Any, Explanation], written: bool) -> dict[Any, int]:
        """Adds the explanations of one method, and returns their numbers."""
        explanations = list(own.values())
        text = written_text(explanations) if written else None
        prefixes: list[Any] = [None] * len(explanations)
        if text is not None:
            prefixes = owners_of_prefix(explanations, text)
        numbers = {}
        for key, one, prefix in zip(own, explanations, prefixes, strict=True):
            numbers[key] = len(self.explanations)
            self.explanations.append(_json(one))
            self.views.append(
                {
                    "inputs": [self.layouts.of(attribution) for attribution in one.inputs],
                    "order": reading_order(one.inputs),
                    "marks": _marks(one),
                    **({} if prefix is None else {"prefix": prefix}),
                }
            )
        return numbers


def _joined(layout: JsonDict) -> str:
    """A text without the tokens that the tokenizer adds."""
    return "".join(text for text, _, kind in layout["pieces"] if kind != SPECIAL).strip()


def _marks(explanation: Explanation) -> list[Any]:
    """Tokens that are what is explained, or belong to it: the field, the token, and what it is."""
    return [[*place, mark] for place, mark in marks_of(explanation).items()]


def _keys(own: Sequence[Explanation]) -> list[tuple[str, int]]:
    seen: dict[str, int] = {}
    keys = []
    for one in own:
        key = output_key(one)
        seen[key] = seen.get(key, -1) + 1
        keys.append((key, seen[key]))
    return keys


def _method_names(configs: Sequence[JsonDict]) -> list[str]:
    """The methods' registered names, with the parameters in which those of one name differ."""
    names = [str(config.get("type", "unnamed")) for config in configs]
    found = []
    for name, config in zip(names, configs, strict=True):
        alike = [other for other, known in zip(configs, names, strict=True) if known == name]
        differing = [
            f"{key} {short(value)}"
            for key, value in config.items()
            if any(other.get(key) != value for other in alike)
        ]
        found.append(f"{name} ({', '.join(differing)})" if differing else name)
    return found


def _label_of(explanation: Explanation) -> str:
    label = explanation.target.get("label")
    if isinstance(label, list):
        return " ".join(map(str, label))
    return "" if label is None else str(label)


def _label(case: Case, first: Sequence[Explanation]) -> str | None:
    label = case.prediction.get("label")
    if isinstance(label, (str, int)):
        return str(label)
    labels = {_label_of(one) for one in first}
    return labels.pop() or None if len(labels) == 1 else None


def _confidence(case: Case, first: Sequence[Explanation]) -> float | None:
    """The probability of what was predicted; of several outputs that of the least sure one."""
    if len(first) <= 1 and numbers_of(case.prediction.get("probs")):
        return max(case.prediction["probs"])
    known = [probability_of(one.target) for one in first]
    return min((one for one in known if one is not None), default=None)


def _text_of(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, indent=2)


def _json(explanation: Explanation) -> JsonDict:
    bare = {**explanation.to_json()}
    if explanation.matrices:
        bare["matrices"] = [_matrix(one) for one in explanation.matrices]
    return bare


def _matrix(matrix: AttentionMatrix) -> JsonDict:
    described: JsonDict = {
        "kind": matrix.kind,
        "axes": list(matrix.axes),
        "queries": list(matrix.queries),
        "keys": list(matrix.keys),
    }
    try:
        values = matrix.numpy().astype("<f4")
    except OSError as error:
        return {**described, "missing": f"{matrix.file}: {error.strerror or error}"}
    encoded = base64.b64encode(values.tobytes()).decode("ascii")
    return {**described, "shape": list(values.shape), "float32": encoded}
