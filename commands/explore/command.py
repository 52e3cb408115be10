"""`allennlp explore ARCHIVE_OR_MODEL`: try a model on a page of one's own machine."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import secrets
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

EXAMPLE = "allennlp explore model.tar.gz"
_NEEDED = ("fastapi", "uvicorn")


@Subcommand.register("explore")
class Explore(Subcommand):
    """Serves a page on which one tries models and sees why they predict what they predict."""

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        subparser: argparse.ArgumentParser = parser.add_parser(
            self.name,
            description=(
                "Try a model in the browser: type a text, choose a method, see the prediction and "
                "the heat map. Nothing leaves this machine."
            ),
            epilog=f"example: {EXAMPLE}",
            help="Try a model in the browser.",
        )
        subparser.add_argument(
            "models",
            nargs="+",
            metavar="ARCHIVE_OR_MODEL",
            help="an archive of AllenNLP, or a folder or hub id of a Hugging Face model; several",
        )
        subparser.add_argument(
            "--predictor",
            action="append",
            default=[],
            help="a predictor to choose on the page, beside the model's default one; several times",
        )
        subparser.add_argument("--examples", type=Path, help="JSON lines to choose inputs from")
        subparser.add_argument("--task", help="what a Hugging Face model is for")
        subparser.add_argument("--overrides", "-o", default="", help="overrides of the config")
        subparser.add_argument("--cuda-device", type=int, default=-1, help="-1 for the CPU")
        subparser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
        subparser.add_argument(
            "--host",
            default="127.0.0.1",
            help="the address to listen at; any but a loopback one asks for the token that is "
            "printed (default: 127.0.0.1, this machine alone)",
        )
        subparser.add_argument(
            "--allow-host",
            action="append",
            default=[],
            metavar="NAME",
            help="another name of this machine that browsers may use; several times",
        )
        for name, default, kind, text in (
            ("characters", 20_000, int, "characters of an input"),
            ("number", 2_000, int, "steps, samples and other numbers of a method"),
            ("seconds", 120.0, float, "seconds for a request"),
            ("waiting", 8, int, "requests that wait for a model"),
        ):
            subparser.add_argument(
                f"--max-{name}", type=kind, default=default, help=f"{text} (default: %(default)s)"
            )
        subparser.set_defaults(func=run)
        return subparser


def run(options: argparse.Namespace) -> None:
    """Loads the models and serves the page until it is interrupted.

    Raises:
        SystemExit: With a message and status 1 if the extra is missing, or something cannot be
            loaded or listened at.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"allennlp explore needs {' and '.join(missing)}: "
            "pip install 'allennlp-saliency[explore]', in a clone: pip install '.[explore]'"
        )
    from allennlp_saliency.interpret.errors import InterpretationError

    from .models.served import load

    logging.getLogger("allennlp").setLevel(logging.WARNING)
    try:
        listening = _listen(options.host, options.port)
        with listening:
            # Loading may take a minute, in which nothing else is to be seen.
            print(f"loading {', '.join(options.models)} …", file=sys.stderr, flush=True)
            models = load(options.models, _loading(options), _limits(options))
            serve(models, options, listening)
    except (ConfigurationError, InterpretationError, OSError, ValueError) as error:
        raise SystemExit(f"allennlp explore: error: {error}") from error


def guarded(models: Any, options: argparse.Namespace, token: str | None) -> Any:
    """The application behind its guard."""
    from .app import create
    from .guard import Guard

    limits = _limits(options)
    hosts = [options.host, *options.allow_host]
    loopback = is_loopback(options.host)
    if not loopback:
        hosts += [socket.gethostname(), socket.getfqdn()]
    return Guard(create(models, limits), limits, token, hosts, loopback)


def serve(models: Any, options: argparse.Namespace, listening: socket.socket) -> None:
    """Serves the page until it is interrupted, and says where it is."""
    import uvicorn

    token = None if is_loopback(options.host) else secrets.token_urlsafe(24)
    config = uvicorn.Config(
        guarded(models, options, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=64,
        timeout_graceful_shutdown=1,
    )
    port = listening.getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    if options.host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    fragment = "" if token is None else f"#token={token}"
    print(f"{', '.join(models)}: http://{host}:{port}/{fragment} (Ctrl-C ends it)", flush=True)
    queues = [model.queue for model in models.values()]

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: Any = None) -> None:
            for queue in queues:
                queue.stop()  # so that no request is waited for
            await super().shutdown(sockets)

    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listening])
    if not all(queue.close(seconds=1) for queue in queues):
        # A thread in the middle of a pass makes Python's own end an abort.
        os._exit(130)


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that is bound before a model is loaded: a port that is taken is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen at {host}, port {port} ({error}); --port 0 takes one that is free"
        ) from error
    return listening


def _loading(options: argparse.Namespace) -> Any:
    from .models.served import Loading

    return Loading(
        tuple(options.predictor),
        options.overrides,
        options.cuda_device,
        options.task,
        options.examples,
        hides_folders=not is_loopback(options.host),
    )


def _limits(options: argparse.Namespace) -> Any:
    from .limits import Limits

    return Limits(
        characters=options.max_characters,
        number=options.max_number,
        seconds=options.max_seconds,
        waiting=options.max_waiting,
        body_bytes=max(262_144, 8 * options.max_characters),
    )
