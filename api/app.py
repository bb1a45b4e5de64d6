"""The web service, put together in one place."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fairmesh.api import schema
from fairmesh.api.auth import Tokens
from fairmesh.api.bundles import BundleEndpoints
from fairmesh.api.decisions import DecisionEndpoint
from fairmesh.api.graphql import GraphQLEndpoint
from fairmesh.api.products import Products
from fairmesh.api.resources import Resources
from fairmesh.api.web import Service, endpoint, failure, json_response, options
from fairmesh.catalog import Catalog, Settings

PORTAL = Path(__file__).parent / "portal"


def create_app(catalog: Catalog, settings: Settings, tokens: Tokens) -> Starlette:
    """The ASGI application over an open catalog. Closing the catalog and the tokens stays with the caller."""
    service = Service(catalog, settings, tokens)
    products, resources, bundles = Products(service), Resources(service), BundleEndpoints(service)
    graphql = endpoint(GraphQLEndpoint(service, schema.Engine(catalog, schema.Limits(), tokens.subjects)))

    async def front(request: Request) -> Response:
        options(request)
        return FileResponse(PORTAL / "index.html", media_type="text/html")

    async def live(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        parts = await run_in_threadpool(catalog.ready)
        return json_response(dict(parts), 200 if all(state == "ok" for state in parts.values()) else 503)

    async def refuse(request: Request, error: Exception) -> Response:
        async def fail(request: Request) -> Response:
            return failure(error)

        return await endpoint(fail)(request)

    return Starlette(
        routes=[
            Route("/", endpoint(front), methods=["GET"]),
            Route("/graphql", graphql, methods=["GET", "POST"]),
            Route("/products", endpoint(products.register), methods=["POST"]),
            Route("/products:batch", endpoint(products.register_batch), methods=["POST"]),
            Route("/products/{key}", endpoint(products.one), methods=["GET", "DELETE"]),
            Route("/id/{path:path}", endpoint(resources.node), methods=["GET"]),
            Route("/ns", endpoint(resources.vocabulary), methods=["GET"]),
            Route("/ns/{path:path}", endpoint(resources.vocabulary), methods=["GET"]),
            Route("/rules", endpoint(resources.rules), methods=["GET"]),
            Route("/rules/{path:path}", endpoint(resources.rules), methods=["GET"]),
            Route("/bundles/access.tar.gz", endpoint(bundles.bundle), methods=["GET"]),
            Route("/bundles/key.pem", endpoint(bundles.key), methods=["GET"]),
            Route("/v1/decisions", endpoint(DecisionEndpoint(service).decide), methods=["POST"]),
            Route("/livez", endpoint(live), methods=["GET"]),
            Route("/readyz", endpoint(ready), methods=["GET"]),
            Mount("/portal", StaticFiles(directory=PORTAL)),
        ],
        exception_handlers={HTTPException: refuse},
    )
