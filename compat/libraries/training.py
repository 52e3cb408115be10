"""What `allennlp train` needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

from ..registry import after, around


@around(
    "allennlp.training.optimizers",
    why="transformers has no AdamW any more; torch's is another algorithm (no correct_bias)",
)
def hugging_face_adamw() -> Iterator[bool]:
    """The old algorithm, there only while the module is imported."""
    library: Any = import_module("transformers")
    if hasattr(library, "AdamW"):
        yield False
        return
    from .adamw import AdamW

    library.AdamW = AdamW
    try:
        yield True
    finally:
        del library.AdamW


@after(
    "allennlp.training.learning_rate_schedulers.pytorch_lr_schedulers",
    why="torch's ReduceLROnPlateau takes no `verbose` any more",
)
def plateau_verbose(module: Any) -> bool:
    """Accept `verbose` in a config as before, and do not pass it on."""
    import inspect

    import torch

    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
    if "verbose" in inspect.signature(plateau).parameters:
        return False
    scheduler = module.ReduceOnPlateauLearningRateScheduler
    original = scheduler.__init__
    signature = inspect.signature(original)

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        settings = {k: v for k, v in given.arguments.items() if k not in ("self", "verbose")}
        super(scheduler, self).__init__(plateau(**settings))

    scheduler.__init__ = __init__
    return True


@after(
    "allennlp.training.checkpointer",
    why="torch.load refuses the trainer's own state, which is more than tensors",
)
def trainer_state(module: Any) -> bool:
    """Trust what the user's own training run wrote, for `--recover`; weights stay tensors only."""
    import torch

    @wraps(module.Checkpointer.load_checkpoint)
    def load_checkpoint(self: Any) -> Any:
        latest = self.find_latest_checkpoint()
        if latest is None:
            return None
        weights, state = latest
        to_cpu = module.nn_util.device_mapping(-1)
        return module.TrainerCheckpoint(
            torch.load(weights, map_location=to_cpu, weights_only=True),
            torch.load(state, map_location=to_cpu, weights_only=False),
        )

    module.Checkpointer.load_checkpoint = load_checkpoint
    return True


@after(
    "allennlp.common.file_utils",
    why="the tensor cache writes pickle protocol 5, which torch.load refuses to read",
)
def tensor_cache(module: Any) -> bool:
    """Write the cache's tensors as torch does by default, so that they can be read safely."""
    import torch

    class Torch(ModuleType):
        """torch as this module uses it: no choice of a protocol, tensors only."""

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

        @staticmethod
        def save(tensor: Any, file: io.BytesIO, **kwargs: Any) -> None:
            torch.save(tensor, file)

        @staticmethod
        def load(file: io.BytesIO, **kwargs: Any) -> Any:
            try:
                return torch.load(file, weights_only=True, **kwargs)
            except UnpicklingError as error:
                raise RuntimeError(
                    "A tensor cache written by AllenNLP on an older torch cannot be read safely. "
                    "Delete the cache file; it is filled again."
                ) from error

    module.torch = Torch("torch")
    return True


@after(
    "allennlp.training.gradient_descent_trainer",
    why="torch's clip_grad_norm_ takes no sparse gradients any more",
)
def sparse_gradient_norm(module: Any) -> bool:
    """Take the norm over the values that a sparse gradient holds."""
    import torch

    clip = module.clip_grad_norm_

    @wraps(clip)
    def clip_grad_norm_(parameters: list[Any], max_norm: float, *args: Any, **kwargs: Any) -> Any:
        gradients = [parameter.grad for parameter in parameters]
        if not any(gradient.is_sparse for gradient in gradients):
            return clip(parameters, max_norm, *args, **kwargs)
        values = [g.coalesce().values() if g.is_sparse else g for g in gradients]
        norm = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(value) for value in values])
        )
        scale = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
        for gradient in gradients:
            gradient.mul_(scale)
        return norm

    module.clip_grad_norm_ = clip_grad_norm_
    return True


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
                worker = ctx.Process(
                    target=run_worker,
                    args=(
                        getattr(self, work),
                        worker_id,
                        queue,
                        module.Tqdm.get_lock(),
                        receiver,
                    ),
                    daemon=True,
                )
                worker.start()
                workers.append(worker)
                senders.append(sender)
            return workers, senders

        return start_workers

    loader._start_instance_workers = start("_instance_worker")
    loader._start_batch_workers = start("_batch_worker")
    return True
