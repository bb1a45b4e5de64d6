"""`fairmesh serve`: one process tree on one data directory, from start to a graceful stop."""

from __future__ import annotations

import errno
import gc
import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from fairmesh.api.app import create_app
from fairmesh.api.auth import Tokens
from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.errors import ConfigError
from fairmesh.catalog.model import Subject, Submission

DEMO = Path(__file__).parent / "demo"
DEMO_SUBJECTS = (
    Subject("demo-analyst", "service", roles=("analyst",), clearance="internal"),
    Subject("demo-producer", "service", ("producer",), ("sales",), ("sales",), clearance="internal"),
    Subject("demo-steward", "service", roles=("steward",), clearance="restricted"),
    Subject("demo-auditor", "service", roles=("auditor",), clearance="restricted"),
)
_GRACE = 10
"""Seconds that requests under way have to finish once the service is told to stop."""


def serve(settings: Settings, *, demo: bool) -> None:
    """Serve until SIGTERM or SIGINT. Prints the tokens of the demo roles, if asked for, and where the service is.

    Raises `ConfigError` when the address cannot be used, or is not a loopback one while there is no token, and what
    `Catalog.open` raises.
    """
    with closing(_bind(settings)) as listener, closing(Tokens.open(settings.data)) as tokens:
        if not demo:  # which makes tokens
            _check_exposure(listener, tokens)
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        with closing(Catalog.open(settings)) as catalog:
            gc.freeze()  # a large mesh that stays need not be looked through again and again while requests wait
            if demo:
                _show_demo(catalog, tokens)
            _listen(listener, settings)
            print(f"GraphQL page: {_url(listener)}/graphql", flush=True)
            _run(listener, create_app(catalog, settings, tokens), settings, catalog.rulings.end_trials)


class _Server(uvicorn.Server):
    """Once told to stop, it waits for the requests under way; `stopping` makes them end that would take long."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        threading.Thread(target=self._stopping).start()  # whoever is interrupted here may hold a lock it needs
        super().handle_exit(sig, frame)


def _run(
    listener: socket.socket, app: Starlette, settings: Settings, stopping: Callable[[], None]
) -> None:  # fmt: skip
    config = uvicorn.Config(
        app, log_config=None, access_log=settings.log_level == "debug", timeout_graceful_shutdown=_GRACE,
        server_header=False,
    )  # fmt: skip
    _Server(config, stopping).run(sockets=[listener])


def _stop(number: int, frame: FrameType | None) -> None:
    # uvicorn takes the signals over while it serves, and sends them again when it has stopped: leave by every `with`
    raise SystemExit(0)


# -- the address ------------------------------------------------------------------------------------------------------


def _bind(settings: Settings) -> socket.socket:
    """The address, taken before anything else is opened, so that a port in use is known at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigError(
            f"{settings.host} is no address of this machine: {error.strerror}", remedy="Choose another --host"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _taken(settings, error) from error
    return listener


def _listen(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.listen(2048)
    except OSError as error:
        raise _taken(settings, error) from error


def _taken(settings: Settings, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {settings.port} on {settings.host} is in use",
            remedy="Stop what uses it, or choose another --port (0 picks a free one)",
        )
    return ConfigError(
        f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}",
        remedy="Choose another --host or --port",
    )


def _check_exposure(listener: socket.socket, tokens: Tokens) -> None:
    host = listener.getsockname()[0]
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback and not tokens.any():
        raise ConfigError(
            f"{host} can be reached from other machines, and no token is configured",
            remedy="Make one with `fairmesh token create`, or serve on 127.0.0.1",
        )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# -- the demo ---------------------------------------------------------------------------------------------------------


def _show_demo(catalog: Catalog, tokens: Tokens) -> None:
    """Load the demo mesh into an empty one, and print a fresh token for each role: `<role> <token>`."""
    if not catalog.registry.by_home:
        _load_demo(catalog)
    for subject in DEMO_SUBJECTS:
        tokens.revoke(subject.id)
        print(subject.roles[0], tokens.create(subject), flush=True)


def _load_demo(catalog: Catalog) -> None:
    files = sorted(DEMO.glob("*.ttl"))
    domains = {file.name.partition(".")[0] for file in files}
    loader = Subject("demo-loader", "service", ("producer",), domains=tuple(sorted(domains)), clearance="restricted")
    submissions = [Submission(file.read_bytes(), "text/turtle") for file in files]
    for file, outcome in zip(files, catalog.register(loader, submissions, channel="cli"), strict=True):
        if outcome.error is not None:
            print(f"fairmesh: demo product {file.name} is refused: {outcome.error}", file=sys.stderr)
