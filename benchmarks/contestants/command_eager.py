"""The command line without the mends that import libraries when they are used."""

from __future__ import annotations

from allennlp.predictors import Predictor

from allennlp_saliency.compat.importing.lazy_imports import SWITCH

from ..case import Case, Job
from .command import job


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    return job(case, {SWITCH: "0"})
