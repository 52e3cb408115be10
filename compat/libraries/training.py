"""What `allennlp train` needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib import import_module
from inspect import signature
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import Any

from ..registry import Original, after, around, lent, patch


@around(
    "allennlp.training.optimizers",
    why="transformers has no AdamW any more; torch's is another algorithm (no correct_bias)",
)
def hugging_face_adamw() -> Iterator[bool]:
    """The old algorithm, there only while the module is imported."""
    from .adamw import AdamW

    with lent(import_module("transformers"), {"AdamW": AdamW}) as acts:
        yield acts


def _plateau_without_verbose(module: Any) -> bool:
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    return "verbose" not in signature(ReduceLROnPlateau).parameters


@patch(
    "allennlp.training.learning_rate_schedulers.pytorch_lr_schedulers",
    "ReduceOnPlateauLearningRateScheduler.__init__",
    why="torch's ReduceLROnPlateau takes no `verbose` any more",
    needed=_plateau_without_verbose,
)
def plateau_verbose(original: Original, scheduler: Any, *args: Any, **kwargs: Any) -> None:
    """Accept `verbose` in a config as before, and do not pass it on."""
    from allennlp.training.learning_rate_schedulers import pytorch_lr_schedulers as module
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    given = signature(original).bind(scheduler, *args, **kwargs)
    given.apply_defaults()
    settings = {k: v for k, v in given.arguments.items() if k not in ("self", "verbose")}
    plateau: Any = module.ReduceOnPlateauLearningRateScheduler
    super(plateau, scheduler).__init__(ReduceLROnPlateau(**settings))


@patch(
    "allennlp.training.checkpointer",
    "Checkpointer.load_checkpoint",
    why="torch.load refuses the trainer's own state, which is more than tensors",
)
def trainer_state(original: Original, checkpointer: Any) -> Any:
    """Trust what the user's own training run wrote, for `--recover`; weights stay tensors only."""
    import torch
    from allennlp.nn.util import device_mapping
    from allennlp.training.checkpointer import TrainerCheckpoint

    latest = checkpointer.find_latest_checkpoint()
    if latest is None:
        return None
    weights, state = latest
    to_cpu = device_mapping(-1)
    return TrainerCheckpoint(
        torch.load(weights, map_location=to_cpu, weights_only=True),
        torch.load(state, map_location=to_cpu, weights_only=False),
    )


@after(
    "allennlp.common.file_utils",
    why="the tensor cache writes pickle protocol 5, which torch.load refuses to read",
)
def tensor_cache(module: Any) -> bool:
    """Write the cache's tensors as torch does by default, so that they can be read safely."""
    import torch

    def save(tensor: Any, file: io.BytesIO, **kwargs: Any) -> None:
        torch.save(tensor, file)

    def load(file: io.BytesIO, **kwargs: Any) -> Any:
        try:
            return torch.load(file, weights_only=True, **kwargs)
        except UnpicklingError as error:
            raise RuntimeError(
                "A tensor cache written by AllenNLP on an older torch cannot be read safely. "
                "Delete the cache file; it is filled again."
            ) from error

    # It is all that this module uses of torch once it is imported.
    module.torch = SimpleNamespace(save=save, load=load, Tensor=torch.Tensor)
    return True


@patch(
    "allennlp.training.gradient_descent_trainer",
    "clip_grad_norm_",
    why="torch's clip_grad_norm_ takes no sparse gradients any more",
)
def sparse_gradient_norm(
    clip: Original, parameters: list[Any], max_norm: float, *args: Any, **kwargs: Any
) -> Any:
    """Take the norm over the values that a sparse gradient holds."""
    import torch

    gradients = [parameter.grad for parameter in parameters]
    if not any(gradient.is_sparse for gradient in gradients):
        return clip(parameters, max_norm, *args, **kwargs)
    values = [g.coalesce().values() if g.is_sparse else g for g in gradients]
    norms = torch.stack([torch.linalg.vector_norm(value) for value in values])
    norm = torch.linalg.vector_norm(norms)
    scale = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
    return norm


def run_worker(work: Callable[..., None], *arguments: Any) -> None:
    """What a worker process runs.

    A spawned process imports this function before it unpickles AllenNLP's objects, and so has the
    shims in place for them, in an environment that has not been enabled, too.
    """
    work(*arguments)


@after(
    "allennlp.data.data_loaders.multiprocess_data_loader",
    why="workers of another start method are given a lock of the default one, and refuse it",
)
def worker_lock(module: Any) -> bool:
    """Take the progress bar's lock from the context that starts the workers."""
    loader = module.MultiProcessDataLoader

    def start(work: str) -> Any:
        def start_workers(self: Any, queue: Any, ctx: Any) -> tuple[list[Any], list[Any]]:
            module.Tqdm.set_lock(ctx.RLock())
            workers, senders = [], []
            for worker_id in range(self.num_workers):
                receiver, sender = ctx.Pipe(duplex=False)
                lock = module.Tqdm.get_lock()
                given = (getattr(self, work), worker_id, queue, lock, receiver)
                worker = ctx.Process(target=run_worker, args=given, daemon=True)
                worker.start()
                workers.append(worker)
                senders.append(sender)
            return workers, senders

        return start_workers

    loader._start_instance_workers = start("_instance_worker")
    loader._start_batch_workers = start("_batch_worker")
    return True
