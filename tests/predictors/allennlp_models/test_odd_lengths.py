"""Texts that are too long or empty: an error that says so, and the way out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from allennlp.models import load_archive
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.allennlp_models import ARCHIVES, Archives

LONG = " ".join(["the dog saw a great film and he knew it ."] * 12)
OVERLONG = {
    "srl-bert": {"sentence": LONG},
    "seq2seq-bart": {"source": LONG},
    "choices-piqa": {"prefix": LONG, "alternatives": ["a film", "a dog"]},
    "masked-lm": {"sentence": f"{LONG} [MASK]"},
}


@pytest.mark.parametrize("name", OVERLONG)
def test_both_numbers_and_a_way_out(archives: Archives, name: str) -> None:
    with pytest.raises(InterpretationError) as raised:
        InputXGradient(archives.predictor(name)).interpret_json(OVERLONG[name])
    found = str(raised.value)
    assert re.search(r"has \d{3} wordpieces, and the model takes at most 128: shorten", found)
    ways = {"srl-bert": "SrlReader cannot cut it", "masked-lm": "in the archive's tokenizer"}
    assert ways.get(name, "--overrides") in found


@pytest.mark.parametrize("name", ["seq2seq-bart", "choices-piqa"])
def test_the_way_out_leads_out(archives: Archives, name: str) -> None:
    with pytest.raises(InterpretationError) as raised:
        InputXGradient(archives.predictor(name)).interpret_json(OVERLONG[name])
    overrides = re.search(r"--overrides '(.*)'", str(raised.value))
    assert overrides is not None
    loaded = load_archive(archives.path(name), overrides=json.loads(overrides[1]))
    about: Any = ARCHIVES[name]
    predictor = Predictor.from_archive(
        loaded, about.predictor, extra_args=dict(archives.predictor_args(name))
    )
    found = InputXGradient(predictor).interpret_json(OVERLONG[name])
    assert max(len(one.tokens) for one in found[0].inputs) == 128


@pytest.mark.parametrize("words", [126, 127])
def test_a_text_of_full_length_is_explained(archives: Archives, words: int) -> None:
    predictor = archives.predictor("srl-bert")
    interpreter = InputXGradient(predictor)
    # "a" is one wordpiece, and there are two special tokens.
    short = len(interpreter.interpret_json({"sentence": "mary saw"})[0].inputs[0].tokens) - 2
    given = {"sentence": "mary saw" + " a" * (words - short)}
    if words == 126:
        assert len(interpreter.interpret_json(given)[0].inputs[0].tokens) == 128
    else:
        with pytest.raises(InterpretationError, match="has 129 wordpieces"):
            interpreter.interpret_json(given)


@pytest.mark.parametrize(
    ("name", "given", "what"),
    [
        ("constituents", {"sentence": ""}, "'sentence' is empty"),
        ("constituents", {"sentence": " "}, "'sentence' is empty"),
        ("coreference", {"document": ""}, "'document' is empty"),
        ("choices-piqa", {"prefix": "a", "alternatives": []}, "'alternatives' is an empty list"),
        ("transformer-qa", {"question": "who", "context": ""}, "'context' is empty"),
    ],
)
def test_no_text(archives: Archives, name: str, given: dict[str, Any], what: str) -> None:
    with pytest.raises(InterpretationError, match=f"{what}; leave the input out"):
        InputXGradient(archives.predictor(name)).interpret_json(given)
