"""A private copy behaves as `deepcopy`'s would, whatever the modules are made of."""

from __future__ import annotations

import copy
import random
import warnings
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.model.private_copy import private_copy

X = torch.ones(1, 2)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x)


class OfState(Linear):
    """Leaves something out of its state, and makes it again."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 2

    def __getstate__(self) -> dict[str, Any]:
        return {name: one for name, one in self.__dict__.items() if name != "rate"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.rate = 3

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x) * self.rate


class Handing(Linear):
    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["inner"], name)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x) * self.out_features


class Setting(Linear):
    """Changes what it is given: a copy must not be given it again."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 1

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value + 1 if name == "rate" else value)

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x) * self.rate


class Property(Linear):
    def __init__(self) -> None:
        super().__init__()
        self._rates = {"a": [2]}

    @property
    def rates(self) -> dict[str, list[int]]:
        return self._rates

    def forward(self, x: torch.Tensor) -> Any:
        return self.inner(x) * self.rates["a"][0]


class Copying(Linear):
    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = type(self)()
        made.load_state_dict(self.state_dict())
        made.copies = self.copies + 1
        return made


class Inheriting(Copying):
    pass


class NewArguments(Linear):
    def __new__(cls, rate: int) -> Any:
        return super().__new__(cls)

    def __init__(self, rate: int) -> None:
        super().__init__()
        self.rate = rate

    def __getnewargs__(self) -> tuple[int]:
        return (self.rate,)


class Reduced(Linear):
    def __reduce__(self) -> Any:
        return type(self), (), self.__dict__


class Writing(Linear):
    """Each pass writes into everything that it holds, and draws from its generators."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.list, self.dict, self.set = [0], {"a": [0]}, {0}
        self.deque, self.default, self.counter = deque([[0]]), defaultdict(list), Counter("a")
        self.bytes, self.array = bytearray(b"a"), array("d", [0])
        self.generator = torch.Generator().manual_seed(0)
        self.random, self.numpy = random.Random(0), np.random.default_rng(0)
        self.old = np.random.RandomState(0)
        self.register_buffer("seen", torch.zeros(1))

    def held(self) -> list[Any]:
        drawn = self.generator.get_state().tolist(), self.random.getstate()
        numpy = str(self.numpy.bit_generator.state), str(self.old.get_state())
        held = {name: one for name, one in vars(self).items() if name.islower() and name[0] != "_"}
        rest = [held[name] for name in "count list dict set deque default counter bytes".split()]
        return [copy.deepcopy(rest), list(self.array), drawn, numpy, float(self.seen)]

    def forward(self, x: torch.Tensor) -> Any:
        self.count += 1
        self.list.append(1)
        self.dict["a"].append(1)
        self.set.add(1)
        self.deque[0].append(1)
        self.default["b"].append(1)
        self.counter["b"] += 1
        self.bytes += b"b"
        self.array.append(1)
        self.random.random()
        self.numpy.random()
        self.old.rand()
        self.seen += 1
        return self.inner(x) + torch.rand(1, generator=self.generator)


class Symmetric(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.triu() + x.triu(1).T


def parametrized() -> nn.Module:
    made = nn.Linear(2, 2)
    parametrize.register_parametrization(made, "weight", Symmetric())
    return made


def initialised() -> nn.Module:
    made = nn.LazyLinear(2)
    made(X)
    return made


def of_itself() -> nn.Module:
    made = nn.Sequential(nn.Linear(2, 2))
    made.__dict__["me"] = made
    made.register_forward_hook(lambda module, args, output: output * (2 if module.me else 3))
    return made


def twice() -> nn.Module:
    inner = Linear()
    return nn.Sequential(inner, inner)


def of_one_dictionary() -> nn.Module:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second._parameters, second._buffers = first._parameters, first._buffers
    return nn.Sequential(first, second)


def with_buffers() -> nn.Module:
    made = nn.BatchNorm1d(2)
    made.register_buffer("aside", torch.eye(2).to_sparse(), persistent=False)
    made.register_buffer("nowhere", torch.ones(2, device="meta"))
    return made


def with_gradients() -> nn.Module:
    made = nn.Linear(2, 2)
    made(X).sum().backward()
    return made


def scripted() -> nn.Module:
    return nn.Sequential(torch.jit.script(nn.Linear(2, 2)), nn.Linear(2, 2))


ODD: list[Callable[[], nn.Module]] = [
    *(OfState, Handing, Setting, Property, Copying, Inheriting, Reduced, Writing),
    lambda: NewArguments(2),
    *(parametrized, initialised, of_itself, twice, of_one_dictionary, with_buffers),
    *(with_gradients, scripted),
    lambda: parametrizations.weight_norm(nn.Linear(2, 2)),
    lambda: parametrizations.spectral_norm(nn.Linear(2, 2)),
    lambda: parametrizations.orthogonal(nn.Linear(2, 2)),
    lambda: torch.nn.utils.spectral_norm(nn.Linear(2, 2)),
    lambda: nn.Sequential(nn.ParameterList([torch.ones(2)]), nn.Linear(2, 2))[1],
    lambda: nn.GRU(2, 2),
]


def described(model: nn.Module) -> list[Any]:
    """What deepcopy keeps: modules, the same ones and the same parameters at the same places."""
    known: dict[int, int] = {}

    def number(one: Any) -> int:
        return known.setdefault(id(one), len(known))

    found: list[Any] = []
    for name, module in model.named_modules(remove_duplicate=False):
        plain = (int, float, str, bool, type(None))
        own = {key: one for key, one in vars(module).items() if isinstance(one, plain)}
        tensors = module.named_parameters(recurse=False, remove_duplicate=False)
        buffers = module.named_buffers(recurse=False)
        found.append((name, type(module), number(module), own, list(vars(module))))
        found += [(key, number(one), one.shape) for key, one in (*tensors, *buffers)]
    return found


def output(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(0)
    with torch.no_grad():
        found = model(X)
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.parametrize("make", ODD)
def test_a_copy_is_as_deepcopy_has_it(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = make().eval()
    expected, before = copy.deepcopy(model), described(model)
    made = private_copy(model)
    assert not made.unknown
    assert described(made.model) == described(expected)
    assert described(model) == before
    assert not {id(one) for one in model.modules()} & {id(one) for one in made.model.modules()}
    assert torch.equal(output(made.model), output(expected))


def test_a_pass_of_the_copy_leaves_what_the_model_holds() -> None:
    model = Writing()
    before = model.held()
    made: Any = private_copy(model).model
    assert made.held() == before
    made(X)
    assert model.held() == before
    # And the other way round.
    then = made.held()
    model(X)
    assert made.held() == then
    assert model.held() == then


@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2), Writing, Property, twice])
def test_what_a_copy_gets_is_its_own(make: Callable[[], nn.Module]) -> None:
    model = make()
    names = {id(one): sorted(vars(one)) for one in model.modules()}
    copied = private_copy(model).model
    for module in copied.modules():
        module.added = 1
        module.register_buffer("another", X)
        module.register_parameter("third", nn.Parameter(X))
        module.register_forward_hook(lambda *_: None)
        module._non_persistent_buffers_set.add("another")
        module.train(not module.training)
    assert {id(one): sorted(vars(one)) for one in model.modules()} == names
    for module in model.modules():
        assert module.training
        assert "another" not in module._buffers
        assert "third" not in module._parameters
        assert not module._forward_hooks
        assert not module._non_persistent_buffers_set


def test_what_deepcopy_refuses_is_copied() -> None:
    """Tensors that carry the graph of a pass before, as the old weight_norm leaves them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        normed = torch.nn.utils.weight_norm(nn.Linear(2, 2))
    cached = nn.Linear(2, 2)
    cached.register_buffer("twice", cached.weight * 2)
    cached.kept = [cached.weight * 3]
    for model in (normed, cached):
        with pytest.raises(RuntimeError):
            copy.deepcopy(model)
        copied: Mapping[str, Any] = vars(private_copy(model).model)
        assert torch.equal(output(private_copy(model).model), output(model))
        tensors = [*copied["_buffers"].values(), *copied.get("kept", ())]
        assert not any(one.requires_grad for one in tensors)


def test_lazy_layers_without_weights_are_refused_with_the_way_out() -> None:
    with pytest.raises(InterpretationError, match="lazy layers without weights: predict once"):
        private_copy(nn.Sequential(nn.LazyLinear(2)))
