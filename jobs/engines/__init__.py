"""Who does the parts of a job: this process, or many."""

from .engine import Engine as Engine
from .engine import Worker as Worker
