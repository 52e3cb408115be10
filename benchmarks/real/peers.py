"""captum's and inseq's integrated gradients with their usual 50 points: what the scores lack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import inseq
import torch
from captum.attr import IntegratedGradients
from inseq.attr.step_functions import probability_fn
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from .models import RealModel

STEPS = 50
_ROWS = 10


class Captum:
    """captum's `IntegratedGradients` on a model's word embeddings.

    Args:
        model: The model and its inputs.
    """

    def __init__(self, model: RealModel) -> None:
        causal = "prompt" in model.inputs[0]
        auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
        self._model: Any = auto.from_pretrained(model.folder).requires_grad_(False).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model.folder)
        self._words = self._model.get_input_embeddings()

    def lacking(self, given: dict[str, str], baseline: str) -> float:
        """What the scores lack of F(x) - F(x'), as a share of it, without a sign.

        Args:
            given: A sentence, whose predicted label is explained, or a prompt and what follows.
            baseline: "zero" or "mean", in the place of all but special tokens, as ours.
        """
        x, special, label = self._encoded(given)
        fill = (
            torch.zeros_like(x) if baseline == "zero" else self._words.weight.mean(0).expand_as(x)
        )
        start = torch.where(special[..., None], x, fill)
        scores = (
            IntegratedGradients(self._log_likelihood)
            .attribute(
                x,
                start,
                additional_forward_args=(label,),
                n_steps=STEPS,
                internal_batch_size=_ROWS,
            )
            .sum()
        )
        with torch.no_grad():
            change = self._log_likelihood(x, label) - self._log_likelihood(start, label)
        return float(((change - scores) / change).abs())

    def _encoded(self, given: dict[str, str]) -> tuple[Tensor, Tensor, int]:
        text = given.get("prompt", given.get("sentence"))
        encoded = self._tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        with torch.no_grad():
            x = self._words(encoded["input_ids"])
        if "continuation" in given:
            (label,) = self._tokenizer(given["continuation"], add_special_tokens=False)["input_ids"]
        else:
            with torch.no_grad():
                label = int(self._logits(x).argmax())
        return x, encoded["special_tokens_mask"].bool(), label

    def _logits(self, x: Tensor) -> Tensor:
        logits = self._model(inputs_embeds=x).logits
        return logits[:, -1] if logits.dim() == 3 else logits

    def _log_likelihood(self, x: Tensor, label: int) -> Tensor:
        return self._logits(x).log_softmax(-1)[:, label]


class Inseq:
    """inseq's integrated gradients of a language model, as a user calls it.

    Args:
        model: The model and its prompts.
    """

    def __init__(self, model: RealModel) -> None:
        loaded = AutoModelForCausalLM.from_pretrained(model.folder).requires_grad_(False)
        tokenizer = AutoTokenizer.from_pretrained(model.folder)
        self._model: Any = inseq.load_model(
            loaded, "integrated_gradients", tokenizer=tokenizer, device="cpu"
        )
        self._loaded, self._tokenizer = loaded, tokenizer

    def lacking(self, given: dict[str, str]) -> float:
        """What the scores lack by its own convergence delta, as a share of what they and it add up
        to; from its own baseline, the unknown token.

        Args:
            given: A prompt and what follows.
        """
        found = self._model.attribute(
            given["prompt"],
            given["prompt"] + given["continuation"],
            attributed_fn=_log_probability,
            show_progress=False,
            pretty_progress=False,
            n_steps=STEPS,
            internal_batch_size=_ROWS,
            return_convergence_delta=True,
        ).sequence_attributions[0]
        total = float(torch.as_tensor(found.target_attributions).nan_to_num().sum())
        delta = float(found.step_scores["deltas"].sum())
        # captum's delta is what the scores have too much.
        return abs(delta / (total - delta))


def _log_probability(args: Any) -> Tensor:
    return probability_fn(args, logprob=True)


def captum_lacking(
    model: RealModel, baseline: str, inputs: Sequence[dict[str, str]]
) -> list[float]:
    """What captum's scores lack, per input."""
    captum = Captum(model)
    return [captum.lacking(one, baseline) for one in inputs]


def inseq_lacking(model: RealModel, inputs: Sequence[dict[str, str]]) -> list[float]:
    """What inseq's scores lack, per input."""
    peer = Inseq(model)
    return [peer.lacking(one) for one in inputs]
