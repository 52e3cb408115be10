"""What else an archive could make AllenNLP and its libraries run, refused while one is loaded."""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path
from typing import Any

from ..registry import Original, after, patch, wrap
from .source import REMOTE_CODE, ArchiveSource, current_source, refusal


@after(
    "transformers.dynamic_module_utils",
    why="transformers runs the Python files that a model's folder or its page on the hub brings, "
    "if an argument or an answer says so, and an archive's configuration can give the argument",
)
def archived_code(module: Any) -> bool:
    """Import no code of a model while an archive is loaded, and ask nobody whether to.

    All of transformers' `Auto` classes go through these three names.
    """

    def guarded(function: Original, *args: Any, **kwargs: Any) -> Any:
        source = current_source()
        if source is not None and not source.runs_code:
            raise refusal(
                source.name,
                "a model or tokenizer that it names is made by Python code which comes with the "
                "model. If you trust its author, say so with --overrides "
                f"'{{\"{REMOTE_CODE}\": true}}'.",
            )
        return function(*args, **kwargs)

    def answer(prompt: str = "") -> str:
        # transformers stops and asks on the terminal where trust_remote_code is not given.
        source = current_source()
        if source is None:
            return input(prompt)
        return "y" if source.runs_code else "n"

    wrap(module, "get_cached_module_file", guarded)
    wrap(module, "get_class_in_module", guarded)
    module.input = answer
    return True


@patch(
    "allennlp.common.util",
    "get_spacy_model",
    why="a spaCy model's name imports the package of that name, whatever it is, or reads a folder "
    "whose configuration names functions",
)
def archived_spacy_models(
    original: Original, spacy_model_name: str, *args: Any, **kwargs: Any
) -> Any:
    """While an archive is loaded, take spaCy models that are installed as such and no others."""
    source = current_source()
    if source is not None and spacy_model_name not in source.named_by_user:
        _check_spacy_model(spacy_model_name, source)
    return original(spacy_model_name, *args, **kwargs)


def _check_spacy_model(name: str, source: ArchiveSource) -> None:
    from importlib.metadata import entry_points

    import spacy.util

    if name in {point.name for point in entry_points(group="spacy_models")}:
        return
    what = ""
    if spacy.util.is_package(name):
        what = f"{name!r} is an installed package but no spaCy model"
    elif Path(name).exists():
        what = f"its spaCy model {name!r} is a folder of this machine"
    if what:
        raise refusal(source.name, f"{what}. If it is the right one, name it with --overrides.")


@patch(
    "allennlp.training.metrics.evalb_bracketing_scorer",
    "EvalbBracketingScorer.__init__",
    why="the metric runs `make` and a program in any folder that it is given, through a shell",
)
def evalb_program(original: Original, *args: Any, **kwargs: Any) -> None:
    """Let an archive name no other program than AllenNLP's own."""
    _only_default(original, "evalb_directory_path", "DEFAULT_EVALB_DIR", args, kwargs)


@patch(
    "allennlp_models.structured_prediction.metrics.srl_eval_scorer",
    "SrlEvalScorer.__init__",
    why="the metric runs any Perl script that it is given",
)
def srl_eval_script(original: Original, *args: Any, **kwargs: Any) -> None:
    """Let an archive name no other script than allennlp-models' own."""
    _only_default(original, "srl_eval_path", "DEFAULT_SRL_EVAL_PATH", args, kwargs)


def _only_default(
    make: Original, parameter: str, default: str, args: Any, kwargs: dict[str, Any]
) -> None:
    """Make a metric, where an archive gives its parameter no value but the module's default."""
    source = current_source()
    if source is not None:
        given = signature(make).bind(*args, **kwargs).arguments.get(parameter)
        known = getattr(sys.modules[make.__module__], default)
        if given not in {None, known, *source.named_by_user}:
            raise refusal(
                source.name,
                f"its {parameter} is {str(given)!r:.100}, from where a program would be run. "
                f"If that is the right one, name it with --overrides; else '{known}'.",
            )
    make(*args, **kwargs)
