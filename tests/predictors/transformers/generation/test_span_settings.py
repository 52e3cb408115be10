"""How spans of generated tokens are asked for, and what is refused."""

from __future__ import annotations

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import Gradient, InputXGradient, InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from tests.predictors.transformers.generation.test_spans import GIVEN, GPT2, in_windows, of, scores
from tests.zoo.architectures.build import build
from tests.zoo.architectures.tables import chosen
from tests.zoo.task_models import KINDS, model, tokenizer


class TestSentences:
    def test_of_a_text_that_is_given(self) -> None:
        made, json = of("gpt2", "sentence", continuation=" but. the plot was. not very good")
        explanations = InputXGradient(made).interpret_json(json)
        labels = [one.target["label"] for one in explanations]
        assert labels == ["but.", "the plot was.", "not very good"]
        spans = [one.target["positions"] for one in explanations]
        count = len(made.predict_json(json)["token_ids"])
        assert [number for span in spans for number in span] == list(range(count))
        assert len(scores(explanations[1])["generated"]) == len(spans[0])

    def test_the_end_of_a_text_goes_with_what_is_before_it(self) -> None:
        made, json = of("t5", "sentence", target="the plot. a film</s>")
        labels = [one.target["label"] for one in InputXGradient(made).interpret_json(json)]
        assert labels == ["the plot.", "a film</s>"]


class TestSettings:
    @pytest.mark.parametrize("name", GIVEN)
    def test_of_the_predictor(self, name: str) -> None:
        task, json = GIVEN[name]
        made = TransformersPredictor.from_pretrained(
            model(name, task), tokenizer(KINDS[name].tokenizer), task=task, explain="span"
        )
        (explanation,) = Gradient(made).interpret_json(json)
        assert len(explanation.target["positions"]) > 4
        # The input has the last word.
        assert len(Gradient(made).interpret_json({**json, "explain": "token"})) > 4

    @pytest.mark.parametrize("where", ["input", "predictor_args"])
    def test_by_the_command(self, where: str) -> None:
        given = {"source": "this teacher draws near the old house"}
        asked = {"explain": "span"}
        more = {"predictor_args": asked} if where == "predictor_args" else {}
        made = Predictor.from_path(
            "fixtures/translate/model.tar.gz", "saliency", interpreter="gradient", **more
        )
        found = made.predict_json(given if more else {**given, **asked})
        assert "instance_2" not in found
        target = found["instance_1"]["explanation"]["target"]
        assert target["label"] == found["prediction"]["text"].strip()
        assert target["value"] == pytest.approx(sum(found["prediction"]["log_probs"]), abs=1e-4)

    def test_in_a_config(self) -> None:
        made, json = of("gpt2")
        name = "transformers-causal-lm"
        params = Params({"type": name, "explain": [[0, 2]], "hops": 1, "frozen": True})
        more = {"model": made._model, "dataset_reader": made._dataset_reader}
        (explanation,) = Gradient(Predictor.from_params(params, **more)).interpret_json(json)
        assert explanation.target["positions"] == [0, 1]

    def test_no_such_thing(self) -> None:
        made, json = of("gpt2")
        for wrong in ("tokens", [], [[1]], [[0, True]], 3):
            with pytest.raises(InterpretationError, match="'explain' is \"token\""):
                Gradient(made).interpret_json({**json, "explain": wrong})
        with pytest.raises(ConfigurationError, match='explain is "token"'):
            type(made)(made._model, made._dataset_reader, explain="words")
        with pytest.raises(ConfigurationError, match="models that write"):
            TransformersPredictor.from_pretrained(
                model("bert", "text-classification"),
                tokenizer("wordpiece"),
                task="text-classification",
                explain="span",
            )

    @pytest.mark.parametrize("span", [[3, 3], [-1, 2], [0, 99]])
    def test_no_such_tokens(self, span: list[int]) -> None:
        made, json = of("gpt2", [span])
        with pytest.raises(InterpretationError, match="not within the 9 generated tokens"):
            Gradient(made).interpret_json(json)


class TestWhatCannotBe:
    def test_a_model_with_tokens_of_its_own_behind_a_text(self) -> None:
        (pair,) = chosen(["xlnet:causal-lm"])
        built = build(pair)
        made = TransformersPredictor.from_pretrained(
            built.model, built.tokenizer, task="causal-lm", explain="span"
        )
        with pytest.raises(InterpretationError, match="by one that it puts there"):
            Gradient(made).interpret_json(GPT2)

    def test_a_model_that_looks_ahead(self) -> None:
        (pair,) = chosen(["prophetnet:causal-lm"])
        built = build(pair)
        made = TransformersPredictor.from_pretrained(
            built.model, built.tokenizer, task="causal-lm", explain="span"
        )
        json = {"prompt": "a great film, but", "continuation": " good film and plot"}
        with pytest.raises(InterpretationError, match="the tokens behind one that is explained"):
            Gradient(made).interpret_json(json)

    def test_a_prompt_that_is_too_long(self) -> None:
        made = TransformersPredictor.from_pretrained(
            model("gpt2", "causal-lm"),
            tokenizer(KINDS["gpt2"].tokenizer),
            task="causal-lm",
            overlong="truncate",
            max_length=8,
            explain="span",
        )
        with pytest.raises(InterpretationError, match="too long"):
            Gradient(made).interpret_json(GPT2)

    def test_a_source_in_windows(self) -> None:
        made = in_windows()
        json = {"source": "a great film, but the plot was not very good", "target": "the plot"}
        tokens = InputXGradient(made).interpret_json(json)
        (explanation,) = InputXGradient(made).interpret_json({**json, "explain": "span"})
        assert explanation.overlong is not None
        assert len(explanation.overlong["windows"]) > 1
        sums = torch.tensor([scores(one)["source"] for one in tokens]).sum(0)
        assert scores(explanation)["source"] == pytest.approx(sums.tolist(), abs=1e-5)
