"""The predictor behind `allennlp predict --predictor saliency`."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from functools import wraps
from os import PathLike
from typing import Any, Literal

from allennlp.common import plugins
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import Model
from allennlp.models.archival import Archive, load_archive
from allennlp.predictors import Predictor

import allennlp_saliency.interpret  # noqa: F401  registers the interpreters under their names
from allennlp_saliency.interpret import checks
from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.named import interpreter_of, unknown
from allennlp_saliency.interpret.interpreter.reading import InputKeys
from allennlp_saliency.interpret.space.packing import let_go

from .json_lines import (
    ErrorLine,
    InputLine,
    error_line,
    message,
    read_line,
    to_json_line,
    to_jsonable,
)
from .outcomes import Explains, Outcome, explained, scored, wrapped

logger = logging.getLogger(__name__)

NAME = "saliency"
_MAX_SHOWN = 300  # characters of an input in an error message


def _of_wrapped(name: str) -> Any:
    """The method of this name of the predictor that is wrapped, with AllenNLP's signature."""

    @wraps(getattr(Predictor, name))
    def call(self: SaliencyPredictor, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.predictor, name)(*args, **kwargs)

    call.__doc__ = "The wrapped predictor's."
    return call


@Predictor.register(NAME)
class SaliencyPredictor(Predictor):
    """A predictor whose output says what the model predicted and why.

    It wraps the model's own predictor and gives `{"prediction": …, "instance_1": {"grad_input_1":
    […], "explanation": {…}}, …}` per input, as `docs/format.md` has it. An input that cannot be
    interpreted gives `{"error": {"type", "message", "line"}, "input": …}` in its place.

    Args:
        model: The model.
        dataset_reader: What makes the instances.
        interpreter: The registered name of an interpreter, or its parameters with the name as
            `type`. AllenNLP's own and other people's are taken too; if they know no explanations,
            `instance_K` holds their `grad_input_M` alone.
        predictor: The registered name of the predictor to wrap; by default the one that the
            model's class names.
        predictor_args: What the wrapped predictor's constructor takes besides.
        on_error: `"line"` to go on after an input that cannot be interpreted, `"raise"` to stop.
        frozen: Whether to put the model into evaluation mode. If not, its mode is left alone.

    Raises:
        ConfigurationError: If a name is not registered, an argument not understood or of the wrong
            type, or a setting does not fit the model, as far as that is known without an input.
    """

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        interpreter: str | JsonDict = "integrated-gradients",
        predictor: str | None = None,
        predictor_args: JsonDict | None = None,
        on_error: Literal["line", "raise"] = "line",
        frozen: bool = True,
        **others: Any,
    ) -> None:
        if others:
            known = ("interpreter", "predictor", "predictor_args", "on_error", "frozen")
            raise ConfigurationError(unknown(f"argument of the predictor {NAME!r}", others, known))
        self._on_error = checks.choice("on_error", on_error, ("line", "raise"))
        frozen = checks.boolean("frozen", frozen)
        if predictor_args is not None and not isinstance(predictor_args, Mapping):
            raise ConfigurationError(f"predictor_args is an object, not {predictor_args!r:.100}")
        super().__init__(model, dataset_reader, frozen=frozen)
        self._predictor = wrapped(
            model, dataset_reader, predictor, predictor_args, frozen, own_name=NAME
        )
        self._interpreter = interpreter_of(interpreter, self._predictor)

    @classmethod
    def from_path(
        cls,
        archive_path: str | PathLike[str],
        predictor_name: str | None = NAME,
        cuda_device: int = -1,
        dataset_reader_to_load: str = "validation",
        frozen: bool = True,
        import_plugins: bool = True,
        overrides: str | JsonDict = "",
        **kwargs: Any,
    ) -> Predictor:
        """As `Predictor.from_path`, for this predictor, and `frozen=False` reaches it."""
        if import_plugins:
            plugins.import_plugins()
        archive = load_archive(archive_path, cuda_device=cuda_device, overrides=overrides)
        return cls.from_archive(archive, predictor_name, dataset_reader_to_load, frozen, kwargs)

    @classmethod
    def from_archive(
        cls,
        archive: Archive,
        predictor_name: str | None = NAME,
        dataset_reader_to_load: str = "validation",
        frozen: bool = True,
        extra_args: JsonDict | None = None,
    ) -> Predictor:
        """As `Predictor.from_archive`, for this predictor, and `frozen=False` reaches it."""
        arguments = {"frozen": frozen, **(extra_args or {})}
        return Predictor.from_archive(
            archive, predictor_name or NAME, dataset_reader_to_load, frozen, arguments
        )

    @classmethod
    def run_predict_command(cls, args: argparse.Namespace) -> None:
        """Runs `allennlp predict` with this predictor.

        Args:
            args: The parsed arguments of the command.

        Raises:
            SystemExit: With a status that is not 0, as `command_line.run` says.
        """
        from allennlp_saliency.predictors import command_line

        command_line.run(args)

    @property
    def predictor(self) -> Predictor:
        """The predictor that is wrapped."""
        return self._predictor

    @property
    def interpreter(self) -> AnyInterpreter:
        """The interpreter that explains its predictions."""
        return self._interpreter

    def predict_json(self, inputs: JsonDict) -> JsonDict:
        """What the model predicts for one input, and why.

        Args:
            inputs: What the wrapped predictor reads, `{"sentence": "…"}`.

        Raises:
            InterpretationError: If it cannot be interpreted and `on_error` is `"raise"`.
        """
        return self.predict_batch_json([inputs])[0]

    def predict_batch_json(self, inputs: list[JsonDict]) -> list[JsonDict]:
        """As `predict_json` for several inputs, which go through the model together.

        Args:
            inputs: The inputs; the results are in their order, one for each.

        Raises:
            InterpretationError: At the first that cannot be interpreted, if `on_error` is
                `"raise"`.
        """
        problems = [_problem(given) for given in inputs]
        # Predictors may take their input apart; the line must still show it as it was.
        read = [
            InputKeys(deepcopy(dict(given))) if problem is None else given
            for given, problem in zip(inputs, problems, strict=True)
        ]
        readable = [one for one, problem in zip(read, problems, strict=True) if problem is None]
        interpreter = self._interpreter
        if isinstance(interpreter, Explains):
            found = explained(interpreter, interpreter.interpret_each, readable)
        else:
            found = [scored(interpreter, self._predictor, one) for one in readable]
        outcomes = iter(found)
        return [
            self._line(given, one, next(outcomes) if problem is None else Outcome(error=problem))
            for given, one, problem in zip(inputs, read, problems, strict=True)
        ]

    def predict_instance(self, instance: Instance) -> JsonDict:
        """As `predict_json` for an instance of the dataset reader.

        Args:
            instance: The instance; a label that it carries is replaced by the predicted one.

        Raises:
            ConfigurationError: If the interpreter reads JSON alone, as AllenNLP's own do.
            InterpretationError: As `predict_json`.
        """
        return self.predict_batch_instance([instance])[0]

    def predict_batch_instance(self, instances: list[Instance]) -> list[JsonDict]:
        """As `predict_instance` for several instances.

        Args:
            instances: The instances; the results are in their order, one for each.

        Raises:
            ConfigurationError: As `predict_instance`.
            InterpretationError: As `predict_batch_json`.
        """
        interpreter = self._interpreter
        if not isinstance(interpreter, Explains):
            raise ConfigurationError(
                f"{type(interpreter).__name__} interprets JSON inputs alone: leave out "
                "--use-dataset-reader, or take an interpreter of allennlp_saliency"
            )
        outcomes = explained(interpreter, interpreter.interpret_each_instance, instances)
        return [self._line(one, one, found) for one, found in zip(instances, outcomes, strict=True)]

    def load_line(self, line: str) -> JsonDict:
        """The wrapped predictor's; a line that it cannot read becomes an error in the output.

        Args:
            line: A line of the input.
        """
        return self.load_numbered_line(line, None)

    def load_numbered_line(self, line: str, number: int | None) -> InputLine:
        """As `load_line`, and errors say where the line stood.

        Args:
            line: A line of the input.
            number: Its number in the file, from 1.
        """
        return read_line(line, number, self._predictor.load_line)

    def dump_line(self, outputs: JsonDict) -> str:
        """One line of valid JSON: numbers that are not finite are null.

        Args:
            outputs: What `predict_json` returned.
        """
        try:
            return to_json_line(outputs)
        except Exception as error:  # such as the end of memory, which is one line's affair
            let_go(error)
            return to_json_line(ErrorLine(error, message(error, None), None))

    json_to_labeled_instances = _of_wrapped("json_to_labeled_instances")
    predictions_to_labeled_instances = _of_wrapped("predictions_to_labeled_instances")
    get_gradients = _of_wrapped("get_gradients")
    get_interpretable_layer = _of_wrapped("get_interpretable_layer")
    get_interpretable_text_field_embedder = _of_wrapped("get_interpretable_text_field_embedder")
    _json_to_instance = _of_wrapped("_json_to_instance")
    _batch_json_to_instances = _of_wrapped("_batch_json_to_instances")

    def __getattr__(self, name: str) -> Any:
        # Only what is not found here comes here; a copy that is being made has no predictor yet.
        if name.startswith("__") or "_predictor" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._predictor, name)

    def _line(self, given: Any, read: Any, outcome: Outcome) -> JsonDict:
        """The line of an input, by the copy of it that was read and the outcome for that."""
        error = outcome.error
        if error is None:
            line: JsonDict = {"prediction": outcome.prediction}
            for number, instance in enumerate(outcome.instances, start=1):
                line[f"instance_{number}"] = instance
            try:
                return to_jsonable(line)
            except Exception as failure:  # such as the end of memory, which is one line's affair
                let_go(failure)
                error = failure
        failed = error_line(given, read, error, outcome.prediction)
        if self._on_error == "raise":
            text = json.dumps(failed["input"], ensure_ascii=False)
            if len(text) > _MAX_SHOWN:
                text = text[:_MAX_SHOWN] + " […]"
            raise InterpretationError(f"{failed.message}; the input is {text}") from error
        logger.warning("%s", failed.message)
        return failed


def _problem(given: Any) -> Exception | None:
    """Why something is no input at all, None if it is one."""
    if isinstance(given, InputLine):
        return given.problem
    if not isinstance(given, Mapping):
        return TypeError(f"an input is a dict such as {{'sentence': '…'}}, got {given!r:.100}")
    return None
