"""AllenNLP 2.10.1 on today's torch, transformers, numpy and Python.

`activate()` puts a finder at the head of `sys.meta_path`. When AllenNLP imports a module that does
not fit today's libraries, the shims of that module run around its import; nothing else is touched,
and nothing is imported before AllenNLP is. Every shim names its module and its reason;
`allennlp-saliency doctor` lists them with their state.
"""

from __future__ import annotations

from . import models, plugins  # noqa: F401  each registers its shims, in this order
from .archives import code, loading  # noqa: F401
from .importing import gone_names, lazy_imports, submodule_walk  # noqa: F401
from .interrupted import end_quietly
from .libraries import (  # noqa: F401
    languages,
    predict_command,
    tokenization,
    training,
    transformer_modules,
)
from .registry import FINDER, Shim, install, shims

__all__ = ["Shim", "activate", "find_spec", "shims"]

find_spec = FINDER.find_spec


def activate() -> None:
    """Make AllenNLP importable and right on this stack; calling it again changes nothing."""
    end_quietly()
    install()
