"""How the repository's folders become the package `allennlp_saliency`."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
TOP = "allennlp_saliency"
# Each of these folders installs as a subpackage of the top package: interpret/ becomes
# allennlp_saliency.interpret, and never the bare `interpret`, which belongs to InterpretML.
FOLDERS = ("compat", "interpret", "predictors", "jobs", "commands", "views")

# What AllenNLP 2.10.1 imports. Its own pins cannot be met on Python 3.11 with torch 2, so it is
# installed with --no-deps, and its dependencies are ours to declare.
ALLENNLP_NEEDS = [
    "base58>=2.1",
    "boto3>=1.28",
    # Beside huggingface_hub 1.x only 1.8 and newer work; beside older ones 1.7.3 does, too.
    "cached-path>=1.7.3",
    "dill>=0.3.7",
    "fairscale>=0.4.13",
    "filelock>=3.12",
    "google-cloud-storage>=2.10",
    "h5py>=3.10",
    "jsonnet>=0.20",
    "lmdb>=1.4",
    "more-itertools>=10",
    "nltk>=3.8",
    "protobuf>=4",
    "safetensors>=0.4.5",
    "scikit-learn>=1.3",
    "scipy>=1.11",
    "spacy>=3.8",
    "tensorboardX>=2.6",
    "termcolor>=2",
    "tqdm>=4.66",
    "typer>=0.9",
]

# What allennlp-models 2.10.1 imports. It is installed with --no-deps, as AllenNLP is.
MODELS_NEED = [
    "conllu==4.4.2",
    "ftfy>=6",
    "py-rouge==1.1",
    "regex>=2023.3",
    "word2number>=1.1",
]


def version() -> str:
    """The version, read from the one place that states it."""
    text = (ROOT / TOP / "version.py").read_text(encoding="utf-8")
    match = re.search(r'^VERSION = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f'{TOP}/version.py has no line VERSION = "…"')
    return match.group(1)


def packages() -> dict[str, str]:
    """Every package to install, and the folder that it comes from."""
    found = {TOP: TOP}
    for folder in FOLDERS:
        found[f"{TOP}.{folder}"] = folder
        for name in find_packages(str(ROOT / folder)):
            found[f"{TOP}.{folder}.{name}"] = f"{folder}/{name.replace('.', '/')}"
    return found


PACKAGES = packages()

setup(
    name="allennlp-saliency",
    version=version(),
    description="Saliency maps for any AllenNLP predictor and any Hugging Face text model",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    author="The allennlp-saliency developers",
    keywords="allennlp interpretability saliency attribution integrated-gradients nlp",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=list(PACKAGES),
    package_dir=PACKAGES,
    package_data={
        name: ["py.typed", "*.css", "*.html", "*.js", "*.json", "*.jsonl"] for name in PACKAGES
    },
    include_package_data=False,
    zip_safe=False,
    install_requires=[
        "torch>=2.6",
        "transformers>=4.57,<6",
        "numpy>=2",
        "jinja2>=3.1",
        "packaging>=23",
        "rich>=13",
        *ALLENNLP_NEEDS,
    ],
    extras_require={
        "dev": [
            "accelerate>=1",
            "axe-playwright-python>=0.1.4",
            "captum>=0.8",
            "httpx>=0.27",
            "hypothesis>=6",
            "inseq>=0.7",
            "ipykernel>=6.29",
            "jsonschema>=4",
            "matplotlib>=3.8",
            "mypy>=1.11",
            "nbconvert>=7.16",
            "pandas>=2.1",
            "playwright>=1.45",
            "pyarrow>=15",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "pyyaml>=6",
            "ruff>=0.6",
            # Parity tests of Owen values and of interactions.
            "shap>=0.48",
            "shapiq>=1.4",
            "zstandard>=0.22",
        ],
        # `make benchmark` installs it on top of "dev" when it is first asked for.
        "benchmark": [
            "captum>=0.8",
            "context-cite>=0.0.4",
            "inseq>=0.7",
            "interpreto>=0.5",
            "shap>=0.51",
        ],
        # `make real` installs it on top of "dev" when it is first asked for.
        "real": ["captum>=0.8", "gguf>=0.10", "inseq>=0.7", "matplotlib>=3.8"],
        # `make mutate` installs it on top of "dev" when it is first asked for.
        "mutation": ["mutmut>=3.8,<4"],
        # `make docs-site` installs it on top of "dev" when it is first asked for.
        "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.7", "mkdocstrings[python]>=1"],
        "models": MODELS_NEED,
        # `interpret.methods.interactions.shapiq_interactions`; LightGBM is for "ProxySPEX".
        "interactions": ["lightgbm>=4", "shapiq>=1.4"],
        "figures": ["matplotlib>=3.8"],
        # `to_pandas()`, and running `docs/tour.ipynb`.
        "notebook": ["ipykernel>=6.29", "nbconvert>=7.16", "pandas>=2.1"],
        # `allennlp interpret`: Parquet, compressed lines, settings in a YAML file.
        "jobs": ["pyarrow>=15", "pyyaml>=6", "zstandard>=0.22"],
        # `allennlp explore`.
        "explore": ["fastapi>=0.115", "uvicorn>=0.30"],
        # `allennlp interpret --engine ray`.
        "ray": ["ray>=2.40"],
    },
    entry_points={
        "console_scripts": ["allennlp-saliency = allennlp_saliency.compat.console:main"],
    },
)
