"""Rules that a user chooses or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    DeepLift,
    GradientInteractionModifications,
    InterpretationError,
    LayerDeepLift,
    LayerwiseRelevancePropagation,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.rules import (
    DEEPLIFT_RULES,
    LRP_RULES,
    Call,
    LrpPass,
    Reference,
    RuleMap,
    attach,
)
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors

Lrp = LayerwiseRelevancePropagation
WORDS = ("up", "down")
VECTORS = spread_vectors(WORDS, 2)
GIVEN = {"sentence": "up down"}
GAMMA = 0.25
YES = {"type": "logit", "label": "yes"}


def gamma(call: Call, passed: LrpPass) -> Tensor:
    """R_i = Σ_j x_i w′_ij R_j / Σ_k x_k w′_kj with w′ = w + γ w⁺."""
    x, weight = call.args[:2]
    y = call.plain().detach()
    z = x @ (weight + GAMMA * weight.clamp(min=0)).T
    return attach(y, z * (y / z.detach()))


class Network(nn.Module):
    """Σ over words of tanh(W e + b), then a head without a bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Linear(2, 3), nn.Linear(3, 2, bias=False)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.layer(x)).sum(1))


NETWORK = Network()


def by_hand() -> tuple[Any, Any, Any, Any]:
    """W, b, the head's row for "yes", and the words' vectors."""
    layer, head = NETWORK.layer, NETWORK.head
    vectors = np.array([VECTORS[word] for word in WORDS])
    return layer.weight.numpy(), layer.bias.numpy(), head.weight.numpy()[1], vectors


def scores(made: SaliencyInterpreter, given: Any = None) -> list[float]:
    (explanation,) = made.interpret_json(given or GIVEN)
    return explanation.inputs[0].attributions


class TestOnesOwn:
    def test_gamma_rule(self) -> None:
        """Montavon et al. 2019, with numbers of numpy's."""
        made = Lrp(predictor_of(NETWORK, VECTORS), target=YES, rules={"linear": gamma})
        w, b, v, x = by_hand()
        z = x @ w.T + b
        h = np.tanh(z)
        changed_w, changed_v = (one + GAMMA * np.maximum(one, 0) for one in (w, v))
        # The head was given the sum of both words' h, so R of h is shared as in h.
        total = h.sum(0)
        r_h = h * changed_v * (total @ v) / (total @ changed_v)
        expected = [
            sum(
                x[t, i] * changed_w[j, i] * r_h[t, j] / (x[t] @ changed_w[j])
                for i in range(2)
                for j in range(3)
            )
            for t in range(2)
        ]
        assert scores(made) == pytest.approx(expected, abs=1e-5)
        assert scores(made) != pytest.approx(scores(Lrp(made.predictor, target=YES)), abs=1e-3)
        assert LRP_RULES["linear"] == "epsilon"

    def test_a_reference_of_deeplift(self) -> None:
        def half(call: Call, reference: Reference) -> Tensor:
            (x,), (x_0,) = call.operands, reference.operands
            y = call.plain().detach()
            m = 0.5 * (y - reference.output) / (x - x_0).detach()
            return attach(y, m * x)

        predictor = predictor_of(NETWORK, VECTORS)
        found = scores(DeepLift(predictor, target=YES, rules={"tanh": half}))
        whole = scores(DeepLift(predictor, target=YES))
        assert found == pytest.approx([one / 2 for one in whole], abs=1e-6)

    def test_what_a_rule_notes_is_absorbed(self) -> None:
        def nothing(call: Call, passed: LrpPass) -> Tensor:
            (x,) = call.operands
            y = call.plain().detach()
            (x,), result = passed.difference([x], y, "closed")
            return result(attach(y, 0 * x))

        made = Lrp(predictor_of(NETWORK, VECTORS), target=YES, rules={"tanh": nothing})
        (explanation,) = made.interpret_json(GIVEN)
        assert explanation.inputs[0].attributions == [0, 0]
        assert explanation.details["absorbed"]["closed"] == pytest.approx(
            explanation.target["value"], abs=1e-5
        )
        assert explanation.convergence_delta == pytest.approx(0, abs=1e-5)


class TestByName:
    def test_attention_weights_that_are_constants(self) -> None:
        """Ali et al. 2022: Σ over queries and keys of A v, by key."""

        def function(x: Tensor) -> Tensor:
            weights = (x @ x.transpose(1, 2)).softmax(-1)
            return (weights @ x).sum(1)

        made = Lrp(predictor_of(function, VECTORS), target=YES, rules={"softmax": "constant"})
        x = np.array([VECTORS[word] for word in WORDS])
        exp = np.exp(x @ x.T)
        weights = exp / exp.sum(1, keepdims=True)
        expected = weights.sum(0) * x[:, 1]
        assert scores(made) == pytest.approx(expected.tolist(), abs=1e-5)

    def test_the_default_by_name_changes_nothing(self, zoo: Zoo) -> None:
        predictor, given = zoo.predictor("bert"), zoo.inputs("bert")[0]
        for method, rules in ((Lrp, LRP_RULES), (DeepLift, DEEPLIFT_RULES)):
            named = method(predictor, rules=dict(rules))
            assert scores(named, given) == scores(method(predictor), given)

    def test_gradients_of_deeplift(self) -> None:
        """With the derivative for tanh, DeepLIFT at a zero baseline is input times gradient."""
        predictor = predictor_of(NETWORK, VECTORS)
        made = DeepLift(predictor, target=YES, baseline="zero", rules={"tanh": "gradient"})
        w, b, v, x = by_hand()
        slopes = 1 - np.tanh(x @ w.T + b) ** 2
        assert scores(made) == pytest.approx(((slopes * v) @ w * x).sum(1).tolist(), abs=1e-5)

    def test_in_a_config(self) -> None:
        params = {
            "type": "lrp",
            "target": YES,
            "rules": {"tanh": "otherwise", "layer-norm": "taylor"},
        }
        predictor = predictor_of(NETWORK, VECTORS)
        made = SaliencyInterpreter.from_params(Params(params), predictor=predictor)
        assert made.config()["rules"] == {"tanh": "otherwise", "layer_norm": "taylor"}
        (explanation,) = made.interpret_json(GIVEN)
        assert explanation.interpreter["rules"] == made.config()["rules"]
        assert "tanh" in explanation.details["absorbed"]

    def test_a_config_without_rules_has_none(self) -> None:
        assert "rules" not in DeepLift(predictor_of(NETWORK, VECTORS)).config()

    def test_functions_in_a_config(self) -> None:
        made = Lrp(predictor_of(NETWORK, VECTORS), rules={"linear": gamma})
        assert made.config()["rules"] == {"linear": "gamma"}

    def test_at_a_layer(self, zoo: Zoo) -> None:
        predictor, given = zoo.predictor("bert"), zoo.inputs("bert")[0]
        made = [LayerDeepLift(predictor, rules=one) for one in (None, {"gelu": "gradient"})]
        found = [scores(one, given) for one in made]
        assert found[0] != pytest.approx(found[1], rel=1e-6)


@pytest.fixture
def registered() -> Iterator[RuleMap]:
    """LRP's rules; what a test registers is gone after it."""
    known = dict(LRP_RULES._functions)
    yield LRP_RULES
    LRP_RULES._functions.clear()
    LRP_RULES._functions.update(known)


class TestRegistered:
    def test_a_name_of_ones_own(self, registered: RuleMap) -> None:
        registered.register("gamma")(gamma)
        predictor = predictor_of(NETWORK, VECTORS)
        by_name, by_function = (Lrp(predictor, rules={"linear": one}) for one in ("gamma", gamma))
        assert scores(by_name) == scores(by_function)

    def test_a_name_that_is_taken(self, registered: RuleMap) -> None:
        with pytest.raises(ConfigurationError, match="has a rule 'identity' already"):
            registered.register("identity")(gamma)
        with pytest.raises(ConfigurationError, match="has a rule for 'linear' already"):
            registered.register("gamma", ["linear"])(gamma)
        assert "gamma" not in registered.names


def a_column(call: Call, passed: Any) -> Tensor:
    return call.plain()[..., :1]


def doubled(call: Call, passed: Any) -> Tensor:
    return 2 * call.plain()


def failing(call: Call, passed: Any) -> Tensor:
    return call.operands[7]


class TestErrors:
    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            ({"softmaks": "identity"}, "operation 'softmaks'; did you mean 'softmax'"),
            ({"softmax": "identify"}, "has no rule 'identify'; did you mean 'identity'"),
            ({"softmax": 3}, "has no rule 3"),
            ({"view": "identity"}, "no rule for an operation 'view'"),
            ("identity", "rules is a mapping"),
        ],
    )
    def test_unknown_ones(self, rules: Any, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            Lrp(predictor_of(NETWORK, VECTORS), rules=rules)

    def test_all_are_listed(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            DeepLift(predictor_of(NETWORK, VECTORS), rules={"zzz": "rescale"})
        assert all(name in str(raised.value) for name in DEEPLIFT_RULES.operations)

    @pytest.mark.parametrize("method", [Lrp, DeepLift])
    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            (a_column, r"'a_column' for 'linear' returns tensors of shape \[\(1, 1\)\], not"),
            (doubled, "'doubled' for 'linear' returns other values"),
            (failing, "'failing' for 'linear' fails: list index out of range"),
            (lambda call, passed: None, r"returns tensors of shape \[\], not"),
        ],
    )
    def test_wrong_results(
        self, method: type[SaliencyInterpreter], rule: Callable[..., Any], message: str
    ) -> None:
        def first(call: Call, passed: Any) -> Any:
            return rule(call, passed)

        first.__qualname__ = rule.__qualname__
        made = method(
            predictor_of(lambda x: F.linear(x.sum(1), torch.eye(2)), VECTORS),
            rules={"linear": first},
        )
        with pytest.raises(InterpretationError, match=message):
            made.interpret_json(GIVEN)

    def test_a_rule_that_does_not_fit(self) -> None:
        made = DeepLift(predictor_of(NETWORK, VECTORS), rules={"tanh": "layer-norm"})
        with pytest.raises(InterpretationError, match="the rule 'layer-norm' for 'tanh' fails"):
            made.interpret_json(GIVEN)


class TestRulesThatAreNotCalled:
    """A rule for an operation that the model has not is a slip, or there for other models."""

    @pytest.mark.parametrize("method", [Lrp, DeepLift, GradientInteractionModifications])
    def test_a_warning_names_what_is_called(self, method: Any) -> None:
        def model(x: Tensor) -> Tensor:
            return F.linear(x.sum(1), torch.eye(2)).softmax(-1)

        of_softmax = {Lrp: "taylor", DeepLift: "softmax"}.get(method, "temperature")
        rules = {"rms_norm": "rms-norm", "softmax": of_softmax}
        made = method(predictor_of(model, VECTORS), target="logit", rules=rules)
        (explanation,) = made.interpret_json(GIVEN)
        (warning,) = [one for one in explanation.warnings if one.startswith("rules: ")]
        assert warning.startswith("rules: the model calls no 'rms_norm' on what depends on the")
        assert "softmax" in warning.split("it calls ")[1].split(", ")

    @pytest.mark.parametrize("method", [Lrp, DeepLift, GradientInteractionModifications])
    def test_none_without_rules(self, method: Any) -> None:
        made = method(predictor_of(NETWORK, VECTORS))
        (explanation,) = made.interpret_json(GIVEN)
        assert not any(one.startswith("rules: ") for one in explanation.warnings)

    def test_products_and_the_rest_count_as_called(self) -> None:
        def model(x: Tensor) -> Tensor:
            first = x.sum(1)
            return torch.logcumsumexp(first * first.flip(-1), -1)

        rules = {"product": "halves", "otherwise": "otherwise", "matmul": "halves"}
        made = Lrp(predictor_of(model, VECTORS), target="logit", rules=rules)
        (explanation,) = made.interpret_json(GIVEN)
        (warning,) = [one for one in explanation.warnings if one.startswith("rules: ")]
        assert "calls no 'matmul' on" in warning
        assert "otherwise" in warning
        assert "product" in warning


@pytest.mark.parametrize("method", [Lrp, DeepLift, GradientInteractionModifications])
def test_relevance_that_is_not_finite_names_the_rules(method: Any) -> None:
    def dividing(call: Call, passed: Any) -> Tensor:
        x = call.args[0]
        y = call.plain().detach()
        return attach(y, x * torch.full_like(y, torch.inf))

    made = method(
        predictor_of(lambda x: F.linear(x.sum(1), torch.eye(2)), VECTORS),
        target="logit",
        rules={"linear": dividing},
    )
    with pytest.raises(InterpretationError, match=r"with the rules \{'linear': .*is not finite"):
        made.interpret_json(GIVEN)
