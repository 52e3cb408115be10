"""What is found out about a model decides what shares its batches from then on."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret.interpreter.batch_sharing import BatchSharing, Job
from allennlp_saliency.interpret.target.prediction_check import Mismatch


def jobs(*lengths: int) -> list[Job]:
    instance: Any = None
    return [Job(instance, None, length) for length in lengths]


def test_at_first_all_share() -> None:
    assert BatchSharing().groups(jobs(3, 5, 3)) == [[0, 1, 2]]


def test_a_model_that_sees_padding_is_given_equal_lengths() -> None:
    sharing = BatchSharing()
    sharing.refuse(jobs(3, 5, 3))
    assert sharing.groups(jobs(3, 5, 3, 4)) == [[0, 2], [1], [3]]
    assert not sharing.single


def test_a_model_that_mixes_rows_is_given_one() -> None:
    sharing = BatchSharing()
    sharing.refuse(jobs(3, 3))
    assert sharing.groups(jobs(3, 3)) == [[0], [1]]


def test_first_padding_then_rows() -> None:
    sharing = BatchSharing()
    sharing.refuse(jobs(3, 5, 3))
    sharing.refuse(jobs(3, 3))
    assert sharing.groups(jobs(3, 5, 3)) == [[0], [1], [2]]


def test_nothing() -> None:
    assert BatchSharing(single=True).groups([]) == []
    assert BatchSharing(equal_lengths=True).groups([]) == []


def test_the_shortest_of_those_that_were_not_predicted_is_compared_with_itself_alone() -> None:
    instance: Any = None
    predicted = Job(instance, {"logits": [1.0]}, 2)
    assert BatchSharing().check_alone([*jobs(5, 3, 4), predicted]) == [1]
    assert BatchSharing().check_alone(jobs(5, 5)) == []
    assert BatchSharing().check_alone([*jobs(5), predicted]) == []


def test_a_batch_that_fails_is_explained_one_by_one_and_only_what_fails_alone_has_an_error() -> (
    None
):
    batches: list[int] = []

    def explain(given: Any) -> Any:
        batches.append(len(given))
        if any(job.length == 4 for job in given):
            raise ValueError("four")
        return [job.length for job in given]

    sharing = BatchSharing()
    three, four, five = sharing.explain(jobs(3, 4, 5), explain)
    assert (three, five) == (3, 5)
    assert isinstance(four, ValueError)
    assert batches == [3, 1, 1, 1]
    assert sharing == BatchSharing()


@pytest.mark.parametrize(
    ("lengths", "batches"), [((3, 3, 5), [3, 1, 2, 1]), ((3, 3), [2, 1, 1, 1])]
)
def test_what_differs_in_a_batch_and_not_alone_is_remembered(
    lengths: tuple[int, ...], batches: list[int]
) -> None:
    seen: list[int] = []

    def explain(given: Any) -> Any:
        seen.append(len(given))
        if len({job.length for job in given}) > 1 or (len(lengths) == 2 and len(given) > 1):
            raise Mismatch(0, "logits", 1.0, 2.0)
        return [job.length for job in given]

    sharing = BatchSharing()
    assert sharing.explain(jobs(*lengths), explain) == list(lengths)
    assert seen == batches
    assert sharing == BatchSharing(equal_lengths=len(lengths) == 3, single=len(lengths) == 2)
