"""Wrappers, compiled modules and modules spread over devices: the copy runs its own modules."""

from __future__ import annotations

import copy
import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import (
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
)
from allennlp_saliency.interpret.model.private_copy import private_copy
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

TEXT = {"sentence": "a great film, but the plot was not very good"}
KNOWN: dict[int, Callable[..., Any]] = {}


def load(wrapper: Callable[[nn.Module], nn.Module] = copy.deepcopy) -> Predictor:
    return TransformersPredictor.from_pretrained(
        wrapper(copy.deepcopy(model("bert", "text-classification"))),
        tokenizer(KINDS["bert"].tokenizer),
    )


def blocks(made: Predictor) -> nn.ModuleList:
    layers = made._model.transformer.bert.encoder.layer
    assert isinstance(layers, nn.ModuleList)
    return layers


def scores(made: Predictor, method: Any = InputXGradient) -> list[float]:
    (explanation,) = method(made, target="logit").interpret_json(TEXT)
    return explanation.inputs[0].attributions


class Timer:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.call(*args, **options)


class Runner:
    """Runs a module, and is nothing that can be followed."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def run(self, *args: Any, **options: Any) -> Any:
        return type(self.module).forward(self.module, *args, **options)


def closure(module: nn.Module) -> None:
    own = module.forward
    module.forward = lambda *args, **options: own(*args, **options)


def decorated(module: nn.Module) -> None:
    own = module.forward

    @functools.wraps(own)
    def forward(*args: Any, **options: Any) -> Any:
        return own(*args, **options)

    module.forward = forward


def counted(module: nn.Module) -> None:
    own, calls = module.forward, 0

    def forward(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        assert calls < 2, "the user's own count, or one that lasts"
        return own(*args, **options)

    module.forward = forward


def timed(module: nn.Module) -> None:
    module.forward = Timer(module.forward)


def partial(module: nn.Module) -> None:
    def forward(own: Any, *args: Any, **options: Any) -> Any:
        return own(*args, **options)

    module.forward = functools.partial(forward, module.forward)


def bound(module: nn.Module) -> None:
    own = module.forward
    module.forward = types.MethodType(lambda self, *args, **options: own(*args, **options), module)


def kept_aside(module: nn.Module) -> None:
    module._own_forward = module.forward
    module.forward = types.MethodType(
        lambda self, *args, **options: self._own_forward(*args, **options), module
    )


def weakly(module: nn.Module) -> None:
    reference, kind = weakref.ref(module), type(module)
    module.forward = lambda *args, **options: kind.forward(reference(), *args, **options)


def by_global(module: nn.Module) -> None:
    key = id(module)
    KNOWN[key] = module.forward
    module.forward = lambda *args, **options: KNOWN[key](*args, **options)


def hooked(module: nn.Module) -> None:
    # The user's module is in training mode, the copy is not.
    module.register_forward_hook(
        lambda _, args, output: torch.zeros_like(output) if module.training else output
    )


def compiled(module: nn.Module) -> None:
    module.compile(backend="eager")


def compiled_forward(module: nn.Module) -> None:
    module.forward = torch.compile(module.forward, backend="eager")


FOLLOWED = [closure, decorated, timed, partial, bound, kept_aside, weakly, by_global, hooked]


@pytest.mark.parametrize("wrap", [*FOLLOWED, counted, compiled, compiled_forward])
def test_a_wrapper_is_made_again(wrap: Callable[[nn.Module], None]) -> None:
    expected = scores(load())
    made = load()
    # With dropout, that the user's modules run would show.
    made._model.train()
    for block in blocks(made):
        wrap(block)
    before = {name: id(module) for name, module in made._model.named_modules()}
    assert scores(made) == pytest.approx(expected, abs=1e-6)
    assert made._model.training
    assert {name: id(module) for name, module in made._model.named_modules()} == before
    for block in blocks(made):
        assert getattr(block.forward, "calls", 0) == 0


@pytest.mark.parametrize("method", [IntegratedGradients, LayerwiseRelevancePropagation])
def test_methods_behind_a_wrapper(method: Any) -> None:
    expected = scores(load(), method)
    made = load()
    for block in blocks(made):
        closure(block)
    assert scores(made, method) == pytest.approx(expected, abs=1e-6)


def by_object(module: nn.Module) -> None:
    runner = Runner(module)
    module.runner = runner
    module.forward = types.MethodType(
        lambda self, *args, **options: self.runner.run(*args, **options), module
    )


def by_weak_method(module: nn.Module) -> None:
    reference = weakref.WeakMethod(module.forward)
    module.forward = lambda *args, **options: reference()(*args, **options)


def by_class(module: nn.Module) -> None:
    own = module.forward
    methods = {"forward": lambda self, *args, **options: own(*args, **options)}
    module.__class__ = type("Patched", (type(module),), methods)


@pytest.mark.parametrize("wrap", [by_object, by_weak_method, by_class])
def test_what_cannot_be_followed_is_refused(wrap: Callable[[nn.Module], None]) -> None:
    made = load()
    wrap(blocks(made)[0])
    with pytest.raises(InterpretationError, match=r"layer\.0\.attention\.self\.query\.weight"):
        scores(made)


def test_a_wrapper_of_the_models_own_forward() -> None:
    made = Predictor.from_path("fixtures/sentiment/model.tar.gz")
    expected = scores(made)
    closure(made._model)
    assert scores(made) == pytest.approx(expected, abs=1e-6)
    assert made._model._accuracy.total_count == 0


def test_a_wrapper_that_holds_itself() -> None:
    module = nn.Linear(2, 2)
    own = module.forward

    def forward(x: torch.Tensor, again: bool = True) -> torch.Tensor:
        return forward(x, again=False) if again else own(x)

    module.forward = forward
    copied = private_copy(module).model
    inner = copied.forward.__closure__
    assert inner is not None
    assert {cell.cell_contents for cell in inner} >= {copied.forward}
    assert all(getattr(cell.cell_contents, "__self__", copied) is copied for cell in inner)
    assert torch.equal(copied(torch.ones(2)), module(torch.ones(2)))


def test_functions_that_lead_to_no_module_are_shared() -> None:
    module = nn.Linear(2, 2)
    module.act = torch.nn.functional.relu
    module.seen = seen = []
    module.register_forward_hook(lambda *_: seen.append(1))
    copied = private_copy(module)
    copied.model(torch.ones(2))
    assert copied.model.act is module.act
    assert seen == [1]
    assert not copied.unknown


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "wrapper", [nn.DataParallel, lambda module: torch.compile(module, backend="eager")]
)
def test_a_compiled_or_spread_module(wrapper: Any, whole: bool) -> None:
    made = Predictor.from_path("fixtures/sentiment/model.tar.gz")
    expected = scores(made)
    if whole:
        made._model = wrapper(made._model)
    else:
        made._model._text_field_embedder = wrapper(made._model._text_field_embedder)
    wrapped = made._model if whole else made._model._text_field_embedder
    assert scores(made) == pytest.approx(expected, abs=1e-6)
    # Other lengths, which a compiled module would be compiled for again.
    for sentence in ("bad film", "the cast was not good at all, and so on and so on."):
        assert InputXGradient(made).interpret_json({"sentence": sentence})
    twin = Twin(made)
    assert not any(type(module) is type(wrapped) for module in twin.model.modules())
    assert type(twin.counterpart(wrapped)) is not type(wrapped)


@pytest.mark.parametrize(
    "wrapper", [nn.DataParallel, lambda module: torch.compile(module, backend="eager")]
)
def test_a_compiled_or_spread_transformer(wrapper: Any) -> None:
    assert scores(load(wrapper)) == pytest.approx(scores(load()), abs=1e-6)


def test_a_scripted_module_runs() -> None:
    made = Predictor.from_path("fixtures/sentiment/model.tar.gz")
    expected = scores(made)
    made._model._classification_layer = torch.jit.script(made._model._classification_layer)
    assert scores(made) == pytest.approx(expected, abs=1e-6)


def test_frozen_weights_are_shared_but_no_objects() -> None:
    module = nn.Linear(2, 2).requires_grad_(False)
    copied = private_copy(module).model
    assert copied.weight is not module.weight
    assert copied.weight.data_ptr() == module.weight.data_ptr()


def test_tied_weights_stay_tied() -> None:
    module = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    module[1].weight = module[0].weight
    copied = private_copy(module).model
    assert copied[0].weight is copied[1].weight


def test_accelerates_hooks_are_copied_and_share_what_they_load_from() -> None:
    hooks = pytest.importorskip("accelerate.hooks")
    first, tied = nn.Linear(2, 2), nn.Linear(2, 2)
    tied.weight = first.weight
    kept = {"weight": torch.zeros(2, 2)}
    shared = {first.weight.data_ptr(): {"cpu": first.weight}}
    hook = hooks.AlignDevicesHook(weights_map=kept, tied_params_map=shared)
    # As accelerate puts it onto a module whose weights are kept elsewhere.
    tied._hf_hook = hooks.SequentialHook(hook, hooks.ModelHook())
    model = nn.Sequential(first, tied)
    made: Any = private_copy(model).model
    copied = made[1]._hf_hook.hooks[0]
    assert copied is not hook
    assert copied.weights_map is kept
    assert copied.tied_params_map.keys() == shared.keys()
    assert copied.tied_params_map[first.weight.data_ptr()]["cpu"] is made[0].weight
    assert made[0].weight is made[1].weight
    assert made[0].weight is not first.weight
    # What one pass puts into its map stays there.
    copied.tied_params_map.clear()
    assert shared[first.weight.data_ptr()]["cpu"] is first.weight


def test_weights_that_were_made_in_inference_mode() -> None:
    right = scores(load())
    with torch.inference_mode():
        made = load()
        assert scores(made) == pytest.approx(right, abs=1e-7)
    assert all(one.is_inference() for one in made._model.parameters())
    assert scores(made) == pytest.approx(right, abs=1e-7)
    (complete,) = LayerwiseRelevancePropagation(made, target="logit").interpret_json(TEXT)
    assert complete.convergence_delta == pytest.approx(0, abs=1e-4)
