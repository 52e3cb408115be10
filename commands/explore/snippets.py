"""What one types to get the same explanation without the page."""

from __future__ import annotations

import json
import pprint
import shlex

from allennlp_saliency.interpret.explanation import JsonDict

from .models.served import ServedModel

_ARCHIVED = "model.tar.gz"


def snippets(
    model: ServedModel, predictor: str, inputs: JsonDict, parameters: JsonDict
) -> dict[str, str]:
    """The same as Python and as a command line, by these names."""
    return {
        "python": python(model, predictor, inputs, parameters),
        "command": command(model, predictor, inputs, parameters),
    }


def python(model: ServedModel, predictor: str, inputs: JsonDict, parameters: JsonDict) -> str:
    """Python that ends with the explanations in `explanations`."""
    lines = ["import allennlp_saliency.plugin"]
    name = "" if _is_default(model, predictor) else f", {predictor!r}"
    if model.archive:
        lines.append("from allennlp.predictors import Predictor")
        made = f"Predictor.from_path({model.source!r}{name})"
    else:
        lines.append("from allennlp_saliency.predictors import TransformersPredictor")
        made = f"TransformersPredictor.from_pretrained({model.source!r})"
    lines += [
        "from allennlp.common import Params",
        "from allennlp_saliency.interpret import SaliencyInterpreter",
        "",
        f"predictor = {made}",
        "interpreter = SaliencyInterpreter.from_params(",
        f"    Params({_literal(parameters, 11)}),",
        "    predictor=predictor,",
        ")",
        "explanations = interpreter.interpret_json(",
        f"    {_literal(inputs, 4)}",
        ")",
    ]
    return "\n".join(lines) + "\n"


def command(model: ServedModel, predictor: str, inputs: JsonDict, parameters: JsonDict) -> str:
    """A command line that prints the explanations as JSON."""
    arguments: JsonDict = {"interpreter": parameters}
    if not _is_default(model, predictor):
        arguments["predictor"] = predictor
    words = ["allennlp", "predict", model.source if model.archive else _ARCHIVED, "-", "--silent"]
    words += ["--predictor", "saliency", "--predictor-args", _json(arguments)]
    words += ["--output-file", "out.jsonl"]
    typed = f"printf '%s\\n' {shlex.quote(_json(inputs))} | {shlex.join(words)}\n"
    if model.archive:
        return typed
    return f"{shlex.join(['allennlp-saliency', 'archive', model.source, _ARCHIVED])}\n{typed}"


def _is_default(model: ServedModel, predictor: str) -> bool:
    own = model.predictors[predictor]._model
    return not model.archive or getattr(own, "default_predictor", None) == predictor


def _json(value: JsonDict) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literal(value: JsonDict, indent: int) -> str:
    text = pprint.pformat(value, width=88, sort_dicts=False)
    return text.replace("\n", "\n" + " " * indent)
