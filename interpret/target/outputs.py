"""A model's outputs as a target reads them: by row, under common names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from allennlp.models import Model
from torch import Tensor

from ..errors import InterpretationError, SettingError
from ..inputs.explained import LOG_LIKELIHOOD
from ..inputs.labels import Labels, label_index, namespace_of
from .row_loss import RowLoss

LOGITS = ("logits", "label_logits", "tag_logits", "class_logits")
SPAN_LOGITS = (
    ("span_start_logits", "span_end_logits"),
    ("start_logits", "end_logits"),
)
PROBABILITIES = ("probs", "label_probs", "class_probabilities", "class_probs", "probabilities")


class ModelOutputs(Mapping[str, Any]):
    """The model's outputs for a batch of rows: a mapping of its own keys, with common names added.
    The `loss` is that of each row, `(rows,)`, whatever the model returns for the batch.

    Args:
        outputs: What `model.forward` returned for the rows.
        rows: The instance that each row is a copy of, `(rows,)`.
        labels: The instances' labels, if they carry any.
        row_loss: How to get the rows' losses from the batch's loss; see `RowLoss`.
        model: The model, for messages.

    Attributes:
        rows: The argument.
        rows_entangled: Whether of the losses only the gradient is per row, not the value.
    """

    def __init__(
        self,
        outputs: Mapping[str, Any],
        rows: Tensor,
        labels: Labels | None,
        row_loss: RowLoss,
        model: Model,
    ) -> None:
        self._outputs = outputs
        self._row_loss = row_loss
        self._model = model
        self.rows = rows
        self.rows_entangled = False
        self._labels = labels
        self._losses: Tensor | None = None

    def __getitem__(self, key: str) -> Any:
        if key not in self._outputs:
            raise SettingError(
                f"{type(self._model).__name__} returns no {key!r}, only {sorted(self._outputs)}; "
                "name another output or another target"
            )
        return self._row_losses() if key == "loss" else self._outputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __contains__(self, key: object) -> bool:
        return key in self._outputs

    @property
    def has_logits(self) -> bool:
        """Whether the model returns logits under one of the names in `LOGITS`."""
        return any(key in self._outputs for key in LOGITS)

    @property
    def has_probabilities(self) -> bool:
        """Whether the model returns probabilities, or logits to compute them from."""
        return self.has_logits or any(key in self._outputs for key in PROBABILITIES)

    @property
    def has_span_logits(self) -> bool:
        """Whether the model returns logits under the names in `SPAN_LOGITS`."""
        return any(start in self and end in self for start, end in SPAN_LOGITS)

    @property
    def logits(self) -> Tensor:
        """Unnormalised scores, `(rows, classes)` or `(rows, positions, classes)`.

        Raises:
            InterpretationError: If the model returns none.
        """
        if self.has_logits:
            key = next(key for key in LOGITS if key in self._outputs)
            logits = self._outputs[key]
            return logits if isinstance(logits, Tensor) else self._tensor(key)
        others = ["log-likelihood"]
        if any(key in self._outputs for key in PROBABILITIES):
            others.append("probability")
        if self.has_span_logits:
            others.append("span")
        raise SettingError(
            f"{type(self._model).__name__} returns no logits (looked for {', '.join(LOGITS)}), "
            f"only {sorted(self._outputs)}; use the target {' or '.join(map(repr, others))}"
        )

    @property
    def probabilities(self) -> Tensor:
        """Probabilities of the classes, in the shape of `logits`.

        Raises:
            InterpretationError: If the model returns neither probabilities nor logits.
        """
        for key in PROBABILITIES:
            if key in self._outputs:
                found = self._outputs[key]
                return found if isinstance(found, Tensor) else self._tensor(key)
        return self.logits.softmax(-1)

    @property
    def span_logits(self) -> tuple[Tensor, Tensor]:
        """Logits of a span's first and last position, `(rows, positions)` each.

        Raises:
            InterpretationError: If the model returns none.
        """
        for start, end in SPAN_LOGITS:
            if start in self._outputs and end in self._outputs:
                own = self._outputs[start], self._outputs[end]
                if all(isinstance(one, Tensor) for one in own):
                    return own
                return self._tensor(start), self._tensor(end)
        raise SettingError(
            f"{type(self._model).__name__} returns no span logits, only {sorted(self._outputs)}; "
            "the target 'span' is for extractive question answering"
        )

    @property
    def no_answer(self) -> tuple[Tensor, Tensor] | None:
        """For models that may predict "no answer": whether that is the label of each row, and the
        sum of its two logits, `(rows,)` each. None for other models."""
        if "no_answer" not in self._outputs:
            return None
        start, end = self["no_answer_start_logits"], self["no_answer_end_logits"]
        return self._outputs["no_answer"], start + end

    @property
    def labels(self) -> Labels:
        """The instances' labels.

        Raises:
            SettingError: If they carry none.
        """
        if self._labels is None:
            raise SettingError(
                f"what {type(self._model).__name__} predicts is in no single label field, so it "
                "has no label to explain; use the target 'log-likelihood', which explains "
                "predictions of every kind"
            )
        return self._labels

    def labels_or_prediction(self) -> Labels | None:
        """The instances' labels; where they carry none, the classes with the highest logits.

        None where the model returns no logits either, or just one.
        """
        if self._labels is None and self.has_logits:
            logits = self.logits
            if logits.dim() == 2 and logits.shape[1] > 1:
                indices = logits.detach().argmax(-1).cpu()
                namespace = namespace_of(self._model)
                mask = torch.ones_like(indices, dtype=torch.bool)
                self._labels = Labels("label", namespace, self._model.vocab, indices, mask)
        return self._labels

    def at(self, scores: Tensor, label: str | None = None) -> Tensor:
        """The scores of one class per row.

        Args:
            scores: `(rows, classes)`, or `(rows, positions, classes)` for tags.
            label: The class; None for the one that each row's instance carries.

        Returns:
            `(rows,)`: for tags the mean over the positions explained.

        Raises:
            InterpretationError: If the label is unknown, or no label is there to explain.
        """
        if scores.dim() == 2 and scores.shape[1] == 1 and label is None:
            # A regression model: its one number is the score of any label.
            return scores[:, 0]
        labels = self.labels
        indices = labels.indices[self.rows].to(scores.device)
        if label is not None:
            index = label_index(labels.vocab, labels.namespace, label)
            indices = torch.full_like(indices, index)
        if indices.dim() == scores.dim():
            indices = indices[:, 0]
        if indices.dim() != scores.dim() - 1 or int(indices.max()) >= scores.shape[-1]:
            raise InterpretationError(
                f"the labels in field {labels.field!r} have shape {tuple(indices.shape)} and "
                f"largest index {int(indices.max())}, which does not fit scores of shape "
                f"{tuple(scores.shape)}; name the model's output in a target of your own"
            )
        if indices.dim() == 2:
            scores = scores[:, : indices.shape[1]]
        chosen = scores.gather(-1, indices.unsqueeze(-1)).squeeze(-1)
        return chosen if chosen.dim() == 1 else _masked_mean(chosen, self._mask(chosen))

    @property
    def log_likelihood(self) -> Tensor:
        """Minus the loss of each row, `(rows,)`. Where the model's `PredictionLabels` define the
        log-likelihood of a single prediction, that is returned.

        Raises:
            SettingError: If the model returned no loss.
        """
        if LOG_LIKELIHOOD in self._outputs:
            return self._outputs[LOG_LIKELIHOOD]
        if "loss" not in self._outputs:
            raise SettingError(
                f"{type(self._model).__name__} returned no loss for a labelled instance, only "
                f"{sorted(self._outputs)}; use the target 'logit', or override "
                "predictions_to_labeled_instances in the predictor so that the label is in the "
                "field that forward() takes it from"
            )
        return -self._row_losses()

    def mean_explained(self, values: Tensor) -> Tensor:
        """The mean of a number per position, `(rows, positions)`, over those explained."""
        mask = self._mask(values)
        return _masked_mean(values[:, : mask.shape[1]], mask)

    def _row_losses(self) -> Tensor:
        """The loss of each row: of the cross entropies of the model's logits the one that is its
        loss, or what there is of the batch's own."""
        found: dict[str, Tensor] = {}
        if self._labels is not None and self.has_logits:
            indices = self._labels.indices[self.rows].to(self.logits.device)
            logits = self.logits
            if indices.dim() == logits.dim() - 1 and int(indices.max()) < logits.shape[-1]:
                if indices.dim() == 2:
                    logits = logits[:, : indices.shape[1]]
                own = logits.gather(-1, indices.unsqueeze(-1)).squeeze(-1)
                log_p = logits.log_softmax(-1).gather(-1, indices.unsqueeze(-1)).squeeze(-1)
                if own.dim() == 1:
                    # The second is the loss of a multi-label model.
                    found = {"cross-entropy": -log_p, "binary-cross-entropy": -F.logsigmoid(own)}
                else:
                    mask = self._mask(log_p)
                    mean = _masked_mean(-log_p, mask)
                    found = {"mean-cross-entropy": mean, "sum-cross-entropy": mean * mask.sum(-1)}
        loss = self._outputs["loss"]
        if not isinstance(loss, Tensor):
            loss = self._tensor("loss")
        losses, self.rows_entangled = self._row_loss(loss, found, len(self.rows))
        self._losses = losses
        return losses

    @property
    def given(self) -> Mapping[str, Any]:
        """What the model returned, as it is."""
        return self._outputs

    def beside_another(self) -> ModelOutputs:
        """The outputs of the first row, with a row of other numbers behind it; with its loss, if
        that was read."""
        count = len(self.rows)

        def two(value: Any) -> Any:
            if isinstance(value, Tensor) and value.shape[:1] == (count,):
                first = value[:1].detach()
                return torch.cat([first, 2 * first + 1 if first.is_floating_point() else first])
            if isinstance(value, list) and len(value) == count:
                return value[:1] * 2
            return value

        outputs = {key: two(value) for key, value in self._outputs.items() if key != "loss"}
        if self._losses is not None:
            outputs["loss"] = two(self._losses)
        return ModelOutputs(outputs, self.rows[:1].repeat(2), self._labels, RowLoss(), self._model)

    def _tensor(self, key: str) -> Tensor:
        """An output that is no tensor as one; arrays and numbers have no gradient, but methods
        that need values only can explain them.

        Raises:
            SettingError: If it is nothing of the kind.
        """
        value = self._outputs[key]
        try:
            if isinstance(value, Tensor):
                return value
            if isinstance(value, (list, tuple)) and all(isinstance(one, Tensor) for one in value):
                return torch.stack([*value])
            return torch.as_tensor(value).to(self.rows.device)
        except (TypeError, ValueError, RuntimeError):
            raise SettingError(
                f"{type(self._model).__name__} returns {key!r} as {value!r:.60} of type "
                f"{type(value).__name__}; return a tensor, or name another output in a target of "
                "your own"
            ) from None

    def _mask(self, like: Tensor) -> Tensor:
        return self.labels.mask[self.rows].to(like.device)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(-1) / mask.sum(-1).clamp_min(1)
