"""What `allennlp predict` writes for the fixtures, a few inputs of each."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from fixtures.language import language
from fixtures.structure import STRUCTURE, register

ROOT = Path(__file__).parents[3]
METHODS: tuple[dict[str, Any], ...] = (
    {"type": "integrated-gradients", "steps": 4},
    {"type": "input-x-gradient"},
)
FIXTURES = sorted(
    path.parent.name
    for path in (ROOT / "fixtures").glob("*/model.tar.gz")
    if path.parent.name not in STRUCTURE or find_spec("allennlp_models")
)


@cache
def lines_of_fixtures() -> dict[str, list[dict[str, Any]]]:
    """By fixture the lines of two inputs by the first method, then by the second."""
    return {fixture: _lines(fixture) for fixture in FIXTURES}


def _lines(fixture: str) -> list[dict[str, Any]]:
    folder = ROOT / "fixtures" / fixture
    texts = (folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()[:2]
    given = [json.loads(text) for text in texts]
    found = []
    if fixture in STRUCTURE:
        register()
    for method in METHODS:
        with language() as path:
            saliency = SaliencyPredictor.from_path(
                folder / "model.tar.gz",
                import_plugins=False,
                interpreter=method,
                predictor_args={"language": path} if fixture in STRUCTURE else None,
            )
        results = saliency.predict_batch_json(given)
        found += [json.loads(saliency.dump_line(result)) for result in results]
    return found
