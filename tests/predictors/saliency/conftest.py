"""A small model whose archives the tests make, and interpreters that they register."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from allennlp.data import DatasetReader, Instance, Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import BasicClassifier, Model
from allennlp.models.archival import archive_model
from allennlp.modules.seq2vec_encoders import BagOfEmbeddingsEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.predictors import Predictor, TextClassifierPredictor

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from tests.predictors.bag_of_embeddings import BAG_OF_EMBEDDINGS

WORDS = ("a", "good", "bad", "film", "caf\u00e9", "\u6f22\u5b57", "<script>")


@AnyInterpreter.register("test-words", exist_ok=True)
class Words(AnyInterpreter):
    """Explains without a model's gradients, so that the predictor is tested and nothing else."""

    def __init__(self, predictor: Predictor, factor: float = 1.0, together: bool = True) -> None:
        super().__init__(predictor)
        if factor == 0:
            raise ValueError("factor is not zero")
        self.factor = factor
        self.together = together
        self.calls: list[int] = []

    def interpret_each(
        self, inputs: list[Any], *, predict: bool = False, progress: bool = False
    ) -> list[Any]:
        assert predict
        self.calls.append(len(inputs))
        if not self.together and len(inputs) > 1:
            raise RuntimeError("too many at once")
        return [self._interpretation(given) for given in inputs]

    def _interpretation(self, given: dict[str, Any]) -> SimpleNamespace:
        try:
            prediction = self.predictor.predict_json(given)
            tokens = given.pop("sentence").split()
            return SimpleNamespace(
                prediction=prediction, explanations=[self.explanation(tokens)], error=None
            )
        except Exception as error:
            return SimpleNamespace(prediction=None, explanations=[], error=error)

    def interpret_each_instance(
        self, instances: list[Instance], *, predict: bool = False, progress: bool = False
    ) -> list[Any]:
        found = []
        for instance in instances:
            tokens = [token.text for token in instance["tokens"].tokens]  # type: ignore[attr-defined]
            prediction = self.predictor.predict_instance(instance)
            found.append(
                SimpleNamespace(
                    prediction=prediction, explanations=[self.explanation(tokens)], error=None
                )
            )
        return found

    def explanation(self, tokens: list[str]) -> Explanation:
        scores = [self.factor * len(token) for token in tokens]
        inputs = [InputAttribution("tokens", "grad_input_1", tokens, [None] * len(tokens), scores)]
        return Explanation({"type": "test-words"}, {"type": "logit", "value": 1.0}, inputs)

    def grad_inputs(self, explanation: Explanation) -> dict[str, list[float]]:
        scores = explanation.inputs[0].attributions
        total = sum(abs(score) for score in scores)
        return {"grad_input_1": [abs(score) / total for score in scores]}


@AnyInterpreter.register("test-not-finite", exist_ok=True)
class NotFinite(AnyInterpreter):
    """Another project's interpreter whose gradients vanished."""

    def saliency_interpret_from_json(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"instance_1": {"grad_input_1": [float("nan"), 1.0]}}


@Predictor.register("test-csv", exist_ok=True)
class CsvPredictor(TextClassifierPredictor):
    """Reads lines of its own format."""

    def load_line(self, line: str) -> dict[str, Any]:
        _, sentence = line.strip().split(";")
        return {"sentence": sentence}


@Predictor.register("test-not-finite", exist_ok=True)
class NotFinitePredictor(TextClassifierPredictor):
    """Predicts numbers that JSON has not."""

    def predict_json(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {
            "label": "positive",
            "probs": [float("nan"), float("inf")],
            "spans": {(0, 1): torch.tensor([1.0, float("-inf")])},
        }


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    vocab = Vocabulary()
    for word in WORDS:
        vocab.add_token_to_namespace(word)
    for label in ("positive", "negative"):
        vocab.add_token_to_namespace(label, "labels")
    embedding = Embedding(embedding_dim=4, num_embeddings=vocab.get_vocab_size(), vocab=vocab)
    model = BasicClassifier(
        vocab, BasicTextFieldEmbedder({"tokens": embedding}), BagOfEmbeddingsEncoder(4, True)
    )
    model.default_predictor = "text_classifier"
    return model


@pytest.fixture
def reader() -> DatasetReader:
    return TextClassificationJsonReader(tokenizer=WhitespaceTokenizer())


@pytest.fixture
def archive(tmp_path: Path, model: Model) -> Path:
    """The model as an archive, as training would have left it."""
    folder = tmp_path / "model"
    folder.mkdir()
    model.vocab.save_to_files(str(folder / "vocabulary"))
    (folder / "config.json").write_text(json.dumps(BAG_OF_EMBEDDINGS), encoding="utf-8")
    torch.save(model.state_dict(), folder / "weights.th")
    archive_model(folder, weights="weights.th")
    return folder / "model.tar.gz"


def make(model: Model, reader: DatasetReader, **arguments: Any) -> SaliencyPredictor:
    return SaliencyPredictor(model, reader, **{"interpreter": "test-words", **arguments})


def strict(text: str) -> Any:
    """Parses JSON as the standard has it: Python's NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def predict(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `allennlp predict` on bytes; gives the lines of its output file."""
    from allennlp.commands import main

    monkeypatch.chdir(tmp_path)

    def run(content: bytes, *arguments: str, **predictor_args: Any) -> list[dict[str, Any]]:
        given, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        given.write_bytes(content)
        settings = json.dumps({"interpreter": "test-words", **predictor_args})
        argv = ["allennlp", "predict", str(archive), str(given), "--predictor", "saliency"]
        argv += ["--predictor-args", settings, "--output-file", str(output), *arguments]
        monkeypatch.setattr("sys.argv", argv)
        main()
        return [strict(line) for line in output.read_text(encoding="utf-8").splitlines()]

    return run
