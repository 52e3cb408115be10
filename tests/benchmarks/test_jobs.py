"""The benchmark of jobs runs, on the smallest model."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow", reason="the extra jobs is not installed")

from benchmarks import jobs
from benchmarks.workloads import TINY_CLASSIFIER


def test_every_table_has_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    jobs.main(["--model", TINY_CLASSIFIER, "--inputs", "3", "--rounds", "1", "--jobs", "4"])
    printed = capsys.readouterr().out
    for line in ("| a part of a job | ", "| gradients | ", "| 4 | ", "| gradient and integrated-"):
        assert line in printed
    assert "of the bound" in printed
    assert "after the first tenth" in printed


def test_the_bound_differentiates_what_the_job_does() -> None:
    explained = jobs.predictor(TINY_CLASSIFIER, "cpu")
    texts = jobs.sentences([4, 9])
    target = {"type": "log-likelihood", "label": "LABEL_0"}
    explainer = jobs.Explainer(explained, [{"type": "input-x-gradient", "target": target}])
    rows = explainer.part(jobs.items(texts)).rows
    plain = jobs.Classifier.of(explained)
    ids = plain.ids(texts)
    assert jobs.predicted(plain, ids).tolist() == plain.labels(ids)
    gradients = jobs.differentiated(plain, ids)
    for own, gradient, row in zip(ids, gradients, rows, strict=True):
        scores = (gradient[: len(own)] * plain.word_embeddings(own)).sum(-1)
        (found,) = row["instance_1"]["explanation"]["inputs"]
        assert found["attributions"] == pytest.approx(scores.tolist(), abs=1e-6)
