"""allennlp-models 2.10.1 on today's libraries; nothing here imports it, so it may be absent."""

from __future__ import annotations

from . import bart, readers, tagging, weights  # noqa: F401  each registers its shims
