"""Models that predict tokens, and the log-probabilities of these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from allennlp.data import Instance, Vocabulary
from torch import Tensor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.target.prediction_check import alike

from ..loading import load_tokenizer
from ..model.label_vocabulary import LabelVocabulary
from ..model.model import TransformersModel
from ..texts.hf_tokenizer import Pieces


@dataclass
class CacheCheck:
    """What is known of the passes of a model and all copies of it.

    Attributes:
        same: Whether they predict the same with a cache; None if not known yet.
        causal: The number of tokens of the longest text whose tokens were seen not to be predicted
            by those behind them.
        shares: Whether the beginning of a text need not be run again; None if not known yet.
    """

    same: bool | None = None
    causal: int = 0
    shares: bool | None = None


class TokenModel(TransformersModel):
    """A model that predicts tokens, named as its tokenizer names them.

    Args:
        vocab: Not used.
        model_name: A folder, a hub id or a model object.
        tokenizer: A folder, a hub id or a tokenizer object; None for the model's own.
        dtype: The floating type of the weights; None as they are.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        model_name: Any,
        tokenizer: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self._pieces = Pieces(load_tokenizer(tokenizer, model_name))
        self._cache = CacheCheck()
        super().__init__(vocab, model_name, dtype, **kwargs)

    def label_vocabulary(self) -> Vocabulary:
        """The tokenizer's tokens."""
        return LabelVocabulary.of_tokens(self._pieces.tokenizer)

    def number_of(self, instance: Instance, prediction: Mapping[str, Any]) -> int | None:
        """The number of an instance's label among the predicted tokens; None if it is none."""
        raise NotImplementedError

    def expected_outputs(self, instance: Instance, prediction: Mapping[str, Any]) -> Expected:
        """The log-probability of the label, if that is what was predicted."""
        label: Any = instance.fields.get("label")
        ids, log_probs = prediction.get("token_ids"), prediction.get("log_probs")
        if label is None or ids is None or log_probs is None:
            return {}
        number = self.number_of(instance, prediction)
        if number is None or number >= len(ids) or label.label != ids[number]:
            return {}
        return {"log_probs": log_probs[number]}


def likelihood(logits: Tensor, label: Tensor | None) -> dict[str, Tensor]:
    """The labels' log-probabilities, `(rows,)`, and the mean cross entropy as `loss`.

    Args:
        logits: `(rows, vocabulary)`.
        label: `(rows,)`; None for nothing.
    """
    if label is None:
        return {}
    own = logits.log_softmax(-1).gather(1, label.view(-1, 1)).squeeze(1)
    return {"log_probs": own, "loss": -own.mean()}


def logits_of(
    length: int,
    after: int,
    together: Callable[[], Tensor] | None,
    alone: Callable[[int], Tensor],
    check: CacheCheck,
) -> Tensor:
    """The logits in the place of each token of a text, `(tokens, vocabulary)`.

    Args:
        length: How many tokens there are, with those before.
        after: How many of them are predicted, `tokens`.
        together: The logits of all of them, `(tokens, vocabulary)`; None if the model has to
            predict one by one.
        alone: Those of one by its number, from what comes before it alone, `(1, vocabulary)`.
        check: It notes where the model turns out not to look ahead.
    """
    logits = None if together is None else together().float()
    if logits is None or not alike(logits[:1], alone(0).float()):
        # A model that looks ahead predicts each token from what comes before it alone.
        logits = torch.cat([alone(number).float() for number in range(after)])
    elif after > 1:
        check.causal = max(check.causal, length)
    return logits
