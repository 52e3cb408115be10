"""What other tools have written is read, and measured as if it were made here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allennlp_saliency.interpret import Explanation, InterpretationError, LeaveOneOut
from allennlp_saliency.interpret.faithfulness import (
    Comprehensiveness,
    Measuring,
    Sufficiency,
    from_scores,
    read_inseq,
)
from allennlp_saliency.interpret.faithfulness.importers import token_offsets
from tests.zoo import Zoo


@pytest.mark.parametrize(
    ("tokens", "text", "spans"),
    [
        (["▁The", "▁film", "s", "</s>"], "The films", ["The", "film", "s", None]),
        (["[CLS]", "the", "film", "##s", "[SEP]"], "The films", [None, "The", "film", "s", None]),
        (["The", "Ġfilm", "Ċ", "."], "The film\n.", ["The", "film", None, "."]),
        (["good", ",", "good"], "good, good", ["good", ",", "good"]),
        (["gut", "STRASSE"], "İ gut straße", ["gut", None]),
        (["#", "##1"], "# 1", ["#", "1"]),
    ],
)
def test_tokens_are_found_in_their_text(
    tokens: list[str], text: str, spans: list[str | None]
) -> None:
    found = token_offsets(tokens, text)
    assert [None if span is None else text[slice(*span)] for span in found] == spans
    starts = [span[0] for span in found if span]
    assert starts == sorted(set(starts))


def test_tokens_and_scores_of_elsewhere_have_the_numbers_of_our_own(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    text = {"sentence": "the plot was not bad"}
    ((own,),) = LeaveOneOut(predictor).interpret_batch_json([text])
    (one,) = own.inputs
    pairs = [("[CLS]", 0.5), *zip(one.tokens, one.attributions, strict=True)]
    given = from_scores({one.field: pairs}, {one.field: text["sentence"]}, "theirs")
    assert given.inputs[0].offsets == [span for span in one.offsets if span is not None]
    assert given.inputs[0].unassigned >= 0.5
    assert given.inputs[0].text == one.text is not None
    metrics = {"c": Comprehensiveness(), "s": Sufficiency()}
    measuring = Measuring(predictor, {"own": [[own]], "given": [[given]]}, metrics)
    ((measured,),) = measuring.measurements([text])
    assert measured["own"] == measured["given"]
    assert Explanation.from_json(json.loads(json.dumps(given.to_json()))) == given


def test_words_that_do_not_stand_in_the_text_are_an_error() -> None:
    with pytest.raises(InterpretationError, match="none of the tokens of 'tokens' stands"):
        from_scores({"tokens": [("other", 1.0)]}, {"tokens": "the film"})
    with pytest.raises(InterpretationError, match="no text of it"):
        from_scores({"tokens": [("film", 1.0)]}, {})


def saved(path: Path, causal: bool, dims: tuple[int, ...] = (), **options: Any) -> np.ndarray:
    """Saves an attribution as inseq does, and returns the scores by target token and step."""
    attribution = pytest.importorskip("inseq.data.attribution")
    with_id = pytest.importorskip("inseq.utils.typing").TokenWithId
    target = ["<s>", "▁le", "▁chat", "</s>"]
    # Of a translation the first token is explained, too, from nothing but the special token.
    start = 2 if causal else 1
    steps = 4 - start
    source = target[:2] if causal else ["▁the", "▁cat", "</s>"]
    own = torch.arange(4.0 * steps).reshape(4, steps, *(1 for _ in dims))
    own = own.expand(4, steps, *dims).clone()
    for step in range(steps):
        own[start + step :, step] = float("nan")
    of_source = torch.arange(3.0 * steps).reshape(3, steps) / 8
    sequence = attribution.FeatureAttributionSequenceOutput(
        source=[with_id(token, 1) for token in source],
        target=[with_id(token, 1) for token in target],
        source_attributions=None if causal else of_source,
        target_attributions=own,
        attr_pos_start=start,
        attr_pos_end=4,
    )
    texts = {"input_texts": ["le" if causal else "the cat"], "generated_texts": ["le chat"]}
    info = {"attribution_method": "saliency", **texts}
    output = attribution.FeatureAttributionOutput([sequence], info=info)
    output.save(str(path), overwrite=True, **options)
    return own.numpy()


@pytest.mark.parametrize("options", [{}, {"compress": True}, {"scores_precision": "float16"}])
def test_a_file_of_inseq_of_an_encoder_and_decoder(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "saved.json"
    saved(path, causal=False, **options)
    ((first, second, third),) = read_inseq(path)
    assert first.interpreter == {"type": "saliency"}
    labels = [one.target["label"] for one in (first, second, third)]
    assert labels == ["▁le", "▁chat", "</s>"]
    generated, source = third.inputs
    assert (generated.field, source.field) == ("generated", "source")
    assert generated.tokens == ["▁le", "▁chat"]
    assert generated.offsets == [(0, 2), (3, 7)]
    np.testing.assert_allclose(generated.attributions, [5.0, 8.0])
    assert generated.unassigned == 2.0
    assert source.offsets == [(0, 3), (4, 7)]
    np.testing.assert_allclose(source.attributions, [2 / 8, 5 / 8])
    assert source.unassigned == 1.0
    assert [one.text for one in third.inputs] == ["le chat", "the cat"]
    assert first.inputs[0].tokens == []
    assert first.inputs[0].unassigned == 0.0


def test_a_file_of_inseq_of_a_causal_model(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    saved(path, causal=True)
    ((first, second),) = read_inseq(path)
    generated, prompt = second.inputs
    assert (generated.field, prompt.field) == ("generated", "prompt")
    # The generated part is " chat".
    assert (generated.tokens, generated.offsets) == (["▁chat"], [(1, 5)])
    assert (prompt.tokens, prompt.offsets, prompt.attributions) == (["▁le"], [(0, 2)], [3.0])
    assert prompt.unassigned == 1.0
    assert [one.text for one in second.inputs] == [" chat", "le"]
    assert first.inputs[0].tokens == []
    ((named, _),) = read_inseq(path, fields=("question", "answer"))
    assert [one.field for one in named.inputs] == ["answer", "question"]


@pytest.mark.parametrize(("reduction", "factor"), [("l2", 2.0), ("sum", 4.0)])
def test_scores_with_dimensions_are_reduced(tmp_path: Path, reduction: str, factor: float) -> None:
    path = tmp_path / "saved.json"
    saved(path, causal=True, dims=(4,))
    ((_, second),) = read_inseq(path, reduction=reduction)
    assert second.inputs[1].attributions == [3.0 * factor]


@pytest.mark.parametrize("text", ["[]", "{", '{"attributes": {"info": {"input_texts": []}}}'])
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "saved.json.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InterpretationError, match="is no file that inseq has saved"):
        read_inseq(path)
