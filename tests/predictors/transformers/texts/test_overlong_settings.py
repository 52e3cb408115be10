"""Settings for texts that are longer than the model takes, by method and in lines of a command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from allennlp_saliency.predictors import SaliencyPredictor, TransformersPredictor
from allennlp_saliency.predictors.transformers.archive import write_archive
from allennlp_saliency.predictors.transformers.texts.overlong import (
    LongText,
    window_around,
    window_of_most_context,
    window_spans,
)
from tests.interpret.properties.cases import OF_CONTEXTS
from tests.predictors.transformers.texts.overlong import (
    CASES,
    LINE,
    LONG,
    explain,
    make,
    read,
    short,
)
from tests.zoo.task_models import (
    KINDS,
    model,
    tokenizer,
)


class TestTruncate:
    """What is left is what the tokenizer leaves."""

    @pytest.mark.parametrize("name", ["bert", "roberta", "albert", "t5"])
    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize(
        "texts", [(LONG,), (LONG, "a great film"), ("a great film", LONG), (LONG, LONG + " good")]
    )
    def test_as_the_tokenizer(self, name: str, side: str, texts: tuple[str, ...]) -> None:
        import copy

        own = copy.deepcopy(tokenizer(KINDS[name].tokenizer))
        own.truncation_side = side
        made: Any = TransformersPredictor.from_pretrained(
            model(name, "text-classification"), own, overlong="truncate", max_length=101
        )
        keys = ("sentence",) if len(texts) == 1 else ("premise", "hypothesis")
        given = dict(zip(keys, texts, strict=True))
        instance = made._json_to_instance(given)
        (part,) = made._model.windows_of(instance).windows
        got = [t.text_id for key in keys for t in part.instance[key].tokens]
        assert got == own(*texts, truncation=True, max_length=101)["input_ids"]

    def test_a_word_that_was_cut_has_no_tag(self) -> None:
        made = make("bert", "token-classification", "truncate")
        prediction = made.predict_json({"sentence": LONG})
        read = LONG.split()[: len(prediction["words"])]
        assert prediction["words"] == read
        assert 0 < len(read) < 127
        assert len(prediction["tags"]) == len(read)

    def test_gaps_that_were_cut(self) -> None:
        made = make("bert", "masked-lm", "truncate")
        prediction = made.predict_json(CASES["masked-lm"][1])
        assert len(prediction["tokens"]) == 1
        with pytest.raises(InterpretationError, match=r"gaps .* cut.*'window'"):
            made.predict_json({"sentence": LONG + " [MASK]"})


def ours() -> list[str]:
    """The methods of this package."""
    known = SaliencyInterpreter.list_available()
    classes = {name: SaliencyInterpreter.by_name(name) for name in known}
    return [
        name
        for name, one in classes.items()
        if one.__module__.startswith("allennlp_saliency")
        and issubclass(one, SaliencyInterpreter)
        and name not in OF_CONTEXTS
    ]


class TestMethods:
    @pytest.mark.parametrize("method", ours())
    def test_every_method(self, method: str) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        inner = {"layer": "transformer.bert.encoder.layer.0"}
        more = inner if method.startswith("layer-") else {}
        (explanation,) = explain(made, {"sentence": text}, method, **more)
        assert len(read(explanation)) > 2
        scores = explanation.inputs[0].attributions
        assert all(map(math.isfinite, scores))
        # The few tokens of each window that are enough, or that the LASSO keeps.
        few = method in ("minimal-sufficient-set", "context-cite")
        assert sum(score != 0 for score in scores) > (0 if few else 50)

    def test_attention_in_full(self) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        (explanation,) = explain(made, {"sentence": text}, "attention", matrices=True)
        shapes = {matrix.numpy().shape[-2:] for matrix in explanation.matrices}
        assert len(explanation.matrices) == len(read(explanation))
        assert shapes == {(24, 24)}

    def test_details_and_warnings(self) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        interpreter: Any = SaliencyInterpreter.by_name("integrated-gradients")(made, tolerance=1e-4)
        (explanation,) = interpreter.interpret_json({"sentence": text})
        count = len(read(explanation))
        assert explanation.details["converged"] is True
        steps = explanation.details["steps"]
        assert isinstance(steps, int) or len(steps) == count


class TestStride:
    def text(self, length: int) -> Any:
        field: Any = make("gpt2", "text-classification")._json_to_instance(
            {"sentence": " a" * length}
        )["sentence"]
        text = LongText.of("sentence", field)
        assert text.added == 0
        return text

    @pytest.mark.parametrize("stride", [None, 0, 3, 9])
    @pytest.mark.parametrize("length", [11, 19, 20, 57, 100])
    def test_windows_cover_and_overlap(self, length: int, stride: int | None) -> None:
        text = self.text(length)
        spans = window_spans(text, 10, stride)
        assert spans[0][0] == 0
        assert spans[-1][1] == text.length
        assert all(b - a == 10 for a, b in spans)
        shared = [left[1] - right[0] for left, right in pairwise(spans)]
        least = 5 if stride is None else stride
        assert min(shared) >= least
        # With one window less they would share less.
        assert len(spans) - 1 == math.ceil((text.length - 10) / (10 - least))

    def test_too_much_is_shared(self) -> None:
        made = make("bert", "text-classification", max_length=12, stride=10)
        with pytest.raises(InterpretationError, match=r"windows of 10 tokens .* smaller stride"):
            made.predict_json({"sentence": LONG})

    def test_no_room(self) -> None:
        made = make("bert", "question-answering")
        given = {"question": LONG, "passage": LONG}
        with pytest.raises(InterpretationError, match="nothing of field 'passage' fits"):
            made.predict_json(given)

    def test_most_context(self) -> None:
        windows = [(0, 10), (5, 15), (10, 20)]
        expected = [0, 0, 0, 1, 1, 2, 2]
        spans = [(0, 1), (4, 5), (7, 8), (8, 9), (11, 12), (13, 14), (19, 20)]
        assert [window_of_most_context(windows, span, 20) for span in spans] == expected
        assert window_of_most_context(windows, (2, 13), 20) is None
        assert window_around(self.text(100), 10, (50, 52)) == (46, 56)


class TestParameters:
    @pytest.mark.parametrize(
        "wrong", [{"overlong": "cut"}, {"stride": -1}, {"max_length": 0}, {"stride": "much"}]
    )
    def test_wrong(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} is"):
            make("bert", "text-classification", **{"overlong": "window", **wrong})

    def test_a_predictors_own(self) -> None:
        plain = short("bert", "text-classification")
        made = type(plain)(plain._model, plain._dataset_reader, overlong="window", max_length=64)
        assert made.predict_json({"sentence": LONG})["overlong"]["limit"] == 64
        with pytest.raises(InterpretationError, match="takes at most 128"):
            plain.predict_json({"sentence": LONG})


class TestLines:
    """Through the predictor `saliency`."""

    def saliency(self, overlong: str, interpreter: Any = "integrated-gradients") -> Any:
        made = make("bert", "text-classification", overlong)
        return SaliencyPredictor(made._model, made._dataset_reader, interpreter=interpreter)

    def test_one_too_long_among_good_ones(self) -> None:
        saliency = self.saliency("error")
        given = [{"sentence": text} for text in ("a great film", LONG, "the plot", "was not good")]
        lines = [json.loads(saliency.dump_line(one)) for one in saliency.predict_batch_json(given)]
        for line in lines:
            LINE.validate(line)
        assert ["error" in line for line in lines] == [False, True, False, False]
        assert "takes at most 128" in lines[1]["error"]["message"]
        assert lines[1]["input"] == {"sentence": LONG}

    def test_windows_among_short_ones(self) -> None:
        saliency = self.saliency("window")
        given = [{"sentence": text} for text in ("a great film", LONG, "the plot", LONG[5:])]
        lines = [json.loads(saliency.dump_line(one)) for one in saliency.predict_batch_json(given)]
        for line, one in zip(lines, given, strict=True):
            LINE.validate(line)
            alone = json.loads(saliency.dump_line(saliency.predict_json(one)))
            got, expected = line["instance_1"], alone["instance_1"]
            assert got["grad_input_1"] == pytest.approx(expected["grad_input_1"], abs=1e-5)
            assert got["explanation"]["target"]["label"] == line["prediction"]["label"]
            assert ("overlong" in got["explanation"]) == (len(one["sentence"]) > 100)

    @pytest.mark.parametrize("how", ["archive", "overrides", "predictor_args"])
    def test_an_archive(
        self, how: str, tmp_path: Path, run_allennlp: Callable[[list[str]], None]
    ) -> None:
        archive = write_archive(
            model("bert", "text-classification"),
            tmp_path / "model.tar.gz",
            tokenizer("wordpiece"),
            overlong="window" if how == "archive" else "error",
        )
        given = [{"sentence": LONG}, {"sentence": "a great film"}]
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
        more = {
            "archive": [],
            "overrides": ["--overrides", '{"dataset_reader.overlong": "window"}'],
            "predictor_args": [
                "--predictor-args",
                '{"predictor_args": {"overlong": "window"}}',
            ],
        }[how]
        command = ["predict", str(archive), str(tmp_path / "in.jsonl"), "--predictor", "saliency"]
        output = tmp_path / "out.jsonl"
        run_allennlp([*command, "--silent", "--output-file", str(output), *more])
        lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        (expected,) = explain(
            make("bert", "text-classification"), {"sentence": LONG}, "integrated-gradients"
        )
        explanation = lines[0]["instance_1"]["explanation"]
        assert explanation["overlong"] == expected.overlong
        scores = explanation["inputs"][0]["attributions"]
        assert scores == pytest.approx(expected.inputs[0].attributions, abs=1e-5)
        assert "overlong" not in lines[1]["instance_1"]["explanation"]

    def test_instances_of_the_reader(self) -> None:
        saliency = self.saliency("window")
        instance = saliency._dataset_reader.text_to_instance(sentence=LONG, label="positive")
        (line,) = saliency.predict_batch_instance([instance])
        assert line["instance_1"]["explanation"]["overlong"]["dropped"] == 0


@pytest.fixture
def run_allennlp(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """The command line of AllenNLP, in this process."""
    from allennlp.commands import main

    def run(arguments: list[str]) -> None:
        monkeypatch.setattr("sys.argv", ["allennlp", *arguments])
        main()

    return run


def test_pairs_of_windows_are_pairs_of_the_whole_text() -> None:
    made = make("bert", "text-classification", max_length=24)
    text = " ".join(LONG.split()[:60])
    (explanation,) = explain(made, {"sentence": text}, "pair-interactions", best=3)
    count = len(explanation.inputs[0].tokens)
    numbers = [number for one in explanation.interactions for _, number in (one.first, one.second)]
    # Three pairs of each window, at tokens of the complete text.
    assert len(explanation.interactions) <= 3 * len(read(explanation))
    assert max(numbers) > 24
    assert max(numbers) < count
