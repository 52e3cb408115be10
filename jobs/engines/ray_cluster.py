"""A connection to Ray: to a cluster that runs, or to one of this machine's cores and GPUs."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from allennlp.common.checks import ConfigurationError

from .surroundings import variables

logger = logging.getLogger(__name__)

# How Ray of this machine is imported and started: without reports of its use; with a token, which
# Ray would else write into the user's home (it sets the mode itself); and listening at the loopback
# address alone, as it does by itself on macOS and Windows. It reads the last when it is imported.
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_OWN = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": None, _LOOPBACK: "0"}
_THIS_MACHINE = ("127.0.0.1", "::1")
_STORE_BYTES = 200_000_000
_REACHED_SECONDS = 10.0
_LONGEST_FOLDER = 20  # the paths of Ray's sockets below it may have 107 characters


def check_installed() -> None:
    """Checks that Ray is installed, and does not import it yet.

    Raises:
        ConfigurationError: If it is not installed.
    """
    if find_spec("ray") is None:
        raise ConfigurationError(
            "the engine ray needs Ray: pip install 'allennlp-saliency[ray]', in a clone: "
            "pip install '.[ray]'; the engine local needs nothing"
        )


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[Any]:
    """Ray, connected for as long as the block lasts; what was started for it ends with it.

    A connection that this process has already is used, and left as it is.

    Args:
        address: `host:6379`, `ray://host:10001` or `auto`; None for the variable RAY_ADDRESS and,
            without it, for Ray processes of this machine that end afterwards.
        cores: How many cores the latter may hand out.

    Raises:
        ConfigurationError: If the cluster cannot be reached.
    """
    present = sys.modules.get("ray")
    if present is not None and present.is_initialized():
        yield present
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    with _of_this_machine(cores) if address == "local" else _cluster(address) as ray:
        yield ray


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """A cluster that runs; by itself, Ray tries for minutes and then ends the process."""
    try:
        if address != "auto":
            parts = urlsplit(address if "//" in address else f"//{address}")
            if not parts.hostname or not parts.port:
                raise ValueError("it is no host:port")
            socket.create_connection((parts.hostname, parts.port), _REACHED_SECONDS).close()
        import ray

        with _signals_kept():
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                runtime_env={"env_vars": variables()},
            )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConfigurationError(
            f"no Ray cluster can be reached at {address}: {error}. `ray start --head` starts one "
            "and says its address; one that asks for a token needs RAY_AUTH_MODE=token here, too, "
            "and the same token; without an address, the workers run on this machine"
        ) from error
    try:
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()


@contextmanager
def _of_this_machine(cores: int) -> Iterator[Any]:
    """Ray for this process alone: no page, no reports of its use, a small store; it ends, and its
    files go, with the block."""
    with _variables(**_OWN):
        import ray
    folder = tempfile.mkdtemp(prefix="ray-", dir=_short_temporary_folder())
    try:
        with _signals_kept(), _variables(**_OWN, RAY_AUTH_TOKEN=_token()):
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=os.path.join(folder, "ray"),  # which Ray opens to all users
            )
        if ray.util.get_node_ip_address() not in _THIS_MACHINE:  # imported without _OWN, by others
            logger.warning(
                "Ray was imported before, and listens to the network while the job runs; with "
                "%s=0 in the environment it listens to this machine alone",
                _LOOPBACK,
            )
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _short_temporary_folder() -> str | None:
    return "/tmp" if len(tempfile.gettempdir()) > _LONGEST_FOLDER else None


@contextmanager
def _variables(**values: str | None) -> Iterator[None]:
    """Sets variables, or takes them away where None; afterwards they are as they were."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@cache
def _token() -> str:
    """The secret of this process's own clusters: one, since Ray remembers the first that it saw."""
    return secrets.token_hex(32)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Puts back the handler of SIGTERM, which Ray replaces by one that ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
