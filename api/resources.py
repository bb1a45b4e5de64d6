"""Any node by its IRI, and the vocabulary."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairmesh.api.pages import node_page, rule_page, rules_page
from fairmesh.api.products import HTML, READABLE
from fairmesh.api.schema import is_iri
from fairmesh.api.web import CHANNEL, Service, choose, options
from fairmesh.catalog import errors, rdf
from fairmesh.catalog.model import FM
from fairmesh.catalog.rulefiles import RULES
from fairmesh.catalog.view import View

OWN = "https://w3id.org/fairmesh/"
"""Namespaces of fairmesh begin with this; `/ns` serves what is under them."""
VOCABULARY_FORMS = (rdf.TURTLE, rdf.JSON_LD, rdf.N_TRIPLES, rdf.RDF_XML)


class Resources:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._catalog = service.catalog

    async def node(self, request: Request) -> Response:
        """`/id/...`: 303 to the product a node belongs to, else the visible statements about it."""
        options(request)
        kind = choose(request, READABLE)
        return await run_in_threadpool(lambda: self._node(request, kind))

    def _node(self, request: Request, kind: str) -> Response:
        base = self._catalog.iri_base
        raw = request.scope.get("raw_path") or quote(request.url.path).encode()
        written = raw.decode("latin-1").partition("?")[0].partition("/id/")[2]
        with self._catalog.view(self._service.subject(request), channel=CHANNEL) as view:
            # an IRI may hold what a URL writes percent-encoded
            iris = [iri for iri in dict.fromkeys((base + written, base + unquote(written))) if is_iri(iri)]
            iri = next((iri for iri in iris if view.exists(iri)), None)
            if iri is None:
                for gone in iris:
                    view.raise_if_retired(gone)
                raise errors.NotFound("there is nothing here for you", remedy="Check the address")
            key = self._key(view, iri)
            if key is not None:
                return RedirectResponse("/products/" + quote(key, safe=""), 303)
            body = node_page(view, iri, base) if kind == HTML else view.node_rdf(iri, kind)
        return Response(body, media_type=kind)

    def _key(self, view: View, iri: str) -> str | None:
        """The key of the product a node under the mesh's base belongs to."""
        base = self._catalog.iri_base
        product = view.product(iri=base + iri.removeprefix(base).partition("/")[0])
        return product.key if product is not None else None

    async def vocabulary(self, request: Request) -> Response:
        """`/ns`: the vocabulary in force; `/ns/x`: what it says of one term, scheme or concept of fairmesh's own."""
        options(request)
        kind = choose(request, VOCABULARY_FORMS)
        await run_in_threadpool(self._service.subject, request)  # a token nobody knows is refused here, too
        triples = self._catalog.rulings.current.rules.vocabulary()
        path = request.path_params.get("path", "")
        if path:
            names = (FM + path, OWN + path)
            triples = [
                t for t in triples
                if t.subject.value in names or t.subject.value.startswith(OWN + path.rstrip("/") + "/")
            ]  # fmt: skip
        if not triples:
            raise errors.NotFound(f"the vocabulary has no term {path!r}", remedy="See /ns")
        return Response(await run_in_threadpool(lambda: rdf.serialize(triples, kind)), media_type=kind)

    async def rules(self, request: Request) -> Response:
        """`/rules`: all rules in force; `/rules/core/06`: one of them, as a page or as RDF."""
        options(request)
        kind = choose(request, READABLE)
        await run_in_threadpool(self._service.subject, request)
        return Response(
            await run_in_threadpool(self._rules, request.path_params.get("path", ""), kind), media_type=kind
        )

    def _rules(self, path: str, kind: str) -> bytes:
        ruling, now = self._catalog.rulings.current, self._catalog.clock()
        if not path:
            if kind == HTML:
                return rules_page(ruling, now)
            return rdf.serialize([t for rule in ruling.rules.rules for t in ruling.rules.triples(rule.iri)], kind)
        rule = ruling.rules.rule(RULES + path)
        if rule is None:
            raise errors.NotFound(f"there is no rule {path!r} in force", remedy="See /rules")
        return rule_page(ruling, rule, now) if kind == HTML else ruling.rules.rdf(rule.iri, kind)
