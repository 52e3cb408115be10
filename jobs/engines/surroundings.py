"""What of a process decides numbers and names, for another process to take on."""

from __future__ import annotations

import importlib
import os
import random
import sys
from dataclasses import dataclass

import torch

_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "TOKENIZERS_PARALLELISM",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "TRANSFORMERS_VERBOSITY",
    "HF_HUB_DISABLE_PROGRESS_BARS",
    "ALLENNLP_LOG_LEVEL",
)


@dataclass(frozen=True)
class Surroundings:
    """What a worker takes on from the process that sends it, so that it computes the same bytes.

    Attributes:
        folder: The working folder, which relative paths begin at; taken on where it exists.
        path: Where modules are looked for.
        modules: The modules of what is registered by AllenNLP's names: `--include-package` and
            plugins.
        threads: How many threads torch adds up numbers with.
        dtype: The default floating type.
        deterministic: Whether torch keeps to deterministic algorithms.
        precision: How torch multiplies matrices of float32.
    """

    folder: str
    path: tuple[str, ...]
    modules: tuple[str, ...]
    threads: int
    dtype: torch.dtype
    deterministic: bool
    precision: str

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        return cls(
            folder=os.getcwd(),
            path=tuple(sys.path),
            modules=_registered_modules(),
            threads=torch.get_num_threads(),
            dtype=torch.get_default_dtype(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            precision=torch.get_float32_matmul_precision(),
        )

    def take_on(self) -> None:
        """Makes them those of this process, which is a worker and does nothing else.

        Raises:
            ImportError: If a module of what is registered is not there.
        """
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        sys.path.extend(one for one in self.path if one not in sys.path)
        torch.set_num_threads(self.threads)
        torch.set_default_dtype(self.dtype)
        torch.use_deterministic_algorithms(self.deterministic)
        torch.set_float32_matmul_precision(self.precision)
        random.seed(0)
        torch.manual_seed(0)
        for name in self.modules:
            importlib.import_module(name)


def variables() -> dict[str, str]:
    """The variables of this process that decide numbers or say what may be downloaded."""
    return {name: os.environ[name] for name in _VARIABLES if name in os.environ}


def _registered_modules() -> tuple[str, ...]:
    """Modules of registered classes that AllenNLP and this package do not import by themselves."""
    from allennlp.common import Registrable

    names = {
        one.__module__
        for registered in Registrable._registry.values()
        for one, _ in registered.values()
    }
    own = ("allennlp", "allennlp_saliency", "torch", "builtins", "__main__")
    return tuple(sorted(name for name in names if name.split(".")[0] not in own))
