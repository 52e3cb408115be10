"""`allennlp train`: optimizers, schedulers, clipping, recovery, workers."""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy
import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.file_utils import TensorCache
from allennlp.common.util import int_to_device
from allennlp.models import load_archive
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import clip_grad_norm_
from allennlp.training.optimizers import HuggingfaceAdamWOptimizer, Optimizer

from allennlp_saliency.compat.libraries.adamw import AdamW


def _steps(optimizer: Any, weight: torch.Tensor, count: int) -> list[float]:
    values = []
    for step in range(count):
        weight.grad = torch.tensor([1.0 + step, -0.5], dtype=weight.dtype)
        optimizer.step()
        values += weight.tolist()
    return values


def test_adamw_is_adam_where_they_agree() -> None:
    # With eps 0 and no decay the two algorithms are the same.
    ours = torch.zeros(2, dtype=torch.double, requires_grad=True)
    theirs = torch.zeros(2, dtype=torch.double, requires_grad=True)
    a = _steps(AdamW([ours], lr=0.1, eps=0.0), ours, 20)
    b = _steps(torch.optim.Adam([theirs], lr=0.1, eps=0.0), theirs, 20)
    assert a == pytest.approx(b, rel=1e-12)


@pytest.mark.parametrize("correct_bias", [True, False])
def test_adamw_first_step_by_hand(correct_bias: bool) -> None:
    weight = torch.tensor([2.0], dtype=torch.double, requires_grad=True)
    weight.grad = torch.tensor([3.0], dtype=torch.double)
    AdamW([weight], lr=0.1, eps=0.5, weight_decay=0.2, correct_bias=correct_bias).step()
    mean, root = 0.1 * 3.0, math.sqrt(0.001 * 9.0)
    size = 0.1 * (math.sqrt(0.001) / 0.1 if correct_bias else 1.0)
    stepped = 2.0 - size * mean / (root + 0.5)
    assert weight.item() == pytest.approx(stepped * (1 - 0.1 * 0.2), rel=1e-12)


def test_adamw_is_what_configs_name() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = Optimizer.from_params(
        Params({"type": "huggingface_adamw", "lr": 0.1, "correct_bias": False}),
        model_parameters=[("weight", weight)],
    )
    assert isinstance(optimizer, HuggingfaceAdamWOptimizer)
    assert optimizer.param_groups[0]["correct_bias"] is False
    with pytest.raises(ValueError, match="lr >= 0"):
        AdamW([weight], lr=-1.0)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_sparse_gradients_are_clipped_like_dense_ones(max_norm: float) -> None:
    gradients = []
    for sparse in (False, True):
        table = torch.nn.Embedding.from_pretrained(torch.ones(5, 2), freeze=False, sparse=sparse)
        other = torch.nn.Parameter(torch.ones(3))
        # Row 1 occurs twice: its gradients add up before the norm is taken.
        (
            table(torch.tensor([1, 1, 3])).sum() + (other * torch.tensor([1.0, 2.0, 3.0])).sum()
        ).backward()
        norm = clip_grad_norm_([table.weight, other], max_norm)
        assert norm.item() == pytest.approx(math.sqrt(4 + 4 + 1 + 1 + 1 + 4 + 9))
        grad = table.weight.grad
        gradients.append(torch.cat([grad.to_dense().flatten(), other.grad]))
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_tensor_cache_reads_what_it_wrote_and_no_pickled_code(tmp_path: Path) -> None:
    cache = TensorCache(tmp_path / "cache")
    cache["x"] = torch.arange(3.0)
    cache.cache_cache.clear()
    assert cache["x"].tolist() == [0, 1, 2]
    with cache.lmdb_env.begin(write=True) as transaction:
        transaction.put(b"old", _saved_with_protocol_5())
    with pytest.raises(RuntimeError, match="Delete the cache file"):
        cache["old"]


def _saved_with_protocol_5() -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(torch.ones(1), buffer, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    return buffer.getvalue()


def test_device_numbers() -> None:
    assert int_to_device(-1) == torch.device("cpu")
    assert int_to_device(torch.device("cpu")) == torch.device("cpu")
    if not torch.accelerator.is_available():
        assert int_to_device(0) == torch.device("cuda", 0)
    else:
        assert int_to_device(0).index == 0


def _config(data: Path, epochs: int, loader: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset_reader": {"type": "text_classification_json"},
        "train_data_path": str(data),
        "validation_data_path": str(data),
        "model": {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {"tokens": {"embedding_dim": 4, "sparse": True}}
            },
            "seq2vec_encoder": {"type": "bag_of_embeddings", "embedding_dim": 4},
        },
        "data_loader": {"batch_size": 2, **loader},
        "trainer": {
            "num_epochs": epochs,
            "grad_norm": 1.0,
            "cuda_device": -1,
            "optimizer": {"type": "sgd", "lr": 0.1, "momentum": 0.0},
            "learning_rate_scheduler": {"type": "reduce_on_plateau", "verbose": True},
            "checkpointer": {"keep_most_recent_by_count": 2},
        },
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four labelled sentences."""
    path = tmp_path / "data.jsonl"
    lines = [("a good film", "positive"), ("a bad film", "negative")] * 2
    path.write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in lines))
    return path


class Interrupted(Exception):
    """What stops the first run."""


@TrainerCallback.register("interrupt-after-first-epoch")
class InterruptAfterFirstEpoch(TrainerCallback):
    """Stops a run once, after the first epoch has been saved."""

    recovered: ClassVar[list[bool]] = []
    restored: ClassVar[list[Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """A number as metrics hold them, which is more than a tensor to torch.load."""
        return {"accuracy": numpy.float64(0.5)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Note what came back."""
        self.restored.append(state_dict["accuracy"])

    def on_start(self, trainer: Any, is_primary: bool = True, **kwargs: Any) -> None:
        """Note whether this run goes on from another."""
        self.recovered.append(trainer._start_after_epochs_completed > 0)

    def on_epoch(self, trainer: Any, metrics: Any, epoch: int, **kwargs: Any) -> None:
        """Stop in the second epoch of a run that began from nothing."""
        if epoch == 1 and not self.recovered[-1]:
            raise Interrupted


def test_train_recover_and_load(data: Path, tmp_path: Path) -> None:
    config = _config(data, 3, {})
    config["trainer"]["callbacks"] = ["interrupt-after-first-epoch"]
    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_model(Params(copy.deepcopy(config)), str(folder))
    assert not (folder / "model.tar.gz").exists()

    train_model(Params(copy.deepcopy(config)), str(folder), recover=True)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epoch"] == 2
    assert InterruptAfterFirstEpoch.recovered == [False, True]
    assert InterruptAfterFirstEpoch.restored == [0.5]
    model = load_archive(folder / "model.tar.gz").model
    assert type(model).__name__ == "BasicClassifier"


def test_workers_of_any_start_method(data: Path, tmp_path: Path) -> None:
    loader = {"num_workers": 1, "start_method": "spawn"}
    train_model(Params(_config(data, 1, loader)), str(tmp_path / "run"))
    assert (tmp_path / "run" / "metrics_epoch_0.json").exists()
