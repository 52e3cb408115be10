"""A check that dies or hangs, in a module that other processes can import."""

from __future__ import annotations

import os
import time

from tests.zoo.architectures import Pair, Result


def check(pair: Pair) -> Result:
    """Does what the architecture is called: "dies", "hangs" or something else."""
    if pair.architecture == "dies":
        os._exit(3)
    if pair.architecture == "hangs":
        time.sleep(600)
    return Result(pair.name, pair.class_name)
