"""Methods at inner layers against captum's at the same layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor
from captum.attr import LayerDeepLift as CaptumLayerDeepLift
from captum.attr import LayerGradientXActivation as CaptumLayerGradientXActivation
from captum.attr import LayerIntegratedGradients as CaptumLayerIntegratedGradients
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    DeepLift,
    Explanation,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerDeepLift,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    SaliencyInterpreter,
)
from tests.zoo import LABELS, Zoo
from tests.zoo.functions import Opened, embedding_layer, predictor_of, spread_vectors

TEXT = "the plot was badly unbelievable !"
BERT = "_text_field_embedder.token_embedder_tokens.transformer_model"
INNER = ("encoder.layer.0", "encoder.layer.1.attention.output", "encoder.layer.0.output.dense")
TARGET: dict[str, Any] = {"type": "logit", "label": LABELS[1]}


def explain(interpreter: SaliencyInterpreter, given: Any = TEXT) -> Explanation:
    given = {"sentence": given} if isinstance(given, str) else given
    (explanation,) = interpreter.interpret_json(given)
    return explanation


def scores(interpreter: SaliencyInterpreter, text: str = TEXT) -> list[float]:
    return explain(interpreter, text).inputs[0].attributions


def total(explanation: Explanation) -> float:
    return sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)


def for_captum(predictor: Predictor, name: str) -> nn.Module:
    """The layer, or the last part of a block, which returns the same states: in transformers 4 a
    block returns None beside them, at which captum fails."""
    return predictor._model.get_submodule(f"{name}.output" if name.endswith("layer.0") else name)


def summed(attribution: Any) -> list[float]:
    states = attribution[0] if isinstance(attribution, tuple) else attribution
    assert states.shape[0] == 1
    return states[0].sum(-1).tolist()


def check(ours: list[float], theirs: list[float]) -> None:
    assert np.abs(theirs).max() > 1e-3, "the model hardly reacts: nothing would be compared"
    assert ours == pytest.approx(theirs, abs=1e-5)


class TestOnBert:
    @pytest.mark.parametrize("inner", INNER)
    def test_gradient_x_activation(self, zoo: Zoo, inner: str) -> None:
        predictor = zoo.predictor("bert")
        opened = Opened.of(predictor, TEXT)
        name = f"{BERT}.{inner}"
        theirs = CaptumLayerGradientXActivation(
            opened.of_indices, for_captum(predictor, name)
        ).attribute(opened.indices, target=1)
        check(
            scores(LayerGradientXActivation(predictor, layer=name, target=TARGET)), summed(theirs)
        )

    @pytest.mark.parametrize("inner", INNER)
    def test_integrated_gradients(self, zoo: Zoo, inner: str) -> None:
        predictor = zoo.predictor("bert")
        opened = Opened.of(predictor, TEXT)
        name = f"{BERT}.{inner}"
        indexer: Any = predictor._dataset_reader._token_indexers["tokens"]  # type: ignore
        word = indexer._tokenizer.convert_tokens_to_ids("it")
        baseline = torch.where(opened.special, opened.indices, word)
        theirs = CaptumLayerIntegratedGradients(
            opened.of_indices, for_captum(predictor, name)
        ).attribute(opened.indices, baseline, target=1, n_steps=9, method="gausslegendre")
        ours = LayerIntegratedGradients(
            predictor,
            layer=name,
            target=TARGET,
            steps=9,
            rule="gauss-legendre",
            relative_tolerance=None,
            baseline={"type": "token", "token": "it"},
        )
        check(scores(ours), summed(theirs))

    @pytest.mark.parametrize("inner", INNER)
    @pytest.mark.parametrize("method", [LayerIntegratedGradients, LayerDeepLift])
    def test_complete(self, zoo: Zoo, inner: str, method: Any) -> None:
        """Between the layer's states for the baseline and for the input; where the layer is not
        all of the way, as inside an attention, F there is not the baseline's F."""
        interpreter = method(zoo.predictor("bert"), layer=f"{BERT}.{inner}", target=TARGET)
        explanation = explain(interpreter)
        change = explanation.target["value"] - explanation.target["baseline_value"]
        assert abs(change) > 1e-3
        tolerance = 1e-4 if method is LayerDeepLift else 1e-2
        assert total(explanation) == pytest.approx(change, abs=tolerance * abs(change) + 2e-6)
        assert explanation.convergence_delta == pytest.approx(change - total(explanation), abs=1e-9)

    def test_a_whole_layer_leads_to_the_baselines_value(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        whole = explain(LayerDeepLift(predictor, layer=f"{BERT}.encoder.layer.0", target=TARGET))
        inputs = explain(DeepLift(predictor, target=TARGET))
        for key in ("value", "baseline_value"):
            assert whole.target[key] == pytest.approx(inputs.target[key], abs=1e-5)

    def test_wordpieces_of_a_mismatched_indexer(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert-mismatched")
        opened = Opened.of(predictor, TEXT)
        name = (
            "_text_field_embedder.token_embedder_tokens._matched_embedder.transformer_model"
            ".encoder.layer.0"
        )
        theirs = summed(
            CaptumLayerGradientXActivation(
                opened.of_indices, for_captum(predictor, name)
            ).attribute(opened.indices, target=1)
        )
        words = [sum(theirs[first : last + 1]) for first, last in opened.spans]
        explanation = explain(LayerGradientXActivation(predictor, layer=name, target=TARGET))
        check(explanation.inputs[0].attributions, words)
        assert explanation.inputs[0].unassigned == pytest.approx(theirs[0] + theirs[-1], abs=1e-5)

    def test_batch_equals_single(self, zoo: Zoo) -> None:
        inputs = zoo.inputs("bert")[:3]
        for method in (LayerGradientXActivation, LayerIntegratedGradients, LayerDeepLift):
            interpreter = method(zoo.predictor("bert"), layer=f"{BERT}.encoder.layer.0")
            together = interpreter.interpret_batch_json(inputs)
            for given, (packed,) in zip(inputs, together, strict=True):
                alone = explain(interpreter, given)
                assert packed.inputs[0].attributions == pytest.approx(
                    alone.inputs[0].attributions, abs=2e-5
                )


class TestAtTheEmbeddings:
    @pytest.mark.parametrize("family", ["lstm", "bert-mismatched", "pair"])
    @pytest.mark.parametrize(
        ("at_layer", "at_input"),
        [
            (LayerGradientXActivation, InputXGradient),
            (LayerIntegratedGradients, IntegratedGradients),
            (LayerDeepLift, DeepLift),
        ],
    )
    def test_no_layer_is_the_input_method(
        self, zoo: Zoo, family: str, at_layer: Any, at_input: Any
    ) -> None:
        predictor = zoo.predictor(family)
        given = zoo.inputs(family)[2]
        (left,) = at_layer(predictor).interpret_json(given)
        (right,) = at_input(predictor).interpret_json(given)
        assert left.inputs == right.inputs
        assert left.target == right.target

    def test_their_own_name_too(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        names = {id(module): name for name, module in predictor._model.named_modules()}
        layer = names[id(embedding_layer(predictor))]
        for at_layer, at_input in (
            (LayerGradientXActivation, InputXGradient),
            (LayerDeepLift, DeepLift),
        ):
            assert scores(at_layer(predictor, layer=layer)) == pytest.approx(
                scores(at_input(predictor)), abs=1e-6
            )


class Wordwise(nn.Module):
    """A layer per word, then one over their sum."""

    def __init__(self, nonlinearity: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.first, self.second, self.head = nn.Linear(3, 5), nn.Linear(5, 4), nn.Linear(4, 2)
        self.one, self.two = nonlinearity(), nonlinearity()

    def forward(self, embeddings: Tensor) -> Tensor:
        states = self.one(self.first(embeddings))
        return self.head(self.two(self.second(states).sum(1)))


class TestDeepLiftWhereCaptumIsRight:
    @pytest.mark.parametrize("nonlinearity", [nn.ReLU, nn.Tanh])
    @pytest.mark.parametrize("layer", ["first", "one", "second"])
    def test_perceptron(self, nonlinearity: type[nn.Module], layer: str) -> None:
        network = Wordwise(nonlinearity).eval()
        vectors = spread_vectors(("up", "down", "left"), 3)
        predictor = predictor_of(network, vectors)
        text, baseline = "up left down", "left left up"
        x, x_0 = (
            torch.tensor([[vectors[word] for word in words.split()]]) for words in (text, baseline)
        )
        theirs = CaptumLayerDeepLift(network, network.get_submodule(layer)).attribute(
            x, x_0, target=1
        )
        ours = LayerDeepLift(
            predictor,
            layer=f"function.{layer}",
            target={"type": "logit", "label": "yes"},
            baseline={"type": "text", "text": baseline},
        )
        check(scores(ours, text), summed(theirs))


class TestTwoFields:
    def layer(self, zoo: Zoo) -> str:
        names = dict(zoo.predictor("pair-bert")._model.named_modules())
        (name,) = [name for name in names if name.endswith(".encoder.layer.0")]
        return name

    @pytest.mark.parametrize("method", [LayerIntegratedGradients, LayerDeepLift])
    def test_each_gets_its_own(self, zoo: Zoo, method: Any) -> None:
        predictor = zoo.predictor("pair-bert")
        given = {"premise": "a great film", "hypothesis": "the plot was badly awful !"}
        explanation = explain(method(predictor, layer=self.layer(zoo)), given)
        assert [one.field for one in explanation.inputs] == ["hypothesis", "premise"]
        assert [len(one.tokens) for one in explanation.inputs] == [6, 3]
        assert all(any(one.attributions) for one in explanation.inputs)
        change = explanation.target["value"] - explanation.target["baseline_value"]
        assert total(explanation) == pytest.approx(change, abs=0.01 * abs(change) + 1e-4)

    def test_activations_by_hand(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("pair-bert")
        model = predictor._model
        given = {"premise": "a great film", "hypothesis": "the plot was badly awful !"}
        (labelled,) = predictor.json_to_labeled_instances(given)
        states: list[Tensor] = []

        def keep(module: Any, args: Any, output: Any) -> Any:
            own = output[0] if isinstance(output, tuple) else output
            states.append(own.detach().requires_grad_())
            return (states[-1], *output[1:]) if isinstance(output, tuple) else states[-1]

        handle = model.get_submodule(self.layer(zoo)).register_forward_hook(keep)
        try:
            from allennlp.data.batch import Batch

            batch = Batch([labelled])
            batch.index_instances(model.vocab)
            loss = model(**batch.as_tensor_dict())["loss"]
        finally:
            handle.remove()
        found = torch.autograd.grad(-loss, states)
        expected = [float((state * g).sum()) for state, g in zip(states, found, strict=True)]
        explanation = explain(LayerGradientXActivation(predictor, layer=self.layer(zoo)), given)
        sums = {one.field: sum(one.attributions) + one.unassigned for one in explanation.inputs}
        # The model reads the premise first.
        assert [sums["premise"], sums["hypothesis"]] == pytest.approx(expected, abs=1e-5)
        assert min(map(abs, expected)) > 1e-3


class TestErrors:
    @pytest.mark.parametrize(
        "method", [LayerGradientXActivation, LayerIntegratedGradients, LayerDeepLift]
    )
    def test_a_wrong_name_lists_close_ones(self, zoo: Zoo, method: Any) -> None:
        interpreter = method(zoo.predictor("bert"), layer=f"{BERT}.encoder.layers.0")
        with pytest.raises(InterpretationError, match=r"no layer .*layers\.0.*layer\.0'"):
            explain(interpreter)

    def test_a_name_like_none(self, zoo: Zoo) -> None:
        interpreter = LayerDeepLift(zoo.predictor("lstm"), layer="zzz")
        with pytest.raises(InterpretationError, match="'_text_field_embedder'"):
            explain(interpreter)

    @pytest.mark.parametrize(
        ("family", "layer"), [("bert", "_classification_layer"), ("lstm", "_seq2vec_encoder")]
    )
    def test_a_layer_without_positions(self, zoo: Zoo, family: str, layer: str) -> None:
        interpreter = LayerGradientXActivation(zoo.predictor(family), layer=layer)
        with pytest.raises(
            InterpretationError, match=r"not a vector per position.*name a layer whose output"
        ):
            explain(interpreter)

    def test_a_layer_that_returns_no_tensor(self, zoo: Zoo) -> None:
        predictor = predictor_of(Packing(), spread_vectors(("up",), 3))
        interpreter = LayerGradientXActivation(predictor, layer="function.inner")
        with pytest.raises(InterpretationError, match="returned a dict, not a vector per position"):
            explain(interpreter, "up")

    def test_a_layer_that_returns_numbers_without_gradients(self) -> None:
        predictor = predictor_of(Rounding(), spread_vectors(("up",), 3))
        interpreter = LayerGradientXActivation(predictor, layer="function.inner")
        with pytest.raises(InterpretationError, match=r"returned a torch\.int64, not a vector per"):
            explain(interpreter, "up")

    def test_a_layer_that_is_never_called(self, zoo: Zoo) -> None:
        interpreter = LayerGradientXActivation(zoo.predictor("bert"), layer=f"{BERT}.pooler")
        with pytest.raises(InterpretationError, match=r"not a vector per position|called none"):
            explain(interpreter)


class Packing(nn.Module):
    """Whose inner layer returns a dictionary."""

    class Inner(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"states": x}

    def __init__(self) -> None:
        super().__init__()
        self.inner = self.Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)["states"].sum(1)[:, :2]


class Rounding(nn.Module):
    """Whose inner layer returns integers."""

    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.round().long()

    def __init__(self) -> None:
        super().__init__()
        self.inner = self.Inner()

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.inner(x)).sum(1)[:, :2]
