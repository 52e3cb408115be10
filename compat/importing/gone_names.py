"""Names that AllenNLP imports and that today's libraries no longer have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from ..registry import around, lent

_HUB_ADVICE = {
    "HfFolder": "huggingface_hub.get_token() and huggingface_hub.login()",
    "Repository": "huggingface_hub.HfApi().create_repo() and .upload_folder()",
}


def _gone_class(name: str, advice: str) -> type:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise ImportError(
            f"huggingface_hub.{name} is gone since huggingface_hub 1.0, so `allennlp push-to-hf` "
            f"does not work here; use {advice} instead."
        )

    return type(name, (), {"__init__": refuse, "get_token": staticmethod(refuse)})


@around(
    "allennlp.common.push_to_hf",
    why="huggingface_hub 1.x has no HfFolder and no Repository to import",
)
def hub_placeholders() -> Iterator[bool]:
    """Placeholders that say what to use instead, there only while the module is imported."""
    import huggingface_hub

    gone = {name: _gone_class(name, advice) for name, advice in _HUB_ADVICE.items()}
    with lent(huggingface_hub, gone) as acts:
        yield acts


class _VisionStandIn(ModuleType):
    """Stands for torchvision while a vision module of AllenNLP is imported; useless otherwise."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(name)
        self.__dict__["__path__"] = []
        self.__dict__["__spec__"] = ModuleSpec(name, None, is_package=True)
        self.__dict__["_cause"] = cause

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(
            f"{self.__name__}.{name} is needed for images, and torchvision cannot be imported "
            f"({self._cause}). Install the torchvision that matches this torch, for example "
            "`pip install torchvision`; everything that is text works without it."
        )


_STAND_INS = ("torchvision", "torchvision.ops", "torchvision.ops.boxes")


def _why_torchvision_fails() -> str:
    """Why `import torchvision` fails here, as one built for another torch does; empty where it does
    not."""
    before = set(sys.modules)
    try:
        import torchvision.ops.boxes  # noqa: F401
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        return f"{type(error).__name__}: {error}"
    return ""


@around(
    "allennlp.data.image_loader",
    "allennlp.modules.vision.grid_embedder",
    "allennlp.modules.vision.region_detector",
    why="torchvision is imported at the top, and is absent or does not fit this torch",
)
def torchvision_stand_in() -> Iterator[bool]:
    """A stand-in for torchvision during the import only, so that transformers never sees it."""
    cause = _why_torchvision_fails()
    if not cause:
        return
    # What the three modules import beside torchvision comes first, outside the stand-in's reach.
    import allennlp.common.file_utils
    import allennlp.common.registrable  # noqa: F401

    modules = {name: _VisionStandIn(name, cause) for name in _STAND_INS}
    modules["torchvision"].__dict__["ops"] = modules["torchvision.ops"]
    modules["torchvision.ops"].__dict__["boxes"] = modules["torchvision.ops.boxes"]
    sys.modules.update(modules)
    try:
        yield True
    finally:
        for name in modules:
            sys.modules.pop(name, None)
