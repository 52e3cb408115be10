"""What an archive could make AllenNLP and its libraries import or run: refused while one is loaded.

The classes that its configuration may name are none that it would have to import.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

from ..registry import Original, after, patch, wrap
from .source import REMOTE_CODE, ArchiveSource, ArchiveText, current_source, refusal, within


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


@patch(
    "allennlp.common.registrable",
    "Registrable.resolve_class_name",
    why="a dotted type in an archive's configuration imports any module and calls anything in it",
)
def archive_class_names(original: Original, cls: Any, name: Any) -> tuple[Any, str | None]:
    """Take an archive's dotted type from imported modules, and of the right class alone.

    What a user's own configuration names is looked up as before.
    """
    from allennlp.common.registrable import Registrable

    source = getattr(name, "archive_source", None) or current_source()
    registered: Any = Registrable._registry[cls]
    if source is None or name in registered or "." not in name or name in source.named_by_user:
        return original(cls, name)
    return _imported_class(cls, name, source, registered), None


def _imported_class(base: Any, name: str, source: ArchiveSource, registered: Any) -> Any:
    module_name, _, class_name = name.rpartition(".")
    module = sys.modules.get(module_name)
    asks = f"its configuration asks for a {base.__name__} of the type {name!r}, and "
    if module is None:
        raise refusal(
            source.name,
            f"{asks}there is no imported module {module_name!r}. The configuration of an "
            "archive imports nothing itself. If the module is yours, import it first "
            f"(`import {module_name}`, or `--include-package {module_name}` on the command line).",
        )
    # Not getattr: a module may import something when it is asked for a name that it lacks.
    found: Any = vars(module).get(class_name)
    if not issubclass(type(found), type) or not (
        base in found.__mro__ or any(found is one for one, _ in registered.values())
    ):
        raise refusal(
            source.name,
            f"{asks}that is no subclass of {base.__name__} but {_described(found)}. The "
            "configuration of an archive names classes of the kind that is wanted and nothing "
            "else. Look at it before you trust its author.",
        )
    return found


def _described(found: Any) -> str:
    """What kind of thing it is, without what it holds."""
    if found is None:
        return "nothing"
    if issubclass(type(found), type):
        return f"the class {found.__module__}.{found.__qualname__}"
    return f"a {type(found).__name__}"


@patch(
    "allennlp.common.from_params",
    "FromParams.from_params",
    why="what an archive's configuration describes may be built long after the archive was loaded: "
    "`allennlp evaluate` builds its data loader",
)
def archive_parameters(original: Original, cls: Any, params: Any, *args: Any, **kwargs: Any) -> Any:
    """Hold what is built from an archive's parameters to the archive's rules, whenever it is."""
    with _rules_of(getattr(params, "archive_source", None)):
        return original(cls, params, *args, **kwargs)


@patch(
    "allennlp.common.from_params",
    "construct_arg",
    why="AllenNLP takes no subclass of str, as an archive's texts are, for a string",
)
def archive_texts(
    original: Original,
    class_name: str,
    argument_name: str,
    given: Any,
    annotation: Any,
    *args: Any,
    **more: Any,
) -> Any:
    """Hand on a plain string where one is asked for."""
    plain = str(given) if annotation is str and isinstance(given, ArchiveText) else given
    return original(class_name, argument_name, plain, annotation, *args, **more)


def _rules_of(source: ArchiveSource | None) -> AbstractContextManager[None]:
    """The rules for an archive, unless they hold already or it is none."""
    return nullcontext() if source is None or source == current_source() else within(source)


@after(
    "allennlp.common.lazy",
    why="an object that holds a Lazy builds its part later, when no archive is being loaded",
)
def archive_lazies(module: Any) -> bool:
    """Remember which archive the parameters of a Lazy are from, and build under its rules."""
    lazy = module.Lazy
    constructor = lazy.constructor.fget

    def init(
        original: Any, self: Any, constructor: Any, params: Any = None, *args: Any, **more: Any
    ) -> None:
        original(self, constructor, params, *args, **more)
        # What has no parameters is a default in somebody's code.
        self._archive_source = current_source() if params else None

    @wraps(constructor)
    def guarded(self: Any) -> Any:
        construct, source = constructor(self), getattr(self, "_archive_source", None)
        if source is None:
            return construct

        @wraps(construct)
        def construct_under_rules(*args: Any, **kwargs: Any) -> Any:
            with _rules_of(source):
                return construct(*args, **kwargs)

        return construct_under_rules

    wrap(lazy, "__init__", init)
    lazy.constructor = property(guarded, doc=lazy.constructor.__doc__)
    return True
