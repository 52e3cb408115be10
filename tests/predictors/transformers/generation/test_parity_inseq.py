"""The same weights, the same texts, the same settings: inseq's gradients are ours.

Its settings, as ours: what is explained is the token's probability; a path begins where all
tokens but special ones are unknown ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import Explanation

# Before the other tests' module: once it was skipped, half of it is imported again.
pytest.importorskip("inseq")

from tests.interpret.methods.attention.test_parity_inseq import (
    CONTINUATION,
    PROMPT,
    SOURCE,
    TARGET,
    ours,
    saved,
    theirs,
)

METHODS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("input-x-gradient", {}, {}),
    ("integrated-gradients", {"n_steps": 24}, {"steps": 24, "baseline": "unk"}),
]


def scores(attributions: torch.Tensor, step: int) -> list[float]:
    """What each token has at a step, the dimensions of its embedding added up."""
    found = attributions[:, step].sum(-1)
    return found[~found.isnan()].tolist()


def own(explanation: Explanation, *fields: str) -> list[float]:
    by_field = {one.field: one.attributions for one in explanation.inputs}
    return [score for field in fields for score in by_field[field]]


@pytest.mark.parametrize(("method", "settings", "own_settings"), METHODS)
def test_gpt2(
    method: str, settings: dict[str, Any], own_settings: dict[str, Any], tmp_path: Path
) -> None:
    folder = saved("gpt2", "causal-lm", tmp_path)
    name = method.replace("-", "_")
    found = theirs(folder, name, PROMPT, PROMPT + CONTINUATION, **settings).target_attributions
    given = {"prompt": PROMPT, "continuation": CONTINUATION}
    steps = ours("gpt2", "causal-lm", method, given, target="probability", **own_settings)
    assert len(steps) == found.shape[1] > 5
    largest = max(abs(score) for step in steps for score in own(step, "prompt", "generated"))
    assert largest > 1e-4
    for number, step in enumerate(steps):
        expected = pytest.approx(scores(found, number), abs=1e-4 * largest)
        assert own(step, "prompt", "generated") == expected


@pytest.mark.parametrize(("method", "settings", "own_settings"), METHODS)
def test_t5(
    method: str, settings: dict[str, Any], own_settings: dict[str, Any], tmp_path: Path
) -> None:
    folder = saved("t5", "seq2seq", tmp_path)
    found = theirs(
        folder, method.replace("-", "_"), SOURCE, TARGET, attribute_target=True, **settings
    )
    given = {"source": SOURCE, "target": TARGET}
    steps = ours("t5", "seq2seq", method, given, target="probability", **own_settings)
    # The end of the text is a step of inseq's too.
    assert len(steps) == found.source_attributions.shape[1] - 1 > 5
    largest = max(abs(score) for step in steps for score in own(step, "source", "generated"))
    assert largest > 1e-4
    for number, step in enumerate(steps):
        for field, attributions in (
            ("source", found.source_attributions),
            ("generated", found.target_attributions),
        ):
            expected = pytest.approx(scores(attributions, number), abs=1e-4 * largest)
            assert own(step, field) == expected
