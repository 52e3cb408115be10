"""The number that is explained: a function of a model's outputs, one number per row.

A target of one's own is a class with one method:

    @Target.register("runner-up-margin")
    class RunnerUpMargin(Target):
        def __call__(self, outputs):
            best = outputs.logits.topk(2).values
            return best[:, 0] - best[:, 1]
"""

from __future__ import annotations

from allennlp.common import Registrable
from torch import Tensor

from .outputs import ModelOutputs


class Target(Registrable):
    """A differentiable number per row of a batch.

    Args:
        label: The label to explain, by name. None explains the prediction.
    """

    default_implementation = "log-likelihood"

    def __init__(self, label: str | None = None) -> None:
        self.label = label

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        """The target, `(rows,)`.

        Args:
            outputs: What the model returned, its keys and `logits`, `probabilities`,
                `log_likelihood` and `at()`.
        """
        raise NotImplementedError


@Target.register("log-likelihood")
class LogLikelihood(Target):
    """Minus the model's loss for the label: there for every predictor that labels its instances."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return outputs.log_likelihood


@Target.register("logit")
class Logit(Target):
    """The label's logit: does not saturate when the model is sure."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return outputs.at(outputs.logits)


@Target.register("probability")
class Probability(Target):
    """The label's probability."""

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        return outputs.at(outputs.probabilities)


@Target.register("contrast")
class Contrast(Target):
    """How much more one label is than another: the difference of their logits, which is the
    difference of their log-probabilities.

    Args:
        against: The other label, by name.
        label: The label to explain, by name. None explains the prediction.
    """

    def __init__(self, against: str, label: str | None = None) -> None:
        super().__init__(label)
        self.against = against

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        logits = outputs.logits
        return outputs.at(logits) - outputs.at(logits, self.against)
