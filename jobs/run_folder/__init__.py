"""The folder of a run: parts that are written whole or not at all, errors, a summary."""

from .folder import RunFolder as RunFolder
from .merging import merge_runs as merge_runs
