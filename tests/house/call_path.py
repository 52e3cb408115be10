"""Which functions of this project run between `interpret_json` and the first gradient."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import torch
from allennlp.common.util import JsonDict

from allennlp_saliency.interpret import SaliencyInterpreter

from .rooms import FOLDERS, ROOT

_OURS = tuple(f"{ROOT / folder}/" for folder in FOLDERS)

Function = tuple[str, str]
"""A file, by its path from the root, and a function by its qualified name."""


def called(
    interpreter: SaliencyInterpreter, inputs: JsonDict, monkeypatch: pytest.MonkeyPatch
) -> list[Function]:
    """The functions that a reader of the code passes, in the order of their first calls.

    Lambdas, comprehensions and the bodies of classes and modules are no functions of their own.
    """
    found: dict[Function, None] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(_OURS) and "<" not in code.co_name:
            file = code.co_filename.removeprefix(f"{ROOT}/")
            found.setdefault((file, code.co_qualname), None)

    gradient = torch.autograd.grad

    def first_gradient(*args: Any, **kwargs: Any) -> Any:
        sys.setprofile(None)
        return gradient(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", first_gradient)
    with _profiling(profile):
        interpreter.interpret_json(inputs)
    return list(found)


@contextmanager
def _profiling(profile: Any) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
