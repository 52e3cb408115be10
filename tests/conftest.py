"""What every test needs: no network, one thread, quiet logs."""

from __future__ import annotations

import logging
import os
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("ALLENNLP_LOG_LEVEL", "WARNING")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

# Makes AllenNLP importable, whatever the first test imports.
import allennlp_saliency  # noqa: F401

for name in ("allennlp", "transformers", "cached_path", "filelock", "matplotlib"):
    logging.getLogger(name).setLevel(logging.ERROR)
# Both come from libraries that AllenNLP needs and that this project does not call.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(spacy|weasel|fairscale)")
