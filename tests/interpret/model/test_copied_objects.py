"""What a copy of a model shares with it, and what it has of its own."""

from __future__ import annotations

from typing import Any

from torch import nn

from allennlp_saliency.interpret.model.private_copy import private_copy


class Counting(nn.Module):
    """Copies itself in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Counting:
        made = Counting()
        made.copies = self.copies + 1
        return made


def test_modules_that_say_how_they_are_copied() -> None:
    module = nn.Sequential(Counting(), nn.Linear(2, 2))
    copied = private_copy(module).model
    assert copied[0].copies == 1


def test_what_modules_share_their_copies_share() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    module[0].seen = module[1].seen = []
    module[0].of = module[1].of = {"whole": [module], "first": module[0]}
    module.append(module[0])
    copied = private_copy(module).model
    assert copied[2] is copied[0]
    assert copied[1].weight is copied[0].weight
    assert copied[1].seen is copied[0].seen
    assert copied[0].seen is not module[0].seen
    assert copied[1].of is copied[0].of
    assert copied[0].of["whole"] == [copied]
    assert copied[0].of["first"] is copied[0]


def test_a_copy_has_containers_of_its_own() -> None:
    module = nn.Linear(2, 2)
    copied = private_copy(module).model
    assert vars(copied).keys() == vars(module).keys()
    for name, value in vars(module).items():
        if isinstance(value, (dict, set)):
            assert type(vars(copied)[name]) is type(value), name
            assert vars(copied)[name] is not value, name
    copied.register_forward_hook(lambda *_: None)
    copied.eval()
    assert not module._forward_hooks
    assert module.training
