"""Half precision, and models that are spread over devices."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from allennlp_saliency.interpret.inputs.collation import collate
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, inputs, model, predictor, tokenizer

ONE_OF_EACH = {
    "text-classification": "bert",
    "token-classification": "bert",
    "question-answering": "roberta",
    "multiple-choice": "bert",
    "masked-lm": "bert",
    "causal-lm": "gpt2",
    "seq2seq": "bart",
}
METHODS = ("gradient", "input-x-gradient", "integrated-gradients", "attention")

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def explain(made: Any, given: Any, method: str = "input-x-gradient") -> Any:
    more = {"steps": 8} if method == "integrated-gradients" else {}
    interpreter: Any = SaliencyInterpreter.by_name(method)(made, **more)
    return interpreter.interpret_json(given)


def scores(explanations: Any) -> list[float]:
    return [score for e in explanations for one in e.inputs for score in one.attributions]


def forced(task: str, name: str) -> dict[str, Any]:
    """An input whose labels do not depend on rounding."""
    given = inputs(name, task)[1 if task in ("causal-lm", "seq2seq") else 0]
    assert "max_new_tokens" not in given
    return given


def explaining_the_same(made: Any, plain: Any) -> Any:
    """A predictor that explains what another one predicts: in half precision the best label may
    be another."""
    made.predictions_to_labeled_instances = lambda instance, outputs: (
        plain.predictions_to_labeled_instances(instance, plain._model.forward_on_instance(instance))
    )
    return made


def check_close(made: Any, name: str, task: str, share: float) -> None:
    """Scores of another precision are those of single precision, up to a share of the largest."""
    made = explaining_the_same(made, predictor(name, task))
    for method in METHODS:
        expected = scores(explain(predictor(name, task), forced(task, name), method))
        got = scores(explain(made, forced(task, name), method))
        assert len(got) == len(expected)
        assert all(map(math.isfinite, got))
        largest = max(map(abs, expected))
        worst = max(abs(a - b) for a, b in zip(got, expected, strict=True))
        assert worst <= share * largest, (method, worst, largest)


@pytest.mark.parametrize(("task", "name"), ONE_OF_EACH.items())
class TestHalfPrecision:
    @pytest.mark.parametrize(("dtype", "share"), [("bfloat16", 0.15), ("float16", 0.02)])
    def test_close_to_single(self, task: str, name: str, dtype: str, share: float) -> None:
        made = TransformersPredictor.from_pretrained(
            model(name, task), tokenizer(KINDS[name].tokenizer), dtype=dtype
        )
        assert made._model.transformer.dtype == getattr(torch, dtype)
        check_close(made, name, task, share)

    def test_outputs_are_single(self, task: str, name: str) -> None:
        made = TransformersPredictor.from_pretrained(
            model(name, task), tokenizer(KINDS[name].tokenizer), dtype="bfloat16"
        )
        (instance, *_) = made.json_to_labeled_instances(forced(task, name))
        with torch.no_grad():
            outputs = made._model(**collate([instance], made._model.vocab, torch.device("cpu")))
        found = [outputs[key] for key in ("logits", "span_start_logits", "loss") if key in outputs]
        assert len(found) == 2
        assert {tensor.dtype for tensor in found} == {torch.float32}


@pytest.mark.parametrize("task", ["text-classification", "question-answering", "causal-lm"])
def test_refining_stops_at_the_precision(task: str) -> None:
    name = ONE_OF_EACH[task]
    made = TransformersPredictor.from_pretrained(
        model(name, task), tokenizer(KINDS[name].tokenizer), dtype="bfloat16"
    )
    plain, half = (
        SaliencyInterpreter.by_name("integrated-gradients")(one).interpret_json(forced(task, name))  # type: ignore[attr-defined]
        for one in (predictor(name, task), made)
    )
    largest = max(map(abs, scores(plain)))
    assert scores(half) == pytest.approx(scores(plain), abs=0.1 * largest)
    for explanation in half:
        assert explanation.details["converged"]
        assert explanation.details["steps"] < 50


class TestHooks:
    """What accelerate does to a model that is spread over devices."""

    @pytest.mark.parametrize(("task", "name"), ONE_OF_EACH.items())
    def test_same_scores(self, task: str, name: str) -> None:
        accelerate = pytest.importorskip("accelerate")
        own = accelerate.dispatch_model(model(name, task), device_map={"": "cpu"}, force_hooks=True)
        assert sum(hasattr(module, "_hf_hook") for module in own.modules()) > 10
        made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS[name].tokenizer))
        for given in inputs(name, task):
            for method in METHODS:
                expected = explain(predictor(name, task), given, method)
                assert scores(explain(made, given, method)) == pytest.approx(
                    scores(expected), abs=1e-6
                )

    def test_the_twins_modules_run(self) -> None:
        accelerate = pytest.importorskip("accelerate")
        own = accelerate.dispatch_model(
            model("bert", "text-classification"), device_map={"": "cpu"}, force_hooks=True
        )
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        twin = Twin(made)
        hooked = [module for module in twin.model.modules() if "forward" in vars(module)]
        assert len(hooked) > 10
        # accelerate puts its function in the place of a module's own and gives it the module; in
        # the twin it is watched.
        wrapped = [vars(module)["forward"].__wrapped__ for module in hooked]
        assert all(one.args[0] is module for one, module in zip(wrapped, hooked, strict=True))
        assert not {id(module) for module in hooked} & {id(module) for module in own.modules()}

    @pytest.mark.parametrize("where", ["cpu", "disk"])
    @pytest.mark.parametrize(
        ("name", "task"), [("bert", "text-classification"), ("gpt2", "causal-lm")]
    )
    def test_offloaded(self, name: str, task: str, where: str, tmp_path: Path) -> None:
        accelerate = pytest.importorskip("accelerate")
        own = model(name, task)
        if where == "cpu":
            own = accelerate.cpu_offload(own, execution_device="cpu")
        else:
            own = accelerate.disk_offload(own, tmp_path, execution_device="cpu")
        assert all(parameter.device.type == "meta" for parameter in own.parameters())
        made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS[name].tokenizer))
        for given in inputs(name, task):
            assert (
                made.predict_json(given).keys() == predictor(name, task).predict_json(given).keys()
            )
            for method in METHODS:
                expected = explain(predictor(name, task), given, method)
                assert scores(explain(made, given, method)) == pytest.approx(
                    scores(expected), abs=1e-6
                )
        assert all(parameter.device.type == "meta" for parameter in own.parameters())

    def test_no_weights(self) -> None:
        from transformers import BertForSequenceClassification

        config = model("bert", "text-classification").config
        with torch.device("meta"):
            own = BertForSequenceClassification(config)
        with pytest.raises(
            InterpretationError, match="BertForSequenceClassification has no weights"
        ):
            TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize(("task", "name"), ONE_OF_EACH.items())
class TestOnAGPU:
    @pytest.mark.parametrize(
        ("dtype", "share"), [("float32", 2e-3), ("bfloat16", 0.15), ("float16", 0.02)]
    )
    def test_precisions(self, task: str, name: str, dtype: str, share: float) -> None:
        made = TransformersPredictor.from_pretrained(
            model(name, task), tokenizer(KINDS[name].tokenizer), device="cuda", dtype=dtype
        )
        assert Twin(made).device.type == "cuda"
        check_close(made, name, task, share)

    def test_split(self, task: str, name: str, tmp_path: Path) -> None:
        pytest.importorskip("accelerate")
        own = model(name, task)
        own.save_pretrained(tmp_path)
        parts = _leaves(own)
        half = len(parts) // 2
        # What is on the CPU is run on the GPU, layer by layer.
        devices = {part: 0 if n < half else "cpu" for n, part in enumerate(parts)}
        made = TransformersPredictor.from_pretrained(
            str(tmp_path),
            tokenizer(KINDS[name].tokenizer),
            task=task,
            device_map=devices,
        )
        check_close(made, name, task, 2e-3)


def _leaves(own: Any) -> list[str]:
    """The parts of a model that a device map may put on devices of their own."""
    inner = own.base_model_prefix
    parts: list[str] = []
    for name, module in own.named_children():
        if name != inner:
            parts.append(name)
            continue
        parts += [f"{name}.{part}" for part, _ in module.named_children()]
    buffers = [name for name, _ in own.named_buffers() if "." not in name]
    return parts + buffers
