"""inseq, called as a user calls it: texts in, scores of every generated token out.

In its favour: parameters need no gradient, and neither progress bars nor step scores nor
convergence deltas are asked for.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import inseq
import torch
from allennlp.predictors import Predictor
from inseq.attr.step_functions import probability_fn
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import Continued, LanguageModel, best_rows

_METHODS = {
    "input-x-gradient": "input_x_gradient",
    "integrated-gradients": "integrated_gradients",
    "sequential-integrated-gradients": "sequential_integrated_gradients",
    "discretized-integrated-gradients": "discretized_integrated_gradients",
}
_ROWS = (4, 8)


class _Inseq:
    """The texts, and how to attribute them."""

    def __init__(self, case: Case, parts: LanguageModel) -> None:
        name = _METHODS[case.method]
        assert not parts.word_embeddings.weight[parts.tokenizer.unk_token_id].any()
        load = partial(
            inseq.load_model,
            parts.model,
            name,
            tokenizer=parts.tokenizer,
            device=parts.model.device.type,
        )
        if name.startswith("discretized"):
            # It keeps the neighbours of all words by the model's name, whoever had that before.
            with tempfile.TemporaryDirectory() as folder:
                self._model: Any = load(cache_dir=Path(folder))
        else:
            self._model = load()
        self._texts = parts.continued(case)
        self._arguments: dict[str, Any] = {}
        if case.method != "input-x-gradient":
            # Its default, and all that can be had: `method` names something else in this call.
            assert case.rule == "gauss-legendre"
            # Of a discretized path both ends are among its steps.
            own = case.steps + name.startswith("discretized")
            self._arguments = {"n_steps": own}

    def run(self, **more: Any) -> Scores:
        return [scores for text in self._texts for scores in self._scores(text, more)]

    def _scores(self, text: Continued, more: dict[str, Any]) -> Scores:
        found = self._model.attribute(
            text.text,
            text.text + text.continuation,
            attributed_fn=_log_probability,
            show_progress=False,
            pretty_progress=False,
            **self._arguments,
            **more,
        )
        # (positions, generated, dim)
        scores: Tensor = found.sequence_attributions[0].target_attributions
        assert scores.shape[1] == len(text.after)
        of_prompt = torch.as_tensor(scores)[: len(text.before)].sum(-1)
        return [normalized(column.tolist()) for column in of_prompt.T]


def _log_probability(args: Any) -> Tensor:
    return probability_fn(args, logprob=True)


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed: the number of rows that suits inseq best is looked for here."""
    parts = LanguageModel.of(predictor)
    if case.method != "integrated-gradients":
        return Job(_Inseq(case, parts).run)
    rows = best_rows(
        case, _ROWS, lambda few, size: _Inseq(few, parts).run(internal_batch_size=size)
    )
    whole = _Inseq(case, parts)
    return Job(lambda: whole.run(internal_batch_size=rows), notes={"rows a batch": rows})
