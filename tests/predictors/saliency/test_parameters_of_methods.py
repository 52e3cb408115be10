"""A method's config may name whatever its constructor hands on, to whichever base class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.interpret.interpreter.named import interpreter_of
from tests.zoo import Zoo


@pytest.mark.parametrize(
    "config",
    [
        {"type": "noise-tunnel", "num_samples": 2, "stdev": 0.1, "seed": 3},
        {"type": "layer-integrated-gradients", "layer": 0, "steps": 4, "baseline": "zero"},
        {"type": "layer-deeplift", "layer": 0, "segments": 2},
        {"type": "lime", "num_samples": 8, "removal": "mask", "units": "word"},
    ],
    ids=lambda config: config["type"],
)
def test_parameters_of_all_base_classes(tmp_path: Path, config: dict[str, Any]) -> None:
    made: Any = interpreter_of(config, Zoo(tmp_path).predictor("bert"))
    found = made.config()
    for name in ("num_samples", "stdev", "seed", "steps", "segments"):
        if name in config:
            assert found[name] == config[name]
