"""A parameter that makes all scores zero, or not finite, is named as the cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import Explanation, InterpretationError, SaliencyInterpreter
from allennlp_saliency.interpret.coalitions.game import SetGame, play
from allennlp_saliency.interpret.methods.perturbation.context_cite import context_cite
from tests.zoo import Zoo

_LOGIT = {"target": "logit"}


def explained(zoo: Zoo, name: str, family: str = "bert", **settings: Any) -> Explanation:
    interpreter = SaliencyInterpreter.from_params(
        Params({"type": name, **settings}), predictor=zoo.predictor(family)
    )
    ((found,),) = interpreter.interpret_batch_json(zoo.inputs(family)[:1])
    return found


class TestZeros:
    @pytest.mark.parametrize(
        ("name", "settings", "cause"),
        [
            ("value-zeroing", {"threshold": 2}, "reaches the threshold of 2; lower it"),
            ("context-cite", {"penalty": 1e300}, "less than the penalty of 1e+300 lets through"),
            ("var-gradients", {"num_samples": 1}, "a single sample has no variance"),
            ("var-gradients", {"stdev": 1e-300}, "raise stdev (now 1e-300)"),
            (
                "noise-tunnel",
                {"statistic": "vargrad", "num_samples": 1},
                "a single sample has no variance",
            ),
            (
                "noise-tunnel",
                {"statistic": "vargrad", "stdev": 0},
                "raise stdev (now 0)",
            ),
            ("minimal-sufficient-set", {"share": 1e-300}, "with share=1e-300 nothing"),
            ("lrp", {"epsilon": 1e39}, "nothing reaches it through the rules"),
        ],
    )
    def test_name_their_cause(
        self, zoo: Zoo, name: str, settings: dict[str, Any], cause: str
    ) -> None:
        found = explained(zoo, name, **settings, **_LOGIT)
        (warning,) = [one for one in found.warnings if one.startswith("all attributions of field")]
        assert cause in warning
        assert "does not depend on it" not in warning

    def test_of_several_removals_keep_it(self, zoo: Zoo) -> None:
        removal = [{"type": "mean"}, "zero"]
        found = explained(zoo, "context-cite", penalty=1e300, removal=removal, **_LOGIT)
        (warning,) = [one for one in found.warnings if one.startswith("all attributions")]
        assert warning.count("the penalty of 1e+300") == 1

    @pytest.mark.parametrize(("slope", "named"), [(0.0, False), (1.0, True)])
    def test_blame_no_penalty_where_nothing_depends_on_a_unit(
        self, slope: float, named: bool
    ) -> None:
        game = SetGame(3, lambda masks: slope * masks[:, 0])
        (found,) = play(game, [context_cite(3, 16, 1e3, 4, np.random.default_rng(0))])
        assert not found.scores.any()
        assert bool(found.zero_cause) == named


class TestEpsilon:
    def test_that_absorbs_the_value_is_named(self, zoo: Zoo) -> None:
        found = explained(zoo, "lrp", epsilon=1e3, **_LOGIT)
        (warning,) = [one for one in found.warnings if one.endswith("lower epsilon")]
        assert f"epsilon absorbed {found.details['absorbed']['epsilon']:.3g}" in warning

    def test_of_a_usual_size_is_not(self, zoo: Zoo) -> None:
        found = explained(zoo, "lrp", **_LOGIT)
        assert not [one for one in found.warnings if "lower epsilon" in one]


class TestNotFinite:
    @pytest.mark.parametrize(
        "name", ["smooth-gradients", "square-gradients", "var-gradients", "noise-tunnel"]
    )
    def test_noise_is_named(self, zoo: Zoo, name: str) -> None:
        with pytest.raises(InterpretationError, match=r"with stdev=1e\+38 .*; lower stdev"):
            explained(zoo, name, stdev=1e38)

    def test_noise_is_named_and_no_baseline(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match=r"with stdev=1e\+38"):
            explained(zoo, "gradient-shap", stdev=1e38)

    @pytest.mark.parametrize("temperature", [1e39, 1e-300])
    def test_temperature_is_named(self, zoo: Zoo, temperature: float) -> None:
        with pytest.raises(InterpretationError, match="name another temperature"):
            explained(zoo, "gim", temperature=temperature)


def test_changes_of_cosines_are_at_most_2(zoo: Zoo) -> None:
    with pytest.raises(ConfigurationError, match="threshold is a finite number from 0 to 2"):
        explained(zoo, "value-zeroing", threshold=1e300)
