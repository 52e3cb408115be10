"""On what was measured, without anything that tells one machine from another of its kind."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .timing import cores

_PACKAGES = (
    "allennlp-saliency",
    "allennlp",
    "captum",
    "context-cite",
    "inseq",
    "interpreto",
    "shap",
    "torch",
    "transformers",
    "numpy",
)


def machine(device: str, threads: int | None = None) -> dict[str, Any]:
    """The processor, memory and accelerator, and how busy the machine was before."""
    described = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": cores(),
        "threads": threads or cores(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "device": device,
    }
    if device == "cuda":
        described["accelerator"] = torch.cuda.get_device_name()
    return described


def versions() -> dict[str, str]:
    """Of Python and of every package that takes part."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
