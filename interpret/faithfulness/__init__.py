"""How far to trust an explanation: metrics over explanations, whoever made them.

They know games (what the target is when units are removed), and no method."""

from .agreement import CompletenessError, Infidelity, TauLeaveOneOut
from .comparing import Comparison, Conclusion, Paired, compare
from .confidence import Interval, mean_interval
from .erasure import (
    Comprehensiveness,
    Deletion,
    Insertion,
    LogOdds,
    Monotonicity,
    Sufficiency,
)
from .importers import from_scores, read_inseq
from .measuring import Measuring
from .metric import Measured, MethodMetric, Metric, Scored
from .randomization import parameter_randomization
from .rationale import RationaleAuprc, RationaleF1, RationaleIou
from .sensitivity import MaxSensitivity

__all__ = [
    "Comparison",
    "CompletenessError",
    "Comprehensiveness",
    "Conclusion",
    "Deletion",
    "Infidelity",
    "Insertion",
    "Interval",
    "LogOdds",
    "MaxSensitivity",
    "Measured",
    "Measuring",
    "MethodMetric",
    "Metric",
    "Monotonicity",
    "Paired",
    "RationaleAuprc",
    "RationaleF1",
    "RationaleIou",
    "Scored",
    "Sufficiency",
    "TauLeaveOneOut",
    "compare",
    "from_scores",
    "mean_interval",
    "parameter_randomization",
    "read_inseq",
]
