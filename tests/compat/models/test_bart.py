"""BART's beam search beside the one of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model
from torch.testing import assert_close

from .conftest import END, generated, until_end

STEPS = 7


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_search_writes_what_transformers_writes(
    bart: Any, save: Any, source: Any, tmp_path: Path, beams: int
) -> None:
    import allennlp_models.generation  # noqa: F401

    search = {"beam_size": beams, "max_steps": STEPS}
    model = Model.from_params(
        Params({"type": "bart", "model_name": save(bart, tmp_path), "beam_search": search}),
        vocab=Vocabulary(),
    ).eval()
    with torch.no_grad():
        found = model(source)
    rows, sums = generated(bart, source, beams, STEPS)
    assert len({tuple(row) for row in rows}) == len(rows)
    assert max(len(set(row)) for row in rows) > 1
    assert until_end(found["predictions"]) == rows
    # One adds up as it goes along with a cache, the other reads all at once.
    assert_close(found["log_probabilities"].tolist(), sums, rtol=1e-4, atol=1e-5)


def test_the_cache_survives_the_way_through_tensors(bart: Any, save: Any, tmp_path: Path) -> None:
    from allennlp_models.generation.models.bart import Bart

    model = Bart(save(bart, tmp_path), Vocabulary()).eval()
    ids = torch.tensor([[0, 5, 6, END]])
    with torch.no_grad():
        first = bart(ids, decoder_input_ids=torch.tensor([[END, 9]]), use_cache=True)
        tensors = model._decoder_cache_to_dict(first.past_key_values)
        assert len(tensors) == 2 * 4
        again = model._dict_to_decoder_cache(tensors)
        more = bart(
            encoder_outputs=(first.encoder_last_hidden_state,),
            decoder_input_ids=torch.tensor([[11]]),
            past_key_values=again,
        )
        whole = bart(ids, decoder_input_ids=torch.tensor([[END, 9, 11]]))
    assert_close(more.logits[:, -1], whole.logits[:, -1], rtol=1e-5, atol=1e-5)
