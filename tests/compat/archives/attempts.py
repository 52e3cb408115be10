"""An archive being made hostile, and a model with parts of every form."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from allennlp.common import Lazy
from allennlp.data import Tokenizer
from allennlp.models import BasicClassifier, Model
from allennlp.nn import Initializer
from allennlp.training.metrics import Metric


@Model.register("test-parts")
class ModelOfParts(BasicClassifier):
    """A user's model with parts of every form that a configuration can describe."""

    def __init__(
        self,
        # AllenNLP does not know `X | None`.
        later: Optional[Lazy[Tokenizer]] = None,  # noqa: UP045
        many: Optional[list[Tokenizer]] = None,  # noqa: UP045
        named: Optional[dict[str, Tokenizer]] = None,  # noqa: UP045
        start: Optional[Initializer] = None,  # noqa: UP045
        score: Optional[Metric] = None,  # noqa: UP045
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.later = later


@dataclass
class Attempt:
    """One archive being made hostile."""

    folder: Path
    canary: Path
    config: dict[str, Any]
    work: Path
    transformer: Path

    @property
    def reader(self) -> dict[str, Any]:
        return self.config["dataset_reader"]

    @property
    def model(self) -> dict[str, Any]:
        return self.config["model"]

    def parts(self, **parts: Any) -> None:
        self.model.update(type="test-parts", **parts)

    def finish(self) -> None:
        """Write the configuration as it is now."""
        if self.config:
            (self.folder / "config.json").write_text(json.dumps(self.config))

    def jsonnet(self, expression: str) -> None:
        """A configuration whose label is what the expression gives."""
        text = json.dumps(self.config)[:-1]
        (self.folder / "config.json").write_text(f'{text}, "stolen": {expression}}}')
        self.config = {}

    def with_code(self, folder: Path) -> str:
        """A transformer that brings Python files, in a folder."""

        shutil.copytree(self.transformer, folder)
        config = json.loads((folder / "config.json").read_text())
        config["model_type"] = "never-heard-of"
        config["auto_map"] = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
        (folder / "config.json").write_text(json.dumps(config))
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
        tokenizer["tokenizer_class"] = "OwnTokenizer"
        tokenizer["auto_map"] = {"AutoTokenizer": ["code.Own", "code.Own"]}
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
        (folder / "code.py").write_text(self.code())
        return folder.name

    def code(self) -> str:
        return f"import pathlib\npathlib.Path({str(self.canary)!r}).touch()\n"

    def payload(self) -> Any:
        return _Payload(self.canary)

    def embed(self, **settings: Any) -> None:
        self.model["text_field_embedder"]["token_embedders"]["tokens"] = {
            "type": "pretrained_transformer",
            **settings,
        }


class _Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


Case = Callable[[Attempt], None]
