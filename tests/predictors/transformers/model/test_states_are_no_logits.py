"""What a module of a user's own returns before its logits."""

from __future__ import annotations

from typing import Any

import pytest
import transformers as tf

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.own_modules import CONFIG, OfTensor, Own
from tests.zoo.word_level import ENCODER as SIZES
from tests.zoo.word_level import bert_like, ready


class StatesFirst(Own):
    """Returns what it pools before its logits."""

    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        states = self.bert(input_ids, attention_mask=attention_mask)[0]
        return states[:, 0], self.head(states[:, 0])


class StatesOnly(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        return self.bert(input_ids, attention_mask=attention_mask)[0]


class StatesByName(StatesFirst):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        states, logits = super().forward(input_ids, attention_mask)
        return {"states": states, "logits": logits}


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (StatesFirst, "text-classification"),
        (StatesOnly, "token-classification"),
    ],
)
def test_states_are_no_logits(kind: Any, task: str) -> None:
    """Each of their coordinates would be a label."""
    predictor = TransformersPredictor.from_pretrained(
        ready(kind(CONFIG)), bert_like(types=False), task=task
    )
    told = f"{kind.__name__} returns first, without a name, numbers for 16 labels, and its config"
    with pytest.raises(InterpretationError, match=f"{told} names 3 .*return .'logits': …"):
        predictor.predict_json({"sentence": "bad film"})


def test_states_are_no_logits_where_the_config_says_nothing_of_labels() -> None:
    config = tf.BertConfig(**SIZES, max_position_embeddings=64)
    own = ready(StatesFirst(config, outputs=2))
    predictor = TransformersPredictor.from_pretrained(
        own, bert_like(types=False), task="text-classification"
    )
    with pytest.raises(InterpretationError, match="numbers for 16 labels, and its config names 2"):
        predictor.predict_json({"sentence": "bad film"})
    # Of five labels that nobody named there are no others to take them for.
    own = ready(OfTensor(config, outputs=5))
    predictor = TransformersPredictor.from_pretrained(own, bert_like(), task="text-classification")
    assert len(predictor.predict_json({"sentence": "bad film"})["logits"]) == 5


def test_the_way_out_where_states_come_first() -> None:
    predictor = TransformersPredictor.from_pretrained(
        ready(StatesByName(CONFIG)), bert_like(types=False), task="text-classification"
    )
    assert len(predictor.predict_json({"sentence": "bad film"})["logits"]) == 3
