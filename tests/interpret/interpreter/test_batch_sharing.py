"""What is found out about a model decides what shares its batches from then on."""

from __future__ import annotations

from typing import Any

from allennlp_saliency.interpret.interpreter.batch_sharing import BatchSharing, Job


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
