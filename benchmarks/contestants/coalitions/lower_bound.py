"""What no method that removes units can do without: one forward pass for the rows needed.

Plain torch: wordpieces, label and masks for nothing, rows of texts of equal length share a batch,
no row twice, no padding, no hooks, and nothing is made of the values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.classifier import Classifier
from ...plain.coalitions import coalitions

_TOKENS = {"cpu": 1024, "cuda": 16384}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = Classifier.of(predictor)
    ids = parts.ids(case.texts)
    labels = parts.labels(ids)
    masks = [coalitions(case.method, len(own), case.steps).to(parts.device) for own in ids]
    groups: dict[int, list[int]] = {}
    for number, own in enumerate(ids):
        groups.setdefault(len(own), []).append(number)

    def run() -> Scores:
        values: dict[int, Tensor] = {}
        for length, numbers in groups.items():
            rows = [(number, masks[number]) for number in numbers]
            found = _values(parts, length, rows, ids, labels)
            sizes = [len(mask) for _, mask in rows]
            values.update(zip(numbers, found.split(sizes), strict=True))
        if case.method != "leave-one-out":
            return []
        in_order = [values[number] for number in range(len(ids))]
        return [normalized((own[0] - own[1:]).tolist()) for own in in_order]

    return Job(run, notes={"rows": sum(map(len, masks))})


def _values(
    parts: Classifier,
    length: int,
    rows: list[tuple[int, Tensor]],
    ids: list[Tensor],
    labels: list[int],
) -> Tensor:
    """The log-probability of the label at each row of texts of equal length, `(rows,)`."""
    size = max(_TOKENS[parts.device.type] // length, 1)
    found = []
    with torch.inference_mode():
        for some, of_some, label in _batches(rows, ids, labels, size):
            words = parts.word_embeddings(of_some).masked_fill(~some.unsqueeze(-1), 0)
            values = parts.log_probabilities(inputs_embeds=words)
            found.append(values.gather(1, label[:, None])[:, 0])
        return torch.cat(found).double().cpu()


def _batches(
    rows: list[tuple[int, Tensor]], ids: list[Tensor], labels: list[int], size: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Masks, wordpieces and labels of even batches of at most so many rows."""
    masks = torch.cat([mask for _, mask in rows])
    owners = torch.cat([torch.full((len(mask),), n) for n, (_, mask) in enumerate(rows)])
    own_ids = torch.stack([ids[number] for number, _ in rows])
    own_labels = torch.tensor([labels[number] for number, _ in rows], device=own_ids.device)
    owners = owners.to(own_ids.device)
    even = -(-len(masks) // -(-len(masks) // size))
    for some, owner in zip(masks.split(even), owners.split(even), strict=True):
        yield some, own_ids[owner], own_labels[owner]
