"""Who may ask: hosts, origins, the token, the size of a body; and the headers of every answer."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from .errors import Refused
from .limits import Limits

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_OPEN = ("/", "/page/")
"""The page itself, which knows nothing of any model; what lies below the second, too."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?")
_PATIENCE = 15.0  # seconds for a body


class Guard:
    """Lets requests through to an application, or refuses them.

    A page of another site cannot ask: browsers send its name as `Origin`, and a name that its owner
    points at this machine (DNS rebinding) stands in `Host`. An address of digits cannot be
    pointed elsewhere.

    Args:
        app: The application.
        limits: The size of a body.
        token: What a request must carry as `Authorization: Bearer …`; None for nothing.
        hosts: Names of this machine beside `localhost`.
        loopback: Whether the server listens to this machine alone; then other addresses of digits
            are refused, too.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        token: str | None = None,
        hosts: Collection[str] = (),
        loopback: bool = True,
    ) -> None:
        self._app = app
        self._limits = limits
        self._token = token
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._loopback = loopback

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                own = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *(
                        (name.encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.encode() not in own
                    ),
                ]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, await self._read(receive), with_headers)
        except Refused as refused:
            await _answer(with_headers, refused)
        except Exception:
            logger.exception("a request failed")
            if not begun:
                sentence = "the server failed; its terminal says more"
                await _answer(with_headers, Refused(500, sentence))

    def _check(self, scope: Message) -> None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Refused(
                421, "this server is not known by that name (--allow-host of the server adds one)"
            )
        for origin in headers.get("origin", []):
            try:
                parts = urlsplit(origin)
            except ValueError:
                raise Refused(403, "a page of another site may not ask this server") from None
            if parts.scheme not in ("http", "https") or parts.netloc.lower() != hosts[0].lower():
                raise Refused(403, "a page of another site may not ask this server")
        if scope["method"] not in ("GET", "HEAD"):
            site = headers.get("sec-fetch-site", ["same-origin"])[0]
            if site not in ("same-origin", "none"):
                raise Refused(403, "a page of another site may not ask this server")
        if self._token is not None and not _is_open(scope["path"]):
            given = headers.get("authorization", [""])[0]
            wanted = f"Bearer {self._token}"
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                raise Refused(401, "open the address with the token that the server has printed")

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return address.is_loopback or not self._loopback

    async def _read(self, receive: Receive) -> Receive:
        """Reads the body to its end; what gives it out again, and later what the client does."""
        body = b""
        try:
            async with asyncio.timeout(_PATIENCE):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        break
                    body += message.get("body", b"")
                    if len(body) > self._limits.body_bytes:
                        most = self._limits.body_bytes
                        raise Refused(413, f"the body is larger than {most:,} bytes")
                    if not message.get("more_body"):
                        message = {"type": "http.request", "body": body, "more_body": False}
                        break
        except TimeoutError:
            raise Refused(408, "the body did not come in time") from None
        pending = [message]

        async def again() -> Message:
            return pending.pop() if pending else await receive()

        return again


def _is_open(path: str) -> bool:
    return path == _OPEN[0] or path.startswith(_OPEN[1])


async def _answer(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": refused.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
