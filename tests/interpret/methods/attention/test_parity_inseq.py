"""The same weights, the same texts, the same settings: inseq's numbers are ours.

inseq 0.7.1 was written for transformers 4: there GPT-2's attention called its values `value`, and
blocks returned tuples. Both are told to it here, which changes none of its numbers.

Its settings, as ours: a generated token is explained from the position that predicts it (`query`:
"last"); in value zeroing the last layer's states are those behind the final normalization
(`final_norm`) and a change below 1e-5 is none (`threshold`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allennlp_saliency.interpret import Explanation, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

inseq = pytest.importorskip("inseq")

PROMPT, CONTINUATION = "a great film", " but the plot was not very good"
SOURCE, TARGET = "john smith lives in london", "mary lives in paris, not in london!"
ZEROING = {"final_norm": True, "threshold": 1e-5}


@pytest.fixture
def for_transformers_5(monkeypatch: pytest.MonkeyPatch) -> None:
    from inseq.attr.feat.ops.value_zeroing import ValueZeroing
    from inseq.models.model_config import MODEL_CONFIGS

    own = MODEL_CONFIGS["GPT2LMHeadModel"]
    now = dataclasses.replace(own, value_vector="value_states")
    monkeypatch.setitem(MODEL_CONFIGS, "GPT2LMHeadModel", now)
    make = ValueZeroing.get_states_extract_and_patch_hook

    def made(self: Any, block_idx: int, hidden_state_idx: int = 0) -> Callable[..., Any]:
        hook = make(self, block_idx, hidden_state_idx)

        def of_tensors_too(module: Any, args: Any, output: Any) -> Any:
            if isinstance(output, torch.Tensor):
                return hook(module, args, (output,))[0]
            return hook(module, args, output)

        return of_tensors_too

    monkeypatch.setattr(ValueZeroing, "get_states_extract_and_patch_hook", made)


def theirs(folder: Path, method: str, *texts: str, **settings: Any) -> Any:
    attributed = inseq.load_model(str(folder), method).attribute(
        texts[0], generated_texts=texts[1], show_progress=False, **settings
    )
    (sequence,) = attributed.sequence_attributions
    return sequence


def ours(name: str, task: str, method: str, given: Any, **settings: Any) -> list[Explanation]:
    predictor = TransformersPredictor.from_pretrained(
        model(name, task), tokenizer(KINDS[name].tokenizer)
    )
    made: Any = SaliencyInterpreter.by_name(method)(predictor, **settings)
    return made.interpret_json(given)


def saved(name: str, task: str, folder: Path) -> Path:
    own = tokenizer(KINDS[name].tokenizer)
    if own.pad_token is None:
        own.pad_token = own.eos_token
    model(name, task).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def of_step(attributions: torch.Tensor, step: int) -> np.ndarray:
    """What was given to each key that there was at a step, layers and heads behind."""
    found = attributions[:, step].numpy()
    return found[~np.isnan(found.reshape(len(found), -1)).any(1)]


def own_matrices(explanation: Explanation, kind: str) -> np.ndarray:
    """From the last query, keys first, layers and heads behind."""
    (one,) = [matrix for matrix in explanation.matrices if matrix.kind == kind]
    return np.moveaxis(one.numpy()[..., -1, :], -1, 0)


@pytest.mark.usefixtures("for_transformers_5")
class TestGPT2:
    @pytest.mark.parametrize(
        ("method", "settings"), [("attention", {}), ("value-zeroing", ZEROING)]
    )
    def test_same_scores(self, method: str, settings: dict[str, Any], tmp_path: Path) -> None:
        found = theirs(
            saved("gpt2", "causal-lm", tmp_path),
            method.replace("-", "_"),
            PROMPT,
            PROMPT + CONTINUATION,
        ).target_attributions
        given = {"prompt": PROMPT, "continuation": CONTINUATION}
        steps = ours("gpt2", "causal-lm", method, given, matrices=True, query="last", **settings)
        assert len(steps) == found.shape[1] > 5
        for step, explanation in enumerate(steps):
            expected = of_step(found, step)
            assert own_matrices(explanation, "decoder") == pytest.approx(expected, abs=1e-4)
            generated, prompt = explanation.inputs
            assert prompt.attributions + generated.attributions == pytest.approx(
                expected.reshape(len(expected), -1).mean(1), abs=1e-4
            )


@pytest.mark.usefixtures("for_transformers_5")
class TestT5:
    @pytest.mark.parametrize(
        ("method", "settings"), [("attention", {}), ("value-zeroing", ZEROING)]
    )
    def test_same_scores(self, method: str, settings: dict[str, Any], tmp_path: Path) -> None:
        found = theirs(
            saved("t5", "seq2seq", tmp_path),
            method.replace("-", "_"),
            SOURCE,
            TARGET,
            attribute_target=True,
        )
        given = {"source": SOURCE, "target": TARGET}
        steps = ours("t5", "seq2seq", method, given, matrices=True, query="last", **settings)
        # The end of the text is a step of inseq's too.
        assert len(steps) == found.source_attributions.shape[1] - 1 > 5
        for step, explanation in enumerate(steps):
            for kind, field, attributions in (
                ("cross", "source", found.source_attributions),
                ("decoder", "generated", found.target_attributions),
            ):
                expected = of_step(attributions, step)
                assert own_matrices(explanation, kind) == pytest.approx(expected, abs=1e-4)
                (one,) = [one for one in explanation.inputs if one.field == field]
                assert one.attributions == pytest.approx(
                    expected.reshape(len(expected), -1).mean(1), abs=1e-4
                )

    @pytest.mark.parametrize(
        ("method", "settings", "key"),
        [
            ("attention", {}, "encoder_self_attentions"),
            ("value-zeroing", ZEROING, "encoder_self_scores"),
        ],
    )
    def test_the_encoder(
        self, method: str, settings: dict[str, Any], key: str, tmp_path: Path
    ) -> None:
        folder = saved("t5", "seq2seq", tmp_path)
        found = theirs(folder, method.replace("-", "_"), SOURCE, TARGET, attribute_target=True)
        # Keys, queries, layers, heads.
        expected = found.sequence_scores[key].numpy()
        given = {"source": SOURCE, "target": TARGET}
        explanation, *_ = ours(
            "t5", "seq2seq", method, given, matrices=True, kind="encoder", **settings
        )
        values = explanation.matrices[0].numpy()
        mine = np.moveaxis(values, (-1, -2), (0, 1))
        assert mine == pytest.approx(expected, abs=1e-4)
