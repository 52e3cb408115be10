"""A connection to Ray: to a cluster that runs, or to one of this machine's cores and GPUs."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from allennlp.common.checks import ConfigurationError

from .surroundings import variables

logger = logging.getLogger(__name__)

# Ray sets the mode itself. Without a token it would write one into the user's home.
_OWN = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": None}
_STORE_BYTES = 200_000_000
_REACHED_SECONDS = 10.0
_LONGEST_FOLDER = 40  # the paths of Ray's sockets below it may have 107 characters


def import_ray() -> Any:
    """Ray, or the line that installs it.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"the engine ray needs Ray ({error}): pip install 'allennlp-saliency[ray]', in a "
            "clone: pip install '.[ray]'; the engine local needs nothing"
        ) from error
    return ray


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[Any]:
    """Ray, connected for as long as the block lasts; what was started for it ends with it.

    A connection that this process has already is used, and left as it is.

    Args:
        address: `host:6379`, `ray://host:10001` or `auto`; None for the variable RAY_ADDRESS and,
            without it, for Ray processes of this machine that end afterwards.
        cores: How many cores the latter may hand out.

    Raises:
        ConfigurationError: If Ray is not installed or the cluster cannot be reached.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    folder = None
    try:
        with _signals_kept():
            if address is not None and address != "local":
                _connect(ray, address)
            else:
                folder = tempfile.mkdtemp(prefix="ray-", dir=_short_temporary_folder())
                _start(ray, folder, cores)
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _connect(ray: Any, address: str) -> None:
    """Connects to a cluster; by itself, Ray tries for minutes and then ends the process."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    try:
        if address != "auto":
            if not parts.hostname or not parts.port:
                raise ValueError("it is no host:port")
            socket.create_connection((parts.hostname, parts.port), _REACHED_SECONDS).close()
        ray.init(
            address=address,
            logging_level="ERROR",
            log_to_driver=False,
            runtime_env={"env_vars": variables()},
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise ConfigurationError(
            f"no Ray cluster can be reached at {address}: {error}. `ray start --head` starts one "
            "and says its address; one that asks for a token needs RAY_AUTH_MODE=token here, too; "
            "without an address, the workers run on this machine"
        ) from error


def _start(ray: Any, folder: str, cores: int) -> None:
    """Starts Ray on this machine, for it alone: no page, no reports of its use, a small store."""
    with _variables(**_OWN, RAY_AUTH_TOKEN=_token()), _loopback():
        ray.init(
            address="local",
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            logging_level="ERROR",
            log_to_driver=False,
            _temp_dir=folder,
        )


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
def _loopback() -> Iterator[None]:
    """Has Ray listen at the loopback address alone, as it does by itself on macOS and Windows: it
    runs whatever it is sent, and would else listen to the whole network."""
    from ray._private import ray_constants

    if not hasattr(ray_constants, "ENABLE_RAY_CLUSTER"):
        logger.warning("this version of Ray listens to the network while the job runs")
        yield
        return
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


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
