"""The one way in which a job fails."""

from __future__ import annotations


class JobError(RuntimeError):
    """A job cannot run, or cannot go on; the message says why, and the way out."""
