"""From folders, ids and objects to predictors."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor
from transformers import AutoModelForCausalLM, BertForSequenceClassification

from allennlp_saliency.interpret import (
    InputXGradient,
    InterpretationError,
    SaliencyInterpreter,
)
from allennlp_saliency.predictors import SaliencyPredictor, TransformersPredictor
from allennlp_saliency.predictors.transformers.loading import TASKS, auto_class, tasks_of
from allennlp_saliency.predictors.transformers.model.label_vocabulary import LabelVocabulary
from tests.zoo.task_models import KINDS, inputs, model, predictor, tokenizer

ONE_OF_EACH = {
    "text-classification": "bert",
    "token-classification": "bert",
    "question-answering": "distilbert",
    "multiple-choice": "electra",
    "masked-lm": "albert",
    "causal-lm": "gpt2",
    "seq2seq": "t5",
}


def save(name: str, task: str, folder: Path) -> str:
    model(name, task).save_pretrained(folder)
    tokenizer(KINDS[name].tokenizer).save_pretrained(folder)
    return str(folder)


def explain(made: Any, given: dict[str, Any]) -> Any:
    interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(made)
    return interpreter.interpret_json(given)


def scores(explanations: Any) -> list[float]:
    return [score for e in explanations for one in e.inputs for score in one.attributions]


@pytest.mark.parametrize(("task", "name"), ONE_OF_EACH.items())
class TestEachTask:
    def test_folder(self, task: str, name: str, tmp_path: Path) -> None:
        made = TransformersPredictor.from_pretrained(save(name, task, tmp_path))
        for given in inputs(name, task):
            expected = explain(predictor(name, task), given)
            assert scores(explain(made, given)) == pytest.approx(scores(expected), abs=1e-6)

    def test_config(self, task: str, name: str, tmp_path: Path) -> None:
        folder = save(name, task, tmp_path)
        kind = f"transformers-{task}"
        reader = DatasetReader.from_params(Params({"type": kind, "model_name": folder}))
        params = Params({"type": kind, "model_name": folder})
        made = Model.from_params(params, vocab=Vocabulary())
        assert made.default_predictor == kind
        made.eval()
        for given in inputs(name, task):
            got = explain(Predictor.by_name(kind)(made, reader), given)
            expected = explain(predictor(name, task), given)
            assert scores(got) == pytest.approx(scores(expected), abs=1e-6)

    def test_half_precision(self, task: str, name: str) -> None:
        own = model(name, task)
        made = TransformersPredictor.from_pretrained(
            own, tokenizer(KINDS[name].tokenizer), dtype="bfloat16"
        )
        assert own.dtype == torch.float32
        assert made._model.transformer.dtype == torch.bfloat16
        for method in ("gradient", "input-x-gradient"):
            interpreter: Any = SaliencyInterpreter.by_name(method)(made)
            for given in inputs(name, task):
                for explanation in interpreter.interpret_json(given):
                    json.dumps(explanation.to_json())
                    assert any(any(one.attributions) for one in explanation.inputs)

    def test_nothing_changes(self, task: str, name: str) -> None:
        own = model(name, task)
        before = {key: value.clone() for key, value in own.state_dict().items()}
        needed = [parameter.requires_grad for parameter in own.parameters()]
        config = own.config.to_dict()
        made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS[name].tokenizer))
        explain(made, inputs(name, task)[0])
        assert all(torch.equal(before[key], value) for key, value in own.state_dict().items())
        assert [parameter.requires_grad for parameter in own.parameters()] == needed
        assert all(parameter.grad is None for parameter in own.parameters())
        assert own.config.to_dict() == config
        assert not any(module._forward_hooks for module in own.modules())

    def test_as_a_saliency_line(self, task: str, name: str) -> None:
        wrapped = SaliencyPredictor(
            predictor(name, task)._model,
            predictor(name, task)._dataset_reader,
            interpreter="input-x-gradient",
        )
        line = wrapped.predict_json(inputs(name, task)[0])
        json.dumps(line)
        assert "prediction" in line
        for explanation in explain(predictor(name, task), inputs(name, task)[0]):
            assert explanation.inputs[0].grad_input in line["instance_1"]


class TestTasks:
    @pytest.mark.parametrize(
        ("class_name", "task"),
        [
            ("GPT2LMHeadModel", "causal-lm"),
            ("BartForConditionalGeneration", "seq2seq"),
            ("MarianMTModel", "seq2seq"),
            ("MyOwnForTokenClassification", "token-classification"),
            ("BertModel", None),
            (None, None),
        ],
    )
    def test_by_class(self, class_name: str | None, task: str | None) -> None:
        assert next(iter(tasks_of(class_name)), None) == task

    def test_no_head(self) -> None:
        from transformers import BertModel

        own = BertModel(model("bert", "text-classification").config)
        with pytest.raises(InterpretationError, match="name one of text-classification"):
            TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))

    @pytest.mark.parametrize("named", ["{}/absent", "./absent", "~/absent", "a/b/absent"])
    def test_no_folder(self, named: str, tmp_path: Path) -> None:
        with pytest.raises(InterpretationError, match=r"there is no folder '.*absent'; a model is"):
            TransformersPredictor.from_pretrained(named.format(tmp_path))
        with pytest.raises(InterpretationError, match="there is no folder"):
            TransformersPredictor.from_pretrained(Path("absent"))

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        with pytest.raises(InterpretationError, match=r"without a config\.json.*save_pretrained"):
            TransformersPredictor.from_pretrained(tmp_path)

    def test_an_archive_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "model.tar.gz").write_bytes(b"")
        with pytest.raises(InterpretationError, match=r"is a file.*Predictor\.from_path"):
            TransformersPredictor.from_pretrained(str(tmp_path / "model.tar.gz"))

    def test_no_head_in_a_folder(self, tmp_path: Path) -> None:
        folder = save("bert", "text-classification", tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": None}))
        with pytest.raises(InterpretationError, match="task="):
            TransformersPredictor.from_pretrained(folder)
        made = TransformersPredictor.from_pretrained(folder, task="text-classification")
        assert made.predict_json({"sentence": "a"})["label"]

    def test_another_task(self) -> None:
        with pytest.raises(InterpretationError, match="is for causal-lm, not for masked-lm"):
            TransformersPredictor.from_pretrained(
                model("gpt2", "causal-lm"), tokenizer("bare-bytes"), task="masked-lm"
            )

    def test_unknown_task(self) -> None:
        with pytest.raises(InterpretationError, match="no task 'chess'"):
            TransformersPredictor.from_pretrained("somewhere", "somewhere", task="chess")

    def test_a_model_that_insists_on_ids(self) -> None:
        """It is run on ids as any other."""

        class Insists(BertForSequenceClassification):  # type: ignore[misc]
            def forward(self, input_ids: Any, **kwargs: Any) -> Any:
                return super().forward(input_ids, **kwargs)

        plain = model("bert", "text-classification")
        own = Insists(plain.config)
        own.load_state_dict(plain.state_dict())
        found, expected = (
            InputXGradient(
                TransformersPredictor.from_pretrained(
                    one, tokenizer("wordpiece"), task="text-classification"
                )
            ).interpret_json({"sentence": "a great film"})
            for one in (own.eval(), plain)
        )
        assert found[0].inputs == expected[0].inputs
        assert any(found[0].inputs[0].attributions)

    def test_no_tokenizer(self) -> None:
        with pytest.raises(InterpretationError, match="tokenizer="):
            TransformersPredictor.from_pretrained(model("bert", "text-classification"))

    def test_registered(self) -> None:
        for task in TASKS:
            for kind in (Model, DatasetReader, Predictor):
                assert f"transformers-{task}" in kind.list_available()


class TestCodeOfAModel:
    """A folder whose config names code, which runs where the caller says so."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save("gpt2", "causal-lm", tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        config["auto_map"] = {
            "AutoConfig": "own_code.OwnConfig",
            "AutoModelForCausalLM": "own_code.OwnModel",
        }
        config |= {"model_type": "own", "architectures": ["OwnModel"]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "own_code.py").write_text(
            "from transformers import GPT2Config, GPT2LMHeadModel\n"
            "class OwnConfig(GPT2Config):\n    model_type = 'own'\n"
            "class OwnModel(GPT2LMHeadModel):\n    config_class = OwnConfig\n"
        )
        return tmp_path

    def test_runs_where_it_is_trusted(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
    ) -> None:
        modules = str(tmp_path_factory.mktemp("modules"))
        monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
        given = {"task": "causal-lm", "tokenizer": tokenizer(KINDS["gpt2"].tokenizer)}
        made = TransformersPredictor.from_pretrained(str(folder), trust_remote_code=True, **given)
        assert type(made._model.transformer).__name__ == "OwnModel"
        assert explain(made, {"prompt": "the cast was", "continuation": " good"})
        found = auto_class("causal-lm", folder, trust_remote_code=True, device_map="cpu")
        assert found is AutoModelForCausalLM


class TestLabelVocabulary:
    def test_many_tokens_cost_nothing(self) -> None:
        class Tokenizer:
            def convert_ids_to_tokens(self, index: int) -> str:
                return f"token{index}"

            def __len__(self) -> int:
                return 10**9

        start = time.perf_counter()
        vocab = LabelVocabulary.of_tokens(Tokenizer())
        names = vocab.get_index_to_token_vocabulary("labels")
        assert names.get(999_999_999) == "token999999999"
        assert vocab.get_vocab_size("labels") == 10**9
        assert time.perf_counter() - start < 1

    def test_texts_of_one_token(self) -> None:
        indices = LabelVocabulary.of_tokens(tokenizer("bare-bytes")).get_token_to_index_vocabulary(
            "labels"
        )
        assert indices[" paris"] == indices["Ġparis"]
        assert " paris in london" not in indices

    def test_saved_without_labels(self, tmp_path: Path) -> None:
        """There are many tokens, and numbers may have no name."""
        vocab = LabelVocabulary({0: "no", 2: "yes"})
        vocab.add_token_to_namespace("word", "words")
        vocab.save_to_files(str(tmp_path))
        assert {path.name for path in tmp_path.glob("*.txt")} == {
            "words.txt",
            "non_padded_namespaces.txt",
        }
        assert Vocabulary.from_files(str(tmp_path)).get_token_index("word", "words") == 2
