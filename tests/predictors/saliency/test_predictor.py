"""The predictor `saliency`: its lines, its errors, and what it leaves to the predictor it wraps."""

from __future__ import annotations

import json
import logging
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import Model
from allennlp.models.archival import load_archive
from allennlp.modules.token_embedders import Embedding
from allennlp.predictors import Predictor, TextClassifierPredictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor

from .conftest import CsvPredictor, Words, make, strict


class TestLines:
    def test_a_line_is_the_prediction_and_its_explanation(
        self, model: Model, reader: DatasetReader
    ) -> None:
        line = make(model, reader).predict_json({"sentence": "a good film"})
        plain = TextClassifierPredictor(model, reader).predict_json({"sentence": "a good film"})
        assert line["prediction"] == plain
        assert list(line) == ["prediction", "instance_1"]
        assert line["instance_1"]["grad_input_1"] == [1 / 9, 4 / 9, 4 / 9]
        explanation = Explanation.from_json(line["instance_1"]["explanation"])
        assert explanation.inputs[0].tokens == ["a", "good", "film"]

    def test_a_batch_goes_through_the_interpreter_once_and_in_order(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader)
        inputs: Any = [{"sentence": "a"}, {"text": "wrong key"}, 3, {"sentence": "a good film"}]
        lines = predictor.predict_batch_json(inputs)
        assert isinstance(predictor.interpreter, Words)
        assert predictor.interpreter.calls == [3]
        scores = [line.get("instance_1", {}).get("grad_input_1") for line in lines]
        assert [row and len(row) for row in scores] == [1, None, None, 3]
        assert lines[0] == predictor.predict_json({"sentence": "a"})

    def test_a_batch_that_fails_as_a_whole_is_done_one_by_one(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader, interpreter={"type": "test-words", "together": False})
        lines = predictor.predict_batch_json([{"sentence": "a"}, {"sentence": "bad film"}])
        assert [len(line["instance_1"]["grad_input_1"]) for line in lines] == [1, 2]

    def test_an_empty_batch_has_no_lines(self, model: Model, reader: DatasetReader) -> None:
        assert make(model, reader).predict_batch_json([]) == []

    def test_the_input_is_left_as_it_was(self, model: Model, reader: DatasetReader) -> None:
        given = {"sentence": "a good film"}
        make(model, reader).predict_json(given)
        assert given == {"sentence": "a good film"}

    def test_instances_of_the_dataset_reader(self, model: Model, reader: DatasetReader) -> None:
        predictor = make(model, reader)
        instances = [reader.text_to_instance("a good film"), reader.text_to_instance("bad")]
        lines = predictor.predict_batch_instance(instances)
        assert [len(line["instance_1"]["grad_input_1"]) for line in lines] == [3, 1]
        assert predictor.predict_instance(instances[0]) == lines[0]

    @pytest.mark.parametrize("name", ["simple-gradient", "integrated-gradient", "smooth-gradient"])
    def test_allennlps_own_interpreters(
        self, model: Model, reader: DatasetReader, name: str
    ) -> None:
        predictor = make(model, reader, interpreter=name)
        line = predictor.predict_json({"sentence": "a good film"})
        assert list(line["instance_1"]) == ["grad_input_1"]
        assert sum(line["instance_1"]["grad_input_1"]) == pytest.approx(1, abs=1e-6)
        with pytest.raises(ConfigurationError, match="--use-dataset-reader"):
            predictor.predict_instance(reader.text_to_instance("a good film"))

    def test_an_allennlp_interpreter_equals_a_direct_call(
        self, model: Model, reader: DatasetReader
    ) -> None:
        given = {"sentence": "a bad"}
        line = make(model, reader, interpreter="simple-gradient").predict_json(given)
        direct = AnyInterpreter.by_name("simple-gradient")(TextClassifierPredictor(model, reader))
        expected = direct.saliency_interpret_from_json(given)
        assert line["instance_1"] == expected["instance_1"]

    def test_an_allennlp_interpreter_that_fails_spoils_no_later_line(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader, interpreter="simple-gradient")
        expected = predictor.predict_json({"sentence": "a good film"})
        hooks = sum(len(module._backward_hooks) for module in model.modules())

        def forward(*_: Any, **__: Any) -> None:
            raise RuntimeError("no memory")

        instance = reader.text_to_instance("a bad film", "negative")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(predictor.predictor, "predict_json", lambda _: {})
            patch.setattr(predictor.predictor, "json_to_labeled_instances", lambda _: [instance])
            patch.setattr(model, "forward", forward)
            failed = predictor.predict_json({"sentence": "a bad film"})
        assert failed["error"]["message"] == "no memory"
        assert sum(len(module._backward_hooks) for module in model.modules()) == hooks
        assert all(parameter.grad is None for parameter in model.parameters())
        assert predictor.predict_json({"sentence": "a good film"}) == expected


class TestErrors:
    def test_what_is_missing_is_named(self, model: Model, reader: DatasetReader) -> None:
        line = make(model, reader).predict_json({"text": "a good film", "<b>": "\x1b[31m"})
        assert line == {
            "error": {
                "type": "KeyError",
                "message": "no key 'sentence'; the keys of the input are: 'text', '<b>'",
                "line": None,
            },
            "input": {"text": "a good film", "<b>": "\x1b[31m"},
        }

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("{broken", "JSONDecodeError"),
            ("3", "TypeError"),
            ("[]", "TypeError"),
            ('"text"', "TypeError"),
            ("null", "TypeError"),
            ("[" * 100_000, "RecursionError"),
            ("9" * 5000, "ValueError"),
            ('{"sentence": "\udcff"}', "UnicodeDecodeError"),
        ],
        ids=lambda value: value[:12],
    )
    def test_a_line_that_is_no_input(
        self, model: Model, reader: DatasetReader, text: str, kind: str
    ) -> None:
        predictor = make(model, reader)
        given = predictor.load_numbered_line(text + "\n", 7)
        json.dumps(given)  # the command prints what it read
        line = strict(predictor.dump_line(predictor.predict_json(given)))
        assert (line["error"]["type"], line["error"]["line"]) == (kind, 7)
        assert line["error"]["message"]
        assert line["input"] == text.replace("\udcff", "\\xff")

    @pytest.mark.parametrize("depth", [50, 200, 300, 400, 450, 500, 800, 990, 2000])
    def test_no_depth_of_nesting_ends_the_file(
        self, model: Model, reader: DatasetReader, depth: int
    ) -> None:
        predictor = make(model, reader)
        text = '{"a":' * depth + "1" + "}" * depth
        given = predictor.load_numbered_line(text, 1)
        json.dumps(given)
        line = strict(predictor.dump_line(predictor.predict_json(given)))
        assert line["error"]["type"] in ("KeyError", "RecursionError")

    def test_numbers_that_json_has_not_are_shown_as_null(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader)
        given = predictor.load_numbered_line('{"weight": NaN, "big": 1e400}', 1)
        line = strict(predictor.dump_line(predictor.predict_json(given)))
        assert line["input"] == {"weight": None, "big": None}

    def test_raise_stops_with_the_same_information(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader, on_error="raise")
        good = predictor.load_numbered_line('{"sentence": "a"}', 1)
        bad = predictor.load_numbered_line('{"text": "caf\u00e9"}', 3)
        assert "instance_1" in predictor.predict_json(good)
        with pytest.raises(InterpretationError) as caught:
            predictor.predict_batch_json([good, bad])
        message = str(caught.value)
        assert message.startswith("line 3: KeyError: no key 'sentence'")
        assert message.endswith('the input is {"text": "caf\u00e9"}')
        assert isinstance(caught.value.__cause__, KeyError)

    def test_scores_that_are_not_finite_are_an_error_and_the_prediction_stays(
        self, model: Model, reader: DatasetReader
    ) -> None:
        line = make(model, reader, interpreter="test-not-finite").predict_json(
            {"sentence": "a bad"}
        )
        assert "instance_1.grad_input_1" in line["error"]["message"]
        assert line["prediction"]["label"] in ("positive", "negative")

    def test_errors_are_logged(
        self, model: Model, reader: DatasetReader, caplog: pytest.LogCaptureFixture
    ) -> None:
        predictor = make(model, reader)
        with caplog.at_level(logging.WARNING, logger="allennlp_saliency"):
            predictor.predict_json(predictor.load_numbered_line("{", 12))
        assert caplog.messages[0].startswith("line 12: JSONDecodeError: ")

    def test_empty_text_is_a_line_and_not_the_end(
        self, model: Model, reader: DatasetReader
    ) -> None:
        lines = make(model, reader, interpreter="simple-gradient").predict_batch_json(
            [{"sentence": ""}, {"sentence": "good"}]
        )
        assert len(lines) == 2
        assert lines[1]["instance_1"]["grad_input_1"] == [1.0]


class TestArguments:
    def test_an_unknown_interpreter(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(ConfigurationError) as caught:
            make(model, reader, interpreter="simple-gradients")
        assert "did you mean 'simple-gradient'" in str(caught.value)
        assert all(name in str(caught.value) for name in AnyInterpreter.list_available())

    @pytest.mark.parametrize("given", [None, 3, [], {}, {"steps": 3}, {"type": None}])
    def test_what_is_no_interpreter(
        self, model: Model, reader: DatasetReader, given: object
    ) -> None:
        with pytest.raises(ConfigurationError, match="registered name"):
            make(model, reader, interpreter=given)

    def test_an_unknown_parameter(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(
            ConfigurationError, match=r"'factr'; did you mean 'factor'\?; there are: "
        ):
            make(model, reader, interpreter={"type": "test-words", "factr": 2.0})

    def test_a_parameter_that_is_refused(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(ConfigurationError, match=r'"factor": 0.*factor is not zero'):
            make(model, reader, interpreter={"type": "test-words", "factor": 0})

    def test_parameters_reach_the_interpreter(self, model: Model, reader: DatasetReader) -> None:
        given = {"type": "test-words", "factor": 2.0}
        predictor = make(model, reader, interpreter=given)
        line = predictor.predict_json({"sentence": "good"})
        assert line["instance_1"]["explanation"]["inputs"][0]["attributions"] == [8.0]
        assert given == {"type": "test-words", "factor": 2.0}

    def test_an_unknown_argument(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'interpreter'"):
            make(model, reader, interpretr="random")

    def test_an_unknown_on_error(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(ConfigurationError, match="on_error is 'line' or 'raise', not 'skip'"):
            make(model, reader, on_error="skip")

    def test_the_predictor_that_the_model_names(self, model: Model, reader: DatasetReader) -> None:
        assert type(make(model, reader).predictor) is TextClassifierPredictor

    def test_the_predictor_that_is_named(self, model: Model, reader: DatasetReader) -> None:
        assert type(make(model, reader, predictor="test-csv").predictor) is CsvPredictor

    def test_a_model_that_names_none(self, model: Model, reader: DatasetReader) -> None:
        model.default_predictor = None
        with pytest.raises(ConfigurationError, match=r'\{"predictor": "…"\}.*text_classifier'):
            make(model, reader)

    @pytest.mark.parametrize("name", ["text_clasifier", "saliency"])
    def test_a_predictor_that_cannot_be_wrapped(
        self, model: Model, reader: DatasetReader, name: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="text_classifier"):
            make(model, reader, predictor=name)

    def test_predictor_args(self, model: Model, reader: DatasetReader) -> None:
        with pytest.raises(ConfigurationError, match=r"predictor_args \{'languag': 'de'\}"):
            make(model, reader, predictor_args={"languag": "de"})


class TestWrapping:
    def test_a_predictor_with_a_line_format_of_its_own(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader, predictor="test-csv")
        line = predictor.predict_json(predictor.load_line("1;a good film\n"))
        assert line["instance_1"]["explanation"]["inputs"][0]["tokens"] == ["a", "good", "film"]
        assert (
            predictor.predict_json(predictor.load_line("no semicolon\n"))["input"] == "no semicolon"
        )

    @pytest.mark.parametrize(
        "name",
        [
            "json_to_labeled_instances",
            "predictions_to_labeled_instances",
            "get_gradients",
            "get_interpretable_layer",
            "get_interpretable_text_field_embedder",
        ],
    )
    def test_the_rest_has_the_signature_of_any_predictor(self, name: str) -> None:
        own, any_ = getattr(SaliencyPredictor, name), getattr(Predictor, name)
        assert signature(own) == signature(any_)
        assert own is not any_

    def test_the_rest_is_the_wrapped_predictors(self, model: Model, reader: DatasetReader) -> None:
        predictor = make(model, reader)
        embedder = predictor.get_interpretable_text_field_embedder()
        assert embedder is model._text_field_embedder
        assert isinstance(predictor.get_interpretable_layer(), Embedding)
        [instance] = predictor.json_to_labeled_instances({"sentence": "a good film"})
        gradients, _ = predictor.get_gradients([instance])
        assert gradients["grad_input_1"].shape == (1, 3, 4)
        assert predictor.predict("a bad film") == predictor.predictor.predict("a bad film")
        with pytest.raises(AttributeError, match="nothing_of_the_kind"):
            _ = predictor.nothing_of_the_kind

    def test_frozen(self, model: Model, reader: DatasetReader) -> None:
        model.train()
        make(model, reader, frozen=False)
        assert model.training
        make(model, reader)
        assert not model.training

    def test_a_part_that_was_frozen_stays_so(self, model: Model, reader: DatasetReader) -> None:
        model.train()
        model.get_submodule("_text_field_embedder").eval()
        make(model, reader, frozen=False)
        assert model.training
        assert not model.get_submodule("_text_field_embedder").training

    def test_frozen_reaches_it_from_an_archive(self, archive: Path) -> None:
        loaded = load_archive(archive)
        loaded.model.train()
        predictor = SaliencyPredictor.from_archive(
            loaded, frozen=False, extra_args={"interpreter": "test-words"}
        )
        assert isinstance(predictor, SaliencyPredictor)
        assert loaded.model.training

    def test_from_a_path(self, archive: Path) -> None:
        predictor = SaliencyPredictor.from_path(archive, interpreter="test-words")
        assert predictor.predict_json({"sentence": "good"})["instance_1"]["grad_input_1"] == [1.0]
        same = Predictor.from_path(archive, "saliency", interpreter="test-words")
        assert isinstance(same, SaliencyPredictor)

    def test_numbers_of_the_prediction_that_json_has_not(
        self, model: Model, reader: DatasetReader
    ) -> None:
        predictor = make(model, reader, predictor="test-not-finite")
        line = strict(predictor.dump_line(predictor.predict_json({"sentence": "a"})))
        assert line["prediction"] == {
            "label": "positive",
            "probs": [None, None],
            "spans": {"(0, 1)": [1.0, None]},
        }
