"""SmolLM2-135M-Instruct as a folder that `from_pretrained` reads."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from . import fetch


def build(out: Path = fetch.OUT) -> Path:
    """Writes the folder, if it is not there yet.

    The weights are those of the GGUF file, which are quantised to four bits, in float32.

    Args:
        out: Where folders are written to.

    Returns:
        The folder.
    """
    folder = out / "smollm2"
    if (folder / "config.json").is_file():
        return folder
    source = fetch.smollm2(out)
    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    quantized = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    # transformers 5 does not write a model that it read from GGUF, though its weights are float32.
    config = quantized.config.to_dict()
    config.pop("quantization_config", None)
    model = AutoModelForCausalLM.from_config(type(quantized.config).from_dict(config))
    model.load_state_dict(quantized.state_dict())
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
