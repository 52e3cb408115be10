"""The benchmark's texts, models, rows and commands are what they are called."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.case import Case
from benchmarks.compare import compare
from benchmarks.plain.language_model import LanguageModel
from benchmarks.process_stage import ProcessStage
from benchmarks.rows import rows
from benchmarks.timing import ContestantError, LocalStage
from benchmarks.workloads import (
    TINY,
    TINY_LANGUAGE_MODEL,
    continued,
    fewer,
    predictor,
    sentences,
    spread,
)


def test_a_quick_look_is_at_fewer_texts_and_less_after_a_prompt() -> None:
    assert fewer(sentences([9, 4, 7, 5, 6])) == sentences([9, 4, 7, 5, 6])[1::-1]
    assert fewer(sentences([9])) == sentences([9])
    (text,), (less,) = continued(5, 32), fewer(continued(5, 32))
    assert less["prompt"] == text["prompt"]
    assert less["continuation"] == " " + " ".join(text["continuation"].split()[:4])


def test_the_sentences_are_as_long_as_they_should_be() -> None:
    lengths = spread(32, 6, 120)
    assert (len(lengths), min(lengths), max(lengths)) == (32, 6, 120)
    reader = predictor(TINY, "cpu")
    tokens = [reader._json_to_instance(text)["tokens"].tokens for text in sentences(lengths)]
    assert list(map(len, tokens)) == lengths
    assert all(token.text != "[UNK]" for text in tokens for token in text)


def test_the_large_model_has_the_size_of_bert_base() -> None:
    with torch.device("meta"):
        from transformers import BertConfig, BertModel

        from benchmarks.workloads import BERT_BASE, SIZES

        size = SIZES[BERT_BASE]
        count = sum(p.numel() for p in BertModel(BertConfig(**vars(size))).parameters())
    assert count == 109_482_240


def test_the_large_language_model_has_the_size_of_gpt2_small() -> None:
    with torch.device("meta"):
        from transformers import GPT2Config, GPT2LMHeadModel

        from benchmarks.workloads import GPT2_SMALL, LANGUAGE_MODELS

        model = GPT2LMHeadModel(GPT2Config(**vars(LANGUAGE_MODELS[GPT2_SMALL])))
    assert sum(p.numel() for p in model.parameters()) == 124_439_808


def test_a_prompt_and_what_comes_after_it_are_as_long_as_they_should_be() -> None:
    parts = LanguageModel.of(predictor(TINY_LANGUAGE_MODEL, "cpu"))
    (text,) = parts.continued(Case(TINY_LANGUAGE_MODEL, continued(64, 32)))
    assert (len(text.before), len(text.after)) == (64, 32)
    assert parts.tokenizer.unk_token_id not in [*text.before.tolist(), *text.after.tolist()]


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_scores() -> None:
    case = Case(TINY, sentences([6, 9]))
    remote, local = ProcessStage("ours", "cpu"), LocalStage("ours", "cpu", threads=1)
    try:
        assert remote.prepare("a", case, False) == local.prepare("a", case, False)
        for one, other in zip(remote.run("a").scores, local.run("a").scores, strict=True):
            assert one == pytest.approx(other, abs=1e-6)
        with pytest.raises(ContestantError, match=r"FileNotFoundError.*make fixtures"):
            remote.prepare("b", replace(case, model="no-such-fixture"), False)
    finally:
        remote.close()


@pytest.mark.slow
def test_the_command_gives_the_same_scores_without_lazy_imports() -> None:
    row = next(row for row in rows(TINY) if row.name == "start-topics")
    stages: dict[str, LocalStage] = {}
    result = compare(
        replace(row, rounds=1),
        lambda name: stages.setdefault(name, LocalStage(name, "cpu", 1)),
        warm_up=False,
    )
    ours, eager = result["entries"]
    # Much more is imported; how much that takes depends on the machine.
    assert 0 < ours["median_seconds"] < eager["median_seconds"]
    assert eager["largest_difference_of_a_score"] == 0
