"""The checks of one pair: is it right, and does it say so where it is not?"""

from __future__ import annotations

import copy
import math
import time
import traceback
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from allennlp_saliency.interpret import Explanation, InterpretationError, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import INPUTS

from .build import Built, CannotBeBuiltError, build
from .expected import Expected, UnclearReferenceError, expected, own_call
from .reference import input_x_gradient
from .result import Result
from .tables import Pair

#: The largest error that is rounding, as a share of the largest number.
ROUNDING = 1e-4
#: What completeness may lack, as a share of what there is to account for: float32 through a few
#: layers whose relevances cancel.
LACKING = 1e-3
_LONGER = {
    "token-classification": {"sentence": "mary lives in paris"},
    "masked-lm": {"sentence": "mary {mask} in paris"},
    "question-answering": {"question": "who was it?", "passage": "john smith was it"},
}
#: The methods that promise to be complete. A path that has a step goes on and on.
COMPLETE: dict[str, dict[str, Any]] = {
    "deeplift": {},
    "lrp": {},
    "integrated-gradients": {"max_steps": 128},
}


def check(pair: Pair) -> Result:
    """All checks of a pair.

    Args:
        pair: Which.
    """
    started = time.perf_counter()
    result = Result(pair.name, pair.class_name)
    try:
        built = build(pair)
    except CannotBeBuiltError as error:
        result.note("cannot be built", "", str(error))
        return result
    except Exception as error:
        result.note("cannot be built", "", _named(error))
        return result
    inputs = inputs_of(pair, built)
    for number, one in enumerate(inputs):
        error = _own_error(pair, built, one)
        if error is not None and pair.task in _LONGER:
            # Some models halve their sequence, and leave nothing of a short one.
            inputs[number] = _masked(_LONGER[pair.task], built)
            error = _own_error(pair, built, inputs[number])
        if error is not None:
            result.note("cannot be built", "", f"Hugging Face's own call fails: {_named(error)}")
            return result
    _check_built(pair, built, inputs, result)
    result.class_name = type(built.model).__name__
    result.seconds = round(time.perf_counter() - started, 2)
    return result


def inputs_of(pair: Pair, built: Built) -> list[dict[str, Any]]:
    """Two inputs of different lengths, and for text classification a pair of texts."""
    given = [_masked(one, built) for one in INPUTS[pair.task]]
    if pair.task == "text-classification":
        given.append({"premise": "mary lives in paris", "hypothesis": "john"})
    return given


def _masked(one: dict[str, Any], built: Built) -> dict[str, Any]:
    mask = getattr(built.tokenizer, "mask_token", None) or "<mask>"
    return {
        key: value.replace("{mask}", mask) if isinstance(value, str) else value
        for key, value in one.items()
    }


def _own_error(pair: Pair, built: Built, one: dict[str, Any]) -> Exception | None:
    try:
        own_call(built, pair.task, one)
    except Exception as error:
        return error
    return None


def _check_built(pair: Pair, built: Built, inputs: list[dict[str, Any]], result: Result) -> None:
    # Models may change themselves in a call; Hugging Face's numbers come from one of their own.
    users = copy.deepcopy(built.model)
    before = _weights_and_config(users)
    try:
        predictor = TransformersPredictor.from_pretrained(users, built.tokenizer, task=pair.task)
    except Exception as error:
        _note_error(result, "from_pretrained", error)
        return
    target = "span" if pair.task == "question-answering" else "logit"
    for one in inputs:
        try:
            prediction = predictor.predict_json(one)
        except Exception as error:
            _note_error(result, "prediction", error)
            continue
        try:
            own = expected(built, pair.task, one, prediction)
        except UnclearReferenceError as error:
            result.note("not compared", "reference", str(error))
            own = None
        except Exception as error:
            result.note(
                "wrong", "prediction", f"it does not have the reference's form: {_named(error)}"
            )
            own = None
        if own is not None:
            _check_prediction(own, result)
        explanations = _explained(predictor, "input-x-gradient", one, result, target=target)
        if own is not None and explanations is not None:
            _check_gradients(built, own, explanations, result)
    _check_batch(predictor, inputs[:2], target, result)
    for method, settings in COMPLETE.items():
        _check_complete(predictor, method, settings, inputs[0], result)
    if _weights_and_config(users) != before:
        result.note("wrong", "the user's model", "it was changed")


def _explained(
    predictor: Any, method: str, one: dict[str, Any], result: Result, **more: Any
) -> list[Explanation] | None:
    try:
        return SaliencyInterpreter.by_name(method)(predictor, **more).interpret_json(one)
    except Exception as error:
        _note_error(result, method, error)
        return None


def _check_prediction(own: Expected, result: Result) -> None:
    for name, right, predicted in own.numbers:
        if right.shape != predicted.shape:
            sentence = f"{name}: shape {tuple(predicted.shape)} and not {tuple(right.shape)}"
            result.note("wrong", "prediction", sentence)
            continue
        _compare(result, "prediction", name, right, predicted)
    for name, right, predicted in own.same:
        if right != predicted:
            result.note("wrong", "prediction", f"{name}: {predicted} and not {right}")


def _check_gradients(
    built: Built, own: Expected, explanations: Sequence[Explanation], result: Result
) -> None:
    if len(explanations) != len(own.calls):
        sentence = f"{len(explanations)} explanations and not {len(own.calls)}"
        result.note("wrong", "input x gradient", sentence)
        return
    for call, explanation in zip(own.calls, explanations, strict=True):
        try:
            right = input_x_gradient(built.model, call.forward)
        except Exception as error:
            result.note("not compared", "gradient by hand", _named(error))
            continue
        value = torch.tensor([right.value])
        explained = torch.tensor([explanation.target["value"]])
        _compare(result, "explained number", "value", value, explained, least=0.1)
        if right.parts is None:
            sentence = "the embedding layers' calls are no text's ids"
            result.note("not compared", "gradient by hand", sentence)
            continue
        scores = {one.field: one.attributions for one in explanation.inputs}
        largest = max(abs(score) for part in right.parts.values() for score in part)
        largest = max(largest, 0.1 * right.size)
        for part, fields in call.fields.items():
            predicted = [score for name in fields for score in scores[name]]
            if len(predicted) != len(right.parts[part]):
                sentence = f"{len(predicted)} tokens and not {len(right.parts[part])}"
                result.note("wrong", "input x gradient", sentence)
                continue
            one, other = torch.tensor(right.parts[part]), torch.tensor(predicted)
            _compare(result, "input x gradient", f"scores of {part}", one, other, largest)


def _check_batch(predictor: Any, inputs: list[dict[str, Any]], target: str, result: Result) -> None:
    interpreter = SaliencyInterpreter.by_name("input-x-gradient")(predictor, target=target)
    try:
        alone = [predictor.predict_json(one) for one in inputs]
        explained = [interpreter.interpret_json(one) for one in inputs]
    except Exception:
        # It has been noted.
        return
    try:
        together = predictor.predict_batch_json(inputs)
        both = interpreter.interpret_batch_json(inputs)
    except Exception as error:
        _note_error(result, "in a batch", error)
        return
    for one, other in zip(alone, together, strict=True):
        for key, value in one.items():
            _check_alike(result, key, value, other.get(key))
    status = "differs in a batch"
    for left, right in zip(explained, both, strict=True):
        if len(left) != len(right):
            result.note(status, "explanations", f"{len(right)} and not {len(left)}")
            continue
        for one, other in zip(left, right, strict=True):
            first, second = (
                torch.tensor([s for part in each.inputs for s in part.attributions])
                for each in (one, other)
            )
            _compare(result, "batch", "scores", first, second, least=1e-2, status=status)


def _check_alike(result: Result, key: str, one: Any, other: Any) -> None:
    try:
        first, second = torch.tensor(one).float(), torch.tensor(other).float()
    except (TypeError, ValueError, RuntimeError):
        if isinstance(one, (str, list)) and one != other and "words" not in key:
            result.note("differs in a batch", "prediction", f"{key}: {other} and not {one}")
        return
    if first.shape != second.shape:
        # Padding to the longer text: the positions that are there alone are compared.
        least = tuple(slice(min(a, b)) for a, b in zip(first.shape, second.shape, strict=False))
        first, second = first[least], second[least]
    there = (first > -1e30) & (second > -1e30)
    status = "differs in a batch"
    _compare(result, "batch", key, first[there], second[there], least=0.1, status=status)


def _check_complete(
    predictor: Any, method: str, settings: Any, one: dict[str, Any], result: Result
) -> None:
    try:
        explanations = SaliencyInterpreter.by_name(method)(predictor, **settings).interpret_json(
            one
        )
    except InterpretationError as error:
        result.methods[method] = f"refused: {' '.join(str(error).split())}"
        return
    except Exception as error:
        _note_error(result, method, error)
        return
    result.methods[method] = "complete"
    for explanation in explanations:
        delta = explanation.convergence_delta
        if delta is None:
            result.methods[method] = "promises nothing"
            continue
        scores = [abs(score) for part in explanation.inputs for score in part.attributions]
        change = abs(explanation.target["value"] - explanation.target.get("baseline_value", 0.0))
        # Scores that cancel are rounded by their own size.
        lacks = abs(delta) / max(change, 1e-2 * sum(scores), 1e-3)
        if not math.isfinite(lacks):
            result.note("incomplete", method, "its delta is not finite")
            continue
        tolerance = 1.1e-2 if method == "integrated-gradients" else LACKING
        if lacks <= tolerance:
            result.number(method, lacks)
            continue
        if _says_so(explanation):
            result.methods[method] = "incomplete, with a warning"
        else:
            result.number(method, lacks)
            result.methods[method] = "incomplete"
            sentence = f"lacks {lacks:.1%} of what there is to account for, without a warning"
            result.note("incomplete", method, sentence)


def _says_so(explanation: Explanation) -> bool:
    """Whether an explanation warns that its scores do not add up; other warnings do not count."""
    words = ("lack", "add up", "absorb", "complete", "the target jumps")
    return any(word in warning for warning in explanation.warnings for word in words)


def _compare(
    result: Result,
    check: str,
    name: str,
    right: Tensor,
    found: Tensor,
    scale: float = 0.0,
    least: float = 1e-3,
    status: str = "wrong",
) -> None:
    """Notes a difference that is more than rounding."""
    if right.shape != found.shape:
        result.note(status, check, f"{name}: shape {tuple(found.shape)}, not {tuple(right.shape)}")
        return
    if not right.numel():
        return
    right, found = right.detach().double(), found.detach().double()
    apart = (right - found)[right != found].abs()
    error = float(apart.max()) if apart.numel() else 0.0
    error /= max(scale, float(right[right.isfinite()].abs().max()), least)
    result.number(check, error)
    if not error <= ROUNDING:
        sentence = f"{name} {_short(found)} and not {_short(right)}"
        result.note(status, check, sentence)


def _short(values: Tensor) -> str:
    flat = values.flatten().tolist()
    shown = ", ".join(f"{value:.4g}" for value in flat[:3])
    return f"[{shown}{', …' if len(flat) > 3 else ''}]"


def _note_error(result: Result, check: str, error: Exception) -> None:
    """An error that names the way out is a refusal, any other a crash."""
    if isinstance(error, InterpretationError):
        result.note("refused", check, str(error))
        return
    own = [
        one for one in traceback.extract_tb(error.__traceback__) if "allennlp_saliency" in one[0]
    ]
    place = f" ({own[-1].filename.rpartition('/')[2]}:{own[-1].lineno})" if own else ""
    result.note("crash", check, f"{_named(error)}{place}")


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _weights_and_config(model: Any) -> tuple[Any, ...]:
    """What must not change: the config, the mode, and every tensor."""
    tensors = [
        (name, tuple(one.shape), float(one.double().nan_to_num().sum()))
        for name, one in model.state_dict().items()
        if not one.is_complex()
    ]
    return model.config.to_json_string(), model.training, _modes(model), tensors


def _modes(model: Any) -> list[str]:
    """The kind of attention that a model has: some switch it for short texts."""
    return [
        str(module.attention_type)
        for module in model.modules()
        if isinstance(getattr(module, "attention_type", None), str)
    ]
