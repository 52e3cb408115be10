"""A text given as `target`: its tokens are those of labels, and of what the model wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.predictors.transformers.generation.translators import FAMILIES, translator
from tests.zoo.task_models import model, tokenizer

SOURCE = "mary lives in paris"
#: With what a text begins, in tokens, and in ids of `tokenizer(text_target=…)` the end.
BEGINNINGS = {
    "bart": "<s>",
    "mbart50": "ro_RO",
    "nllb": "fra_Latn",
    "m2m_100": "__fr__",
}


def tokens_of(predictor: Any, target: str, key: str = "tokens") -> list[str]:
    instance = predictor._json_to_instance({"source": SOURCE, "target": target, "foil": target})
    return [token.text for token in instance["request"].metadata[key]]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_written_given_back(family: str, ends: bool, tmp_path: Path) -> None:
    made = translator(family, tmp_path, min_new_tokens=3)
    end = made._dataset_reader.tokenizer.eos_token_id
    made._model.transformer.generation_config.forced_eos_token_id = end if ends else None
    asked = {"source": SOURCE, "max_new_tokens": 4}
    written = made.predict_json(asked)
    given = made.predict_json({"source": SOURCE, "target": written["text"]})
    assert given["token_ids"] == written["token_ids"]
    assert len(given["token_ids"]) == 4
    assert (written["token_ids"][-1] == end) is ends
    assert given["log_probs"] == pytest.approx(written["log_probs"], abs=1e-5)
    explained = InputXGradient(made).interpret_json(asked)
    again = InputXGradient(made).interpret_json({"source": SOURCE, "target": written["text"]})
    assert len(explained) == len(again) == 4
    for one, other in zip(explained, again, strict=True):
        assert one.target["label"] == other.target["label"]
        assert other.target["value"] == pytest.approx(one.target["value"], abs=1e-5)
        for mine, theirs in zip(one.inputs, other.inputs, strict=True):
            assert (mine.field, mine.tokens) == (theirs.field, theirs.tokens)
            assert theirs.attributions == pytest.approx(mine.attributions, abs=1e-4)


@pytest.mark.parametrize("key", ["tokens", "foil"])
@pytest.mark.parametrize("family", FAMILIES)
def test_as_labels_begin(family: str, key: str, tmp_path: Path) -> None:
    """What the tokenizer puts behind labels is no part of the text unless it is written out."""
    made = translator(family, tmp_path)
    own = made._dataset_reader.tokenizer
    labels = own.convert_ids_to_tokens(own(text_target=SOURCE).input_ids)
    end = labels.index("</s>")
    first = BEGINNINGS.get(family)
    assert labels[0] == first or first is None
    assert tokens_of(made, SOURCE, key) == labels[:end]
    # With special tokens written out, in whole or in part.
    assert tokens_of(made, f"{SOURCE}</s>", key)[-1] == "</s>"
    if first is not None:
        written_out = tokens_of(made, f"{first} {SOURCE}</s>", key)
        assert written_out[0] == first
        assert written_out.count(first) == written_out.count("</s>") == 1
        # As `generate` returns it, from the token that the decoder starts from.
        assert tokens_of(made, f"</s>{first} {SOURCE}</s>", key) == written_out


@pytest.mark.skipif("mbart50" not in FAMILIES, reason="made of files before transformers 5")
def test_another_language_than_the_tokenizers(tmp_path: Path) -> None:
    made = translator("mbart50", tmp_path)
    own = made._dataset_reader.tokenizer
    made._model.transformer.generation_config.forced_bos_token_id = own.convert_tokens_to_ids(
        "de_DE"
    )
    assert tokens_of(made, SOURCE)[:2] == ["de_DE", "▁mary"]
    # A code that is written out counts.
    assert tokens_of(made, f"fr_XX {SOURCE}")[:2] == ["fr_XX", "▁mary"]


@pytest.mark.parametrize("start", ["bos", "pad"])
def test_a_token_that_the_decoder_starts_from_is_not_repeated(start: str) -> None:
    own = tokenizer("bytes")
    number = getattr(own, f"{start}_token_id")
    made = model("bart", "seq2seq")
    made.generation_config.decoder_start_token_id = number
    made.generation_config.forced_bos_token_id = None
    predictor = TransformersPredictor.from_pretrained(made, own)
    expected = own("mary lives", add_special_tokens=False).input_ids
    expected = expected if start == "bos" else [own.bos_token_id, *expected]
    given = predictor.predict_json({"source": "john", "target": "mary lives"})
    assert given["token_ids"] == expected
    # Against the model itself, on ids.
    with torch.no_grad():
        logits = made(
            **own("john", return_tensors="pt"),
            decoder_input_ids=torch.tensor([[number, *expected[:-1]]]),
        ).logits[0]
    own_scores = logits.log_softmax(-1)[range(len(expected)), expected]
    assert given["log_probs"] == pytest.approx(own_scores.tolist(), abs=1e-5)


@pytest.mark.parametrize("later", [False, True])
def test_a_decoder_that_starts_where_generate_starts(later: bool) -> None:
    """Without a token to start from `generate` takes the first of texts; transformers 5 also where
    the model's config names one later."""
    own, made = tokenizer("bytes"), model("bart", "seq2seq")
    made.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    made.config.decoder_start_token_id = own.mask_token_id if later else None
    inputs = own("john lives", return_tensors="pt")
    right = made.generate(
        **inputs,
        max_new_tokens=3,
        do_sample=False,
        num_beams=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    assert right.sequences[0, 0] == own.bos_token_id
    ids = right.sequences[0, 1:].tolist()
    predictor = TransformersPredictor.from_pretrained(made, own)
    asked = {"source": "john lives", "max_new_tokens": 3}
    written = predictor.predict_json(asked)
    assert written["token_ids"] == ids
    expected = [
        float(step[0].log_softmax(-1)[one]) for step, one in zip(right.logits, ids, strict=True)
    ]
    assert written["log_probs"] == pytest.approx(expected, abs=1e-5)
    values = [one.target["value"] for one in InputXGradient(predictor).interpret_json(asked)]
    assert values == pytest.approx(expected, abs=1e-5)


def test_readers_stay_as_they_are(tmp_path: Path) -> None:
    """The same reader for two models: each knows how its own model's texts begin."""
    made = translator("bart", tmp_path)
    other = model("bart", "seq2seq")
    other.generation_config.decoder_start_token_id = tokenizer("bytes").bos_token_id
    reader = TransformersPredictor.from_pretrained(other, tokenizer("bytes"))._dataset_reader
    again = type(made)(made._model, reader)
    assert tokens_of(again, SOURCE)[0] == "<s>"
    first = reader.text_to_instance(SOURCE, SOURCE)["request"].metadata["tokens"][0].text
    assert first == "mary"


def test_a_foil_of_what_is_written(tmp_path: Path) -> None:
    """Words stand against words, also where a model does not write the token that labels begin
    with."""
    made = translator("bart", tmp_path)
    config = made._model.transformer.generation_config
    asked = {"source": SOURCE, "max_new_tokens": 2, "foil": " lives"}
    for first, name in ((config.bos_token_id, "<s>"), (None, "Ġlives")):
        config.forced_bos_token_id = first
        for step in made.json_to_labeled_instances(asked):
            label = step["foil"].label
            break
        assert made._dataset_reader.tokenizer.convert_ids_to_tokens(label) == name
