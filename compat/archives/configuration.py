"""Reading an archive's `config.json`: from the archive alone, and remembering where it is from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from allennlp.common import params as allennlp_params
from allennlp.common.checks import ConfigurationError
from allennlp.common.params import Params

from .source import REMOTE_CODE, ArchiveSource, ArchiveText, current_source, settings

CONFIG = "config.json"
# Arguments of transformers that let code run which an archive or a model on the hub brings.
_UNLESS_SAID = {REMOTE_CODE: False, "allow_all_kernels": False, "weights_only": True}


class ArchiveParams(Params):
    """Parameters that come from an archive's configuration, and so do all parts of them.

    Texts remember the archive, too: AllenNLP takes a mere name for an object with that `type`.
    While the archive is being loaded they are plain, since then its rules hold anyway.

    Args:
        params: The parameters.
        history: Where in the configuration they stand, for messages.
        archive_source: The archive.
    """

    def __init__(self, params: dict[str, Any], history: str, archive_source: ArchiveSource) -> None:
        super().__init__(params, history)
        self.archive_source = archive_source

    def pop(self, key: str, default: Any = Params.DEFAULT, keep_as_dict: bool = False) -> Any:
        """As `Params.pop`. The default, where it is taken, is the caller's."""
        ours = key in self.params
        value = super().pop(key, default, keep_as_dict)
        return self._check_is_dict(key, value) if ours and not keep_as_dict else value

    def get(self, key: str, default: Any = Params.DEFAULT) -> Any:
        """As `Params.get`. The default, where it is taken, is the caller's."""
        if key in self.params:
            return super().get(key)
        return Params({}, self.history).get(key, default)

    def pop_choice(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """As `Params.pop_choice`, and says so where the choice is no string."""
        value = self.params.get(key, "")
        if not isinstance(value, str):
            raise ConfigurationError(
                f"the '{self.history}{key}' of its {CONFIG} is no string but {value!r:.100}"
            )
        return super().pop_choice(key, *args, **kwargs)

    def _check_is_dict(self, new_history: str, value: Any) -> Any:
        if isinstance(value, dict):
            return ArchiveParams(value, f"{self.history}{new_history}.", self.archive_source)
        if isinstance(value, list):
            return [self._check_is_dict(f"{new_history}.list", item) for item in value]
        if isinstance(value, str) and current_source() != self.archive_source:
            return ArchiveText.of(value, self.archive_source)
        return value


def parsed_overrides(overrides: str | dict[str, Any]) -> dict[str, Any]:
    """The user's overrides, which may use their environment's variables, as AllenNLP reads them."""
    text = json.dumps(overrides) if isinstance(overrides, dict) else overrides
    return allennlp_params.parse_overrides(text)


def read_config(
    folder: str | os.PathLike[str], overrides: dict[str, Any], source: ArchiveSource
) -> ArchiveParams:
    """The configuration of an archive, with the user's overrides in it.

    It is evaluated as Jsonnet, as AllenNLP does, but it sees no environment variable and imports
    only files of the archive.

    Args:
        folder: The unpacked archive.
        overrides: The overrides, parsed.
        source: The archive.

    Raises:
        ConfigurationError: If there is none, it is no valid JSON or Jsonnet, it lacks a section
            that is needed, or it asks for code to be run that the user did not allow.
        ValueError: If an override fits no key (an error that `errors_named` translates).
    """
    root = Path(folder).resolve()
    try:
        text = (root / CONFIG).read_text(encoding="utf-8")
        found = json.loads(
            allennlp_params.evaluate_snippet(
                CONFIG, text, ext_vars={}, import_callback=lambda *at: _imported(root, *at)
            )
        )
    except FileNotFoundError:
        raise ConfigurationError(f"it has no member '{CONFIG}'") from None
    except (OSError, ValueError, RuntimeError) as error:  # RecursionError is a RuntimeError
        raise ConfigurationError(f"its {CONFIG} cannot be read: {_reason(error)}") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"its {CONFIG} is no JSON object but {type(found).__name__}")
    merged = allennlp_params.with_overrides(found, overrides) if overrides else found
    # At the top it is no part of a configuration but the user's word for the whole archive.
    if REMOTE_CODE in overrides and REMOTE_CODE not in found:
        del merged[REMOTE_CODE]
    _check_sections(merged)
    _check_code(merged, source)
    return ArchiveParams(merged, "", source)


def _imported(root: Path, directory: str, name: str) -> tuple[str, bytes]:
    path = (root / directory / name).resolve()
    if not path.is_relative_to(root):
        raise RuntimeError(
            f"it imports {name!r}, which is outside the archive; put the file into the archive"
        )
    return str(path.relative_to(root)), path.read_bytes()


def _reason(error: Exception) -> str:
    reason = str(error).strip()
    if "Undefined external variable" in reason or "undefined external variable" in reason:
        reason += (
            " (an archive's configuration sees no environment variables; set the value "
            "with --overrides, which does)"
        )
    return reason


def _check_sections(config: dict[str, Any]) -> None:
    for section, kinds in (("dataset_reader", dict), ("model", (dict, str))):
        if section not in config:
            raise ConfigurationError(f"its {CONFIG} has no '{section}'")
        if not isinstance(config[section], kinds):
            raise ConfigurationError(f"the '{section}' of its {CONFIG} is no JSON object")
    if not isinstance(config.get("vocabulary", {}), dict):
        raise ConfigurationError(f"the 'vocabulary' of its {CONFIG} is no JSON object")
    model = config["model"]
    if isinstance(model, dict) and not isinstance(model.get("type"), str):
        raise ConfigurationError(f"the 'model' of its {CONFIG} has no 'type'")


def _check_code(config: dict[str, Any], source: ArchiveSource) -> None:
    for path, key, value in settings(config):
        if key not in _UNLESS_SAID or value is None or value is _UNLESS_SAID[key]:
            continue
        pickles = key == "weights_only"
        if source.reads_pickles if pickles else source.runs_code:
            continue
        does = (
            "reads weights whose loading can run code"
            if pickles
            else "runs code that comes with the model"
        )
        way_out = json.dumps({path: False} if pickles else {REMOTE_CODE: True})
        raise ConfigurationError(
            f"its {CONFIG} sets {path!r} to {json.dumps(value)}, which {does}. If you trust its "
            f"author, say so with --overrides '{way_out}'"
        )
