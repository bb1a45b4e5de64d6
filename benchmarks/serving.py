"""GraphQL requests per second over real sockets, beside an empty Starlette endpoint in the same run.

    python benchmarks/serving.py [--products 200] [--requests 400] [--clients 8] [--rounds 5]

Both are single uvicorn processes, asked in turn by the same client over keep-alive connections, each request with a
product or word of its own; medians are shown. The client shares the machine, so read the ratios, not the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from generator import THINGS, Product, products
from registration import register
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairmesh.api.auth import Tokens
from fairmesh.catalog import Catalog, Settings
from fairmesh.catalog.model import Subject

ANALYST = Subject("benchmark", "service", roles=("analyst",), clearance="internal")
PRODUCT = """
query Page($key: String!) {
  dataProduct(key: $key) {
    iri key label description version status license
    domain { iri label } owner { label } classification { iri label } terms { iri label }
    ports { key endpoint mediaType }
    datasets { iri label columns { nodes { name datatype nullable } } }
  }
}"""
SEARCH = """
query Search($text: String!) {
  search(text: $text, first: 20) {
    totalCount
    nodes { iri label }
    facets(fields: [DOMAIN, STATUS, CLASSIFICATION]) { field buckets { key count } }
  }
}"""


def request(path: str, body: dict[str, object], token: str) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
    return f"{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> bytes:
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").lower().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in headers if line.startswith("content-length:"))
    body = await reader.readexactly(length)
    if " 200" not in status:
        raise SystemExit(f"{status}: {body.decode()}")
    return body


async def ask_all(port: int, messages: Sequence[bytes], clients: int) -> float:
    """Requests per second, the messages shared out among the clients."""

    async def client(share: Sequence[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for message in share:
            await ask(reader, writer, message)
        writer.close()
        await writer.wait_closed()

    start = time.perf_counter()
    await asyncio.gather(*(client(messages[number::clients]) for number in range(clients)))
    return len(messages) / (time.perf_counter() - start)


async def check(port: int, message: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = json.loads(await ask(reader, writer, message))
    writer.close()
    await writer.wait_closed()
    if "errors" in answer or None in answer["data"].values():
        raise SystemExit(f"not an answer to measure: {answer}")


@contextmanager
def process(command: Sequence[str], port_of: Callable[[str], int | None]) -> Iterator[int]:
    """A server and its port, read from what it prints."""
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "FAIRMESH_LOG_LEVEL": "warning"}
    )
    assert server.stdout is not None
    try:
        port = next((found for line in server.stdout if (found := port_of(line)) is not None), None)
        if port is None:
            raise SystemExit(f"{command[0]} ended before it served")
        yield port
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def serve_empty() -> None:
    """The floor: what uvicorn and Starlette cost when nothing is done."""

    async def nothing(request: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    # asyncio switches Nagle's algorithm off only where the protocol is named, else each answer waits for 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    print(listener.getsockname()[1], flush=True)
    app = Starlette(routes=[Route("/", nothing, methods=["POST"])])
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def fill(folder: Path, supply: Sequence[Product]) -> str:
    catalog = Catalog.open(Settings.read({"data": folder}, environment={}))
    for start in range(0, len(supply), 50):
        register(catalog, supply[start : start + 50])
    catalog.close()
    tokens = Tokens.open(folder)
    token = tokens.create(ANALYST)
    tokens.close()
    return token


async def measure(
    ports: dict[str, int], messages: dict[str, Callable[[], bytes]], options: argparse.Namespace
) -> dict[str, float]:
    """The median rate of each name, in rounds in which all have their turn."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for name in ports:
        await ask_all(ports[name], [messages[name]() for _ in range(50)], options.clients)
    for _ in range(options.rounds):
        for name, port in ports.items():
            batch = [messages[name]() for _ in range(options.requests)]
            rates[name].append(await ask_all(port, batch, options.clients))
    return {name: statistics.median(found) for name, found in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--empty", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.empty:
        serve_empty()
        return
    chance = random.Random(1)
    supply = list(products(options.products, triples=50, seed=1))
    with tempfile.TemporaryDirectory() as folder:
        token = fill(Path(folder), supply)
        graphql = [str(Path(sys.executable).with_name("fairmesh")), "serve", "--data", folder, "--port", "0"]

        def page() -> bytes:
            key = chance.choice(supply).key
            return request("/graphql", {"query": PRODUCT, "variables": {"key": key}}, token)

        def search() -> bytes:
            return request("/graphql", {"query": SEARCH, "variables": {"text": chance.choice(THINGS)}}, token)

        with (
            process(graphql, lambda line: int(line.split(":")[3].split("/")[0]) if "GraphQL" in line else None) as port,
            process([sys.executable, __file__, "--empty"], int) as floor,
        ):
            ports = {"empty endpoint": floor, "dataProduct": port, "search": port}
            messages = {"empty endpoint": lambda: request("/", {}, token), "dataProduct": page, "search": search}
            for name in ("dataProduct", "search"):
                asyncio.run(check(port, messages[name]()))
            rates = asyncio.run(measure(ports, messages, options))
    print(f"{options.products} products, {options.clients} clients, {os.cpu_count()} processors")
    print(f"{'requests per second':20}{'rate':>10}{'of empty':>10}")
    for name, rate in rates.items():
        print(f"{name:20}{rate:>10.0f}{rate / rates['empty endpoint']:>10.1%}")


if __name__ == "__main__":
    main()
