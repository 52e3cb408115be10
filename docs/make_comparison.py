"""Compares all methods on the fixtures of `FIXTURES` and writes `docs/comparison.md`.

Run from a clone: `python docs/make_comparison.py [fixture …]`; killed and started again, it goes on
where it was (`out/comparison`). What was measured stands in `docs/comparison.json`.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "lib")]
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

from allennlp.common import Params  # noqa: E402
from comparison_page import LEFT_OUT, page  # noqa: E402
from tasks import Task, task  # noqa: E402

import allennlp_saliency.plugin  # noqa: E402, F401
from allennlp_saliency.interpret import SaliencyInterpreter  # noqa: E402
from allennlp_saliency.interpret.faithfulness import compare  # noqa: E402
from allennlp_saliency.interpret.methods.layer_methods import AtLayer  # noqa: E402

FIXTURES = (
    *("sentiment", "topics", "sentiment-hard", "entailment", "ner"),
    *("question-answering", "choices", "multi-label", "sentiment-lstm", "copy-lm", "translate"),
    "multi-label-hard",
)
METRICS = ("comprehensiveness", "sufficiency", "rationale-f1", "rationale-auprc")
EXPLANATIONS = 16
# Intervals are over inputs: of fewer nothing can be concluded.
FEWEST_INPUTS = 6
# Its standard errors are not looked at, and cost more than its scores.
SETTINGS: dict[str, dict[str, Any]] = {"context-cite": {"resamples": 2}}
RESULTS = ROOT / "docs" / "comparison.json"
PAGE = ROOT / "docs" / "comparison.md"


def methods() -> list[str]:
    """The registered names of this project's methods, but for those with another's scores: methods
    at a layer are the others where no layer is named."""
    by_name = SaliencyInterpreter.by_name
    own = [n for n in SaliencyInterpreter.list_available() if n not in LEFT_OUT]
    own = [n for n in own if issubclass(by_name(n), SaliencyInterpreter)]
    return sorted(n for n in own if not issubclass(by_name(n), AtLayer))


def compared(one: Task) -> dict[str, Any]:
    """What all methods that apply to a fixture reach there, and why the others do not apply."""
    chosen, refused = [], {}
    for name in methods():
        params = {"type": name, **SETTINGS.get(name, {})}
        method: Any = SaliencyInterpreter.from_params(Params(dict(params)), predictor=one.predictor)
        (tried,) = method.interpret_each(one.inputs[:1], progress=False)
        if tried.error is None:
            chosen.append(params)
        else:
            refused[name] = str(tried.error)
    start = time.process_time()
    found = compare(
        one.predictor,
        one.inputs,
        chosen,
        METRICS,
        one.removals,
        rationales=one.rationales,
        output=ROOT / "out" / "comparison" / one.name,
        target=one.target,
    )
    if found.errors:
        raise RuntimeError(f"{one.name}: {found.errors[0]['error']}")
    above = {
        removal: {
            name: _numbers(found.difference(name, "random", "comprehensiveness", removal))
            for name in found.methods
        }
        for removal in found.removals
    }
    print(f"{one.name}: {time.process_time() - start:.0f} s of a processor", flush=True)
    return {
        "inputs": len(one.inputs),
        "explanations": sum(map(len, one.rationales)),
        "target": one.target,
        "refused": refused,
        "rows": list(found.rows()),
        "comprehensiveness_above_random": above,
    }


def _numbers(interval: Any) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def main(names: list[str]) -> None:
    """Compares on some fixtures, and writes the results and the page.

    Args:
        names: The fixtures; all where none is named.
    """
    results: dict[str, Any] = {}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for name in names or FIXTURES:
        results[name] = compared(task(name, EXPLANATIONS, FEWEST_INPUTS))
        RESULTS.write_text(_json(results), encoding="utf-8")
        # As it stands in the file, so that the page can be made again from the file alone.
        PAGE.write_text(page(json.loads(RESULTS.read_text("utf-8"))), encoding="utf-8")


def _json(results: Mapping[str, Any]) -> str:
    """The numbers to five digits."""
    text = json.dumps(results)
    rounded = json.loads(text, parse_float=lambda digits: float(f"{float(digits):.5g}"))
    return json.dumps(rounded, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
