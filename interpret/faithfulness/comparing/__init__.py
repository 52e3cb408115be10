"""Methods compared on the same inputs: a job that goes on, its tables, and what follows from them.

They know metrics and interpreters, and no method.
"""

from .comparison import Comparison
from .conclusion import Conclusion
from .job import DEFAULT_METRICS, compare
from .paired import Paired
from .record_store import RecordStore

__all__ = ["DEFAULT_METRICS", "Comparison", "Conclusion", "Paired", "RecordStore", "compare"]
