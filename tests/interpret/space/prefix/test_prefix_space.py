"""The tokens of a generated text, explained together: the numbers are those of each alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Instance, Vocabulary
from torch import nn

from allennlp_saliency.interpret import EmbeddingSpace, Explanation, SaliencyInterpreter
from allennlp_saliency.interpret.positions import PADDING
from allennlp_saliency.interpret.space.prefix import prefix_space as nested_space
from allennlp_saliency.interpret.space.prefix.prefix_space import NotCausalError, PrefixSpace
from allennlp_saliency.interpret.space.prefix.prefix_targets import (
    gradients_of_targets,
    group_prefixes,
)
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, predictor, tokenizer

MODELS = [
    ("gpt2", "causal-lm"),
    ("llama", "causal-lm"),
    ("qwen3", "causal-lm"),
    ("gemma", "causal-lm"),
    ("t5", "seq2seq"),
    ("bart", "seq2seq"),
]
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in MODELS[2:4]]
METHODS: list[dict[str, Any]] = [
    {"type": "gradient", "target": "probability"},
    {"type": "input-x-gradient"},
    {"type": "input-x-gradient", "target": {"type": "entropy"}},
    {"type": "integrated-gradients", "steps": 4},
    {"type": "integrated-gradients", "steps": 4, "baseline": "mean", "token_budget": 50},
    {"type": "integrated-gradients", "max_steps": 65, "baseline": "mean"},
    {"type": "smooth-gradients", "num_samples": 2},
    {"type": "gradient-shap", "num_samples": 2},
    {"type": "sequential-integrated-gradients", "steps": 2},
    {"type": "one-hot-gradient"},
    {"type": "deeplift", "baseline": "mean"},
    {"type": "layer-gradient-x-activation"},
]
TEXT = {
    "causal-lm": {"prompt": "a great film, but the", "continuation": " plot was not very good"},
    "seq2seq": {"source": "john smith lives in london", "target": "mary lives in paris"},
}
OTHER = {
    "causal-lm": {"prompt": "mary lives", "continuation": " in paris"},
    "seq2seq": {"source": "mary", "target": "a film"},
}


def interpreter(method: dict[str, Any], name: str, task: str) -> SaliencyInterpreter:
    made = SaliencyInterpreter.from_params(Params(dict(method)), predictor=predictor(name, task))
    assert isinstance(made, SaliencyInterpreter)
    return made


def each_alone(made: SaliencyInterpreter, json: dict[str, Any]) -> list[Explanation]:
    """One interpretation per generated token, so that there is nothing to share."""
    whole = made.predictor._json_to_instance(json)
    steps = made.predictor.predictions_to_labeled_instances(whole, {})
    found = []
    for step in steps:
        made.predictor._dataset_reader.apply_token_indexers(step)

        class One(type(made.predictor)):  # type: ignore[misc]
            def predictions_to_labeled_instances(
                self, instance: Any, outputs: Any, step: Any = step
            ) -> list[Any]:
                return [step]

        one = One.__new__(One)
        one.__dict__.update(vars(made.predictor))
        kept, made.predictor = made.predictor, one
        try:
            found += made.interpret_json(json)
        finally:
            made.predictor = kept
    return found


@pytest.mark.parametrize(("name", "task"), [*MODELS[:2], *SLOW, *MODELS[4:]])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: "-".join(map(str, m.values())))
def test_together_as_alone(method: dict[str, Any], name: str, task: str) -> None:
    made = interpreter(method, name, task)
    together = made.interpret_batch_json([TEXT[task], OTHER[task]])
    for json, explanations in zip((TEXT[task], OTHER[task]), together, strict=True):
        alone = each_alone(made, json)
        assert len(alone) == len(explanations) > 1
        for one, other in zip(explanations, alone, strict=True):
            assert one.target["value"] == pytest.approx(other.target["value"], abs=1e-5)
            if name == "t5" and one.details.get("converged") is False:
                # Its norms make a step of the path's beginning, where rounding decides.
                continue
            # Rounding decides now and then whether a panel of the path is cut once more; of an
            # integral that ran out of steps there is nothing to compare then.
            cut = one.details.get("steps") != other.details.get("steps")
            if cut and False in (one.details.get("converged"), other.details.get("converged")):
                continue
            within = 0.01 * abs(one.target["value"] - one.target["baseline_value"]) if cut else 2e-5
            for left, right in zip(one.inputs, other.inputs, strict=True):
                assert left.tokens == right.tokens
                assert left.attributions == pytest.approx(right.attributions, rel=1e-4, abs=within)


@pytest.mark.parametrize(("name", "task"), MODELS)
def test_autograd_by_hand(name: str, task: str) -> None:
    made = interpreter({"type": "input-x-gradient", "target": "logit"}, name, task)
    explanations = made.interpret_json(TEXT[task])
    owner: Any = made.predictor
    transformer = owner._model.transformer
    embedding = transformer.get_input_embeddings()
    whole = owner._json_to_instance(TEXT[task])
    first = "prompt" if task == "causal-lm" else "source"
    before = [token.text_id for token in whole[first].tokens]
    after = [token.text_id for token in whole["request"].metadata["tokens"]]
    for number, explanation in enumerate(explanations):
        if task == "causal-lm":
            ids = torch.tensor([before + after[:number]])
            x = embedding(ids).detach().requires_grad_()
            logits = transformer(inputs_embeds=x).logits[0, -1]
            (g,) = torch.autograd.grad(logits[after[number]], [x])
            expected = (x * g).sum(-1)[0].tolist()
        else:
            start = transformer.config.decoder_start_token_id
            x = embedding(torch.tensor([before])).detach().requires_grad_()
            y = embedding(torch.tensor([[start, *after[:number]]])).detach().requires_grad_()
            logits = transformer(inputs_embeds=x, decoder_inputs_embeds=y).logits[0, -1]
            gx, gy = torch.autograd.grad(logits[after[number]], [x, y])
            expected = [*(x * gx).sum(-1)[0].tolist(), *(y * gy).sum(-1)[0].tolist()]
        by_field = {one.field: one for one in explanation.inputs}
        found = [*by_field[first].attributions, *by_field["generated"].attributions]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def rows_run(made: SaliencyInterpreter, json: dict[str, Any]) -> int:
    """How many rows go through the transformer's first block while explaining."""
    seen = []
    twins: list[nn.Module] = []
    original = PrefixSpace.__init__

    def listening(self: Any, session: Any, *args: Any, **kwargs: Any) -> None:
        model = session.twin.model
        if model not in twins:
            twins.append(model)
            block = model.transformer.transformer.h[0]
            block.register_forward_pre_hook(lambda m, args: seen.append(len(args[0])))
        original(self, session, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PrefixSpace, "__init__", listening)
        made.interpret_json(json)
    return sum(seen)


def test_the_tokens_share_their_forward_passes() -> None:
    json = {"prompt": "a great film", "continuation": " but the plot was not very good"}
    steps = len(interpreter({"type": "gradient"}, "gpt2", "causal-lm").interpret_json(json))
    assert steps > 5
    # The text whole, and its shortest beginning to compare with.
    assert rows_run(interpreter({"type": "gradient"}, "gpt2", "causal-lm"), json) == 2
    six = interpreter({"type": "integrated-gradients", "steps": 6}, "gpt2", "causal-lm")
    # One row more for the value at the baseline.
    assert rows_run(six, json) == 2 + 6 + 1
    # However little goes through the model at once, no text goes again for more of its tokens.
    few = interpreter(
        {"type": "integrated-gradients", "steps": 6, "token_budget": 1}, "gpt2", "causal-lm"
    )
    assert rows_run(few, json) == 2 + 6 + 1


def test_a_model_that_looks_ahead_is_not_shared() -> None:
    """An encoder that is asked for the next token sees those behind it too."""
    encoder = model("bert", "causal-lm", is_decoder=False)
    own = TransformersPredictor.from_pretrained(
        encoder, tokenizer(KINDS["bert"].tokenizer), task="causal-lm"
    )
    json = {"prompt": "a great film", "continuation": " was not very good"}
    made = SaliencyInterpreter.from_params(
        Params({"type": "input-x-gradient", "target": "logit"}), predictor=own
    )
    explanations = made.interpret_json(json)
    assert len(explanations) > 2
    alone = each_alone(made, json)
    for one, other in zip(explanations, alone, strict=True):
        for left, right in zip(one.inputs, other.inputs, strict=True):
            assert left.attributions == pytest.approx(right.attributions, rel=1e-4, abs=1e-6)


class _Alone(torch.autograd.Function):
    """x, with a backward pass that takes one gradient at a time."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0] * (2 if float(grads[0].sum()) > 1e9 else 1)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_targets_of_a_linear_model(alone: bool, at_once: int) -> None:
    """Targets at the same place, at different places of a row and in different rows: w_t each."""
    torch.manual_seed(0)
    leaf = torch.randn(2, 3, 4, requires_grad=True)
    states = _Alone.apply(leaf * 2) if alone else leaf * 2
    rows, places = torch.tensor([0, 0, 0, 1, 0]), torch.tensor([1, 1, 2, 0, 1])
    w = torch.randn(5, 4)
    values = (states[rows, places] * w).sum(-1)
    (found,) = gradients_of_targets(values, states, (rows, places), [leaf], at_once)
    expected = torch.zeros(5, 2, 3, 4)
    expected[torch.arange(5), rows, places] = 2 * w
    assert torch.equal(found, expected[torch.arange(5), rows])


def test_what_shares_a_row() -> None:
    """The longest first; a text's own; nothing whose beginning differs."""
    marks = [[1, 2, 3], [1, 2, 9], [1, 2, 3], [1, 5, 6]]
    assert group_prefixes(marks, [0, 0, 1, 0], [2, 1, 2, 2]) == [[0, 1], [3], [2]]
    assert group_prefixes(marks, [0, 0, 0, 0], [1, 0, 2, 2]) == [[2, 0, 1], [3]]


@pytest.mark.parametrize(("name", "task"), [("gpt2", "causal-lm"), ("bart", "seq2seq")])
def test_fingerprints_differ_where_beginnings_do(name: str, task: str) -> None:
    """A point that is changed at one position is another for all beginnings with that position."""
    spaces: list[Any] = []
    made: Any = interpreter({"type": "gradient"}, name, task)
    attribute = made.attribute
    made.attribute = lambda space: spaces.append(space) or attribute(space)
    made.interpret_json(TEXT[task])
    (space,) = spaces
    assert isinstance(space, PrefixSpace)
    row, layout = len(space.instances) - 1, space.layout
    count = layout.tokens.shape[1]
    points = space.embeddings[row].repeat(count + 1, 1)
    points[1:] += layout.expand(torch.eye(count)).to(points)
    marks = space._fingerprints(points, torch.full((count + 1,), row))
    generated = layout.tokens_of("generated")[row]
    for position in range(count):
        token = int(generated[position])
        belongs = [n > token for n in range(marks.shape[1])]
        if token < 0:
            belongs = [int(layout.tokens[row, position]) != PADDING] * marks.shape[1]
        assert (marks[position + 1] != marks[0]).tolist() == belongs


@pytest.mark.parametrize("type_", ["smooth-gradients", "gradient-shap"])
def test_equal_fingerprints_are_not_trusted(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points whose fingerprints are the same by chance are compared, and run by themselves."""
    made = interpreter({"type": type_, "num_samples": 2, "seed": 3}, "gpt2", "causal-lm")
    expected = made.interpret_json(TEXT["causal-lm"])
    alike: list[int] = []

    def all_the_same(self: Any, points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        alike.append(len(points))
        return torch.zeros(len(points), int(self._lengths.max()) + 1, dtype=torch.long)

    monkeypatch.setattr(PrefixSpace, "_fingerprints", all_the_same)
    found = made.interpret_json(TEXT["causal-lm"])
    assert max(alike) > len(expected), "no points that could be mistaken for one another"
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(one.inputs, other.inputs, strict=True):
            assert left.attributions == pytest.approx(right.attributions, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("refused", "above"), [("_run_whole", 0), ("backwards", 0), ("backwards", 1), ("backwards", 3)]
)
def test_out_of_memory(refused: str, above: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many targets at once are too many; if one is, each text is read by itself."""
    made = interpreter({"type": "integrated-gradients", "steps": 4}, "gpt2", "causal-lm")
    expected = made.interpret_json(TEXT["causal-lm"])
    backwards, attempts = nested_space.gradients_of_targets, []

    def little(values: Any, *args: Any) -> Any:
        attempts.append(1)
        if len(values) > above:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backwards(values, *args)

    if refused == "backwards":
        monkeypatch.setattr(nested_space, "gradients_of_targets", little)
    else:
        monkeypatch.setattr(PrefixSpace, refused, lambda self, targets, *_: little(targets))
    found = made.interpret_json(TEXT["causal-lm"])
    assert len(attempts) < 100
    for one, other in zip(found, expected, strict=True):
        for left, right in zip(one.inputs, other.inputs, strict=True):
            assert left.attributions == pytest.approx(right.attributions, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("dtype", "cast", "within", "beyond"),
    [
        (torch.float32, False, 2e-5, 1e-4),
        (torch.float16, False, 1e-2, 4e-2),
        (torch.bfloat16, False, 5e-2, 2e-1),
        # Under autocast the model computes in fewer digits than its weights have.
        (torch.float32, True, 5e-2, 2e-1),
    ],
)
def test_how_far_a_prefix_alone_may_differ(
    dtype: torch.dtype, cast: bool, within: float, beyond: float
) -> None:
    """As far as rounding of the type that the model computes in, as a share of the largest."""
    alone = torch.tensor([[4.0, -10.0, 0.0]])
    space: Any = SimpleNamespace(
        instances=[Instance({})] * 2,
        vocab=Vocabulary(),
        device=torch.device("cpu"),
        model=lambda: {"logits": alone},
        _twin=SimpleNamespace(dtype=dtype),
    )

    def check(share: float) -> None:
        shared = torch.stack([torch.zeros(3), alone[0] + torch.tensor([0.0, 0.0, 10 * share])])
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            PrefixSpace._check_alone(space, {"logits": shared}, 1)

    check(within)
    for share in (beyond, -beyond):
        with pytest.raises(NotCausalError):
            check(share)


def test_what_is_not_shared_stays_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NotCausalError

    monkeypatch.setattr(PrefixSpace, "_check_alone", refuse)
    made: Any = interpreter({"type": "gradient"}, "gpt2", "causal-lm")
    spaces: list[EmbeddingSpace] = []
    attribute = made.attribute
    made.attribute = lambda space: spaces.append(space) or attribute(space)
    explanations = made.interpret_json({"prompt": "a great", "continuation": " film"})
    assert [type(space) for space in spaces] == [EmbeddingSpace]
    assert len(spaces[0].instances) == len(explanations) > 1
