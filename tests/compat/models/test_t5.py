"""The beam search of AllenNLP's T5 beside the one of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model
from torch.testing import assert_close

from .conftest import generated, until_end

STEPS = 7


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_search_writes_what_transformers_writes(
    t5: Any, save: Any, source: Any, tmp_path: Path, beams: int
) -> None:
    import allennlp_models.generation  # noqa: F401

    search = {"beam_size": beams, "max_steps": STEPS}
    model = Model.from_params(
        Params({"type": "t5", "model_name": save(t5, tmp_path), "beam_search": search}),
        vocab=Vocabulary(),
    ).eval()
    with torch.no_grad():
        found = model(source)
    rows, sums = generated(t5, source, beams, STEPS)
    assert len({tuple(row) for row in rows}) == len(rows)
    assert until_end(found["predictions"]) == rows
    # Two implementations of the same network in 32 bits.
    assert_close(found["predicted_log_probs"].tolist(), sums, rtol=1e-4, atol=1e-4)
