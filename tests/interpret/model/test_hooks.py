"""What a forward pass changes of a model is put back."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BigBirdConfig, BigBirdForSequenceClassification

from allennlp_saliency.interpret.model.hooks import state_kept

SHORT, LONG = torch.arange(1, 6)[None], torch.arange(1, 61)[None] % 29 + 1


def big_bird() -> BigBirdForSequenceClassification:
    torch.manual_seed(0)
    config = BigBirdConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        attention_type="block_sparse",
        block_size=4,
        num_random_blocks=1,
    )
    return BigBirdForSequenceClassification(config).eval()


def test_a_short_text_leaves_big_bird_sparse() -> None:
    model = big_bird()
    modules = dict(model.named_modules())
    config = model.config.to_dict()
    with torch.no_grad():
        before = model(LONG).logits
        with state_kept(model):
            short = model(SHORT).logits
        with state_kept(model):
            assert torch.equal(model(SHORT).logits, short)
        assert model.bert.attention_type == "block_sparse"
        assert dict(model.named_modules()) == modules
        assert model.config.to_dict() == config
        assert torch.equal(model(LONG).logits, before)
        # And it does change itself otherwise.
        model(SHORT)
    assert model.bert.attention_type != "block_sparse"


class Changing(nn.Module):
    """Changes all that it holds, once told to."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.config = BertConfig()
        self.register_buffer("table", torch.ones(2))
        self.plain = torch.ones(3)
        self.seen: list[int] = []
        self.named: dict[str, int] = {"a": 1}
        self.few: set[int] = {1}
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.seen.append(1)
        self.named["b"] = 2
        self.named["a"] = 3
        self.few.add(2)
        self.table = torch.zeros(5)
        self.plain = torch.zeros(3)
        self.later = "set"
        del self.inner[0]
        self.config.hidden_act = "relu"
        self.config.new = 1
        self.inner.weight = nn.Parameter(torch.ones(1))
        return x


@pytest.mark.parametrize("fails", [False, True])
def test_all_that_a_module_holds(fails: bool) -> None:
    module = Changing()
    inner, table, plain, seen = list(module.inner), module.table, module.plain, module.seen
    act = module.config.hidden_act

    def run() -> Any:
        with state_kept(module):
            module(torch.ones(2))
            if fails:
                raise ValueError("no")

    if fails:
        with pytest.raises(ValueError, match="no"):
            run()
    else:
        run()
    assert list(module.inner) == inner
    assert list(dict(module.inner.named_children())) == ["0", "1"]
    assert not list(module.parameters())[2:]
    assert module.table is table
    assert module.plain is plain
    assert module.seen is seen
    assert (module.seen, module.named, module.few, module.count) == ([], {"a": 1}, {1}, 0)
    assert not hasattr(module, "later")
    assert module.config.hidden_act == act
    assert not hasattr(module.config, "new")


def test_nothing_is_written_where_nothing_changed() -> None:
    module = nn.Linear(2, 2)

    class Watched(dict):  # type: ignore[type-arg]
        def __setitem__(self, *_: Any) -> None:
            raise AssertionError

    module._buffers = Watched()
    with state_kept(module):
        module(torch.ones(2))


def test_it_takes_next_to_nothing() -> None:
    model = BertModel(BertConfig(num_hidden_layers=12)).eval()

    def seconds(run: Any) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        return min(times)

    def kept() -> None:
        with state_kept(model):
            pass

    with torch.no_grad():
        assert seconds(kept) < 0.02 * seconds(lambda: model(LONG))
