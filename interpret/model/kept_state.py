"""A model's state as it was before a forward pass.

Some models change themselves while they run: BigBird turns its sparse attention off for good once a
text is short, others lengthen a table of positions. Later inputs are then computed in another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import PretrainedConfig

_OWN = frozenset(vars(nn.Module()))
_CONTAINERS = frozenset((list, dict, set))
_REGISTERED = ("_parameters", "_buffers", "_modules")
_PLAIN = frozenset((int, float, bool, str, type(None)))


@contextmanager
def state_kept(module: nn.Module) -> Iterator[None]:
    """Restores the state of a module and its submodules after a forward pass.

    Attributes, registered submodules, parameters and buffers, the items of lists, dictionaries and
    sets that are attributes, and the attributes of Hugging Face configs are those from before,
    the same objects. Changes of a tensor in place are not undone.

    Args:
        module: The module that is run. Two threads that run the same one at the same time may see
            what the other's forward pass changes, as they do without this.
    """
    modules = list(map(vars, module.modules()))
    registered = [one[name] for name in _REGISTERED for one in modules]
    empty = [one for one in registered if not one]
    held = [(one, one.copy()) for one in (*modules, *registered) if one]
    own = [one[name] for one in modules for name in one.keys() - _OWN]
    others = [one for one in own if type(one) not in _PLAIN]
    containers = [(one, one.copy()) for one in others if type(one) in _CONTAINERS]
    configs = {id(one): one for one in others if isinstance(one, PretrainedConfig)}
    pending = list(configs.values())
    while pending:
        attributes = vars(pending.pop())
        held.append((attributes, attributes.copy()))
        for value in attributes.values():
            if isinstance(value, PretrainedConfig) and id(value) not in configs:
                configs[id(value)] = value
                pending.append(value)
            elif type(value) in _CONTAINERS:
                containers.append((value, value.copy()))
    try:
        yield
    finally:
        for one in empty:
            if one:
                one.clear()
        for now, before in (*held, *containers):
            if _same(now, before):
                continue
            if isinstance(now, list):
                now[:] = before
            elif isinstance(now, set):
                now.intersection_update(before)
                now.update(before)
            else:
                _put_back(now, before)


def _same(now: Any, before: Any) -> bool:
    # Ten times as fast as to compare one by one: equality looks at identity first, and what is
    # equal without being the same (1 and True, two lists) makes no difference.
    try:
        return bool(now == before)
    except (RuntimeError, ValueError):
        # Tensors that are not the same have no one truth value.
        return False


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in [name for name in now if name not in before]:
        del now[name]
    if list(now) != [name for name in before if name in now] or len(now) < len(before):
        # The order of submodules is that of a `Sequential`.
        now.clear()
    now.update(before)
