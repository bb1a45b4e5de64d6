"""Bytes to RDF and back: media types, sniffing, limits, the place of errors. Owns pyoxigraph's terms and parsers.

Nothing here reaches for the network: remote JSON-LD contexts, XML entities and DOCTYPEs are refused. The parsers are
native code that some small inputs can bring down, so untrusted bytes are parsed in a worker process.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote
from xml.parsers import expat

from pyoxigraph import (
    BlankNode,
    DefaultGraph,
    Literal,
    NamedNode,
    Quad,
    RdfFormat,
    Triple,
)
from pyoxigraph import parse as _parse
from pyoxigraph import serialize as _serialize

from fairmesh.catalog.errors import (
    InvalidDocument,
    ParseError,
    TooLarge,
    UnsupportedMedia,
)

__all__ = [
    "DEFAULT_LIMITS",
    "MEDIA_TYPES",
    "PREFIXES",
    "BlankNode",
    "DefaultGraph",
    "Limits",
    "Literal",
    "NamedNode",
    "Parsed",
    "Positions",
    "Quad",
    "Triple",
    "canonical",
    "compact",
    "iri_of",
    "load",
    "media_type_for_path",
    "node",
    "parse",
    "serialize",
    "skolemize",
    "sniff",
    "unskolemize",
]

Node = NamedNode | BlankNode
Term = NamedNode | BlankNode | Literal

TURTLE, TRIG = "text/turtle", "application/trig"
N_TRIPLES, N_QUADS = "application/n-triples", "application/n-quads"
JSON_LD, RDF_XML = "application/ld+json", "application/rdf+xml"

MEDIA_TYPES: Mapping[str, RdfFormat] = {
    TURTLE: RdfFormat.TURTLE,
    TRIG: RdfFormat.TRIG,
    N_TRIPLES: RdfFormat.N_TRIPLES,
    N_QUADS: RdfFormat.N_QUADS,
    JSON_LD: RdfFormat.JSON_LD,
    RDF_XML: RdfFormat.RDF_XML,
}
"""The media types read and written, by their registered names."""

_GENERIC = frozenset(
    {
        "",
        "application/octet-stream",
        "text/plain",
        "application/json",
        "application/xml",
        "text/xml",
        "*/*",
    }
)
"""Declared types that say nothing certain about RDF: the bytes decide."""

_SUFFIXES = {
    ".ttl": TURTLE, ".trig": TRIG, ".nt": N_TRIPLES, ".nq": N_QUADS, ".jsonld": JSON_LD, ".json": JSON_LD,
    ".rdf": RDF_XML, ".xml": RDF_XML, ".owl": RDF_XML,
}  # fmt: skip

PREFIXES: Mapping[str, str] = {
    "csvw": "http://www.w3.org/ns/csvw#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dprod": "https://ekgf.github.io/dprod/",
    "dpv": "https://w3id.org/dpv#",
    "dqv": "http://www.w3.org/ns/dqv#",
    "fm": "https://w3id.org/fairmesh/ns#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "http://schema.org/",
    "sh": "http://www.w3.org/ns/shacl#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_BY_NAMESPACE = sorted(((iri, prefix) for prefix, iri in PREFIXES.items()), key=lambda pair: -len(pair[0]))
_LOCAL = re.compile(r"[A-Za-z_][\w.-]*(?<!\.)$|[A-Za-z_]$")

RELATIVE = "fairmesh-base://mesh/r/id/"
"""Relative IRIs are resolved against this stand-in first: what still lies under it did not climb out."""
_RELATIVE_SCHEME = "fairmesh-base:"


@dataclass(frozen=True, slots=True)
class Limits:
    """Guards applied before (bytes, depth) and while (statements) parsing."""

    max_bytes: int = 5_000_000
    max_depth: int = 256
    max_quads: int = 50_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read: statements in source order, and the media type that was found (not the one declared)."""

    quads: list[Quad]
    media_type: str


def node(iri: str) -> NamedNode:
    return NamedNode(iri)


def iri_of(term: object) -> str | None:
    """The IRI of a term, or None for blank nodes and literals."""
    return term.value if isinstance(term, NamedNode) else None


def compact(iri: str) -> str | None:
    """`dcat:Dataset` for an IRI in a namespace of `PREFIXES`, else None."""
    for namespace, prefix in _BY_NAMESPACE:
        if iri.startswith(namespace):
            local = iri[len(namespace) :]
            return f"{prefix}:{local}" if _LOCAL.match(local) else None
    return None


def media_type_for_path(name: str) -> str | None:
    """The media type a file name suggests; a hint only, `sniff` decides."""
    return next(
        (media for suffix, media in _SUFFIXES.items() if name.lower().endswith(suffix)),
        None,
    )


# -- sniffing and guards ---------------------------------------------------------------------------------------------

_LEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|#[^\n]*\n)*")
_XML = re.compile(rb"<\?xml\b|<!|<(?:[\w.-]+:)?[\w.-]+\s+[\w.:-]+\s*=")
_JSON = re.compile(rb"\{\s*[\"}]|\[\s*[{\]]")
_HTML = re.compile(rb"<!doctype\s+html|<html\b", re.IGNORECASE)
_NQUADS_LINE = re.compile(
    rb"^(?:<[^>\s]*>|_:\S+)\s+<[^>\s]*>\s+(?:<[^>\s]*>|_:\S+|\"(?:[^\"\\\n]|\\.)*\"(?:@[\w-]+|\^\^<[^>\s]*>)?)\s+"
    rb"(?:<[^>\s]*>|_:\S+)\s*\.",
    re.MULTILINE,
)


def sniff(data: bytes, declared: str | None = None) -> str:
    """The media type of RDF bytes; what the bytes look like wins over what was declared.

    Raises `UnsupportedMedia` when a type was declared that fairmesh does not read, or the bytes are HTML.
    """
    name = (declared or "").split(";")[0].strip().lower()
    if name not in MEDIA_TYPES and name not in _GENERIC:
        raise UnsupportedMedia(
            f"media type {name!r} is not read",
            remedy="Send one of " + ", ".join(MEDIA_TYPES),
        )
    lead = _LEAD.match(data)
    start = data[lead.end() if lead else 0 :][:4096]
    if _HTML.match(start):
        raise UnsupportedMedia(
            "this is an HTML page, not RDF",
            remedy="Send the metadata itself, e.g. as Turtle",
        )
    if _JSON.match(start):
        return JSON_LD
    if _XML.match(start):
        return RDF_XML
    if name == N_QUADS or (name != TURTLE and _NQUADS_LINE.search(start)):
        return N_QUADS
    if name in (N_TRIPLES, TRIG):
        return name
    return TRIG if any(token == b"{" for _, token in _brackets(data)) else TURTLE


_TEXT_TOKEN = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
    rb"|<<|>>|<[^<>\"{}|^`\\\s]*>|#[^\n]*|[\[\](){}]",
    re.DOTALL,
)
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_XML_TOKEN = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!DOCTYPE|<!ENTITY|</|<[^>]*/>|<",
    re.DOTALL,
)
_OPENERS, _CLOSERS = (
    frozenset((b"[", b"(", b"{", b"<<")),
    frozenset((b"]", b")", b"}", b">>")),
)


def _brackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _TEXT_TOKEN.finditer(data):
        token = match.group()
        if token in _OPENERS or token in _CLOSERS:
            yield match.start(), token


def _guard(data: bytes, media_type: str, limits: Limits) -> None:
    if len(data) > limits.max_bytes:
        raise TooLarge(
            f"the document has {len(data):,} bytes; the limit is {limits.max_bytes:,}",
            remedy="Leave data out of metadata, or split the product",
        )
    depth = deepest = position = 0
    if media_type == RDF_XML:
        tokens = ((m.start(), m.group()) for m in _XML_TOKEN.finditer(data))
        for at, token in tokens:
            if token in (b"<!DOCTYPE", b"<!ENTITY"):
                raise UnsupportedMedia(
                    "RDF/XML with a DOCTYPE is refused: its entities can name files and swell without bound",
                    line=data.count(b"\n", 0, at) + 1, column=_column(data, at), remedy="Write the IRIs out",
                )  # fmt: skip
            depth += (token == b"<") - (token == b"</")
            if depth > deepest:
                deepest, position = depth, at
    else:
        found = _brackets(data) if media_type != JSON_LD else (
            (m.start(), m.group()) for m in _JSON_TOKEN.finditer(data) if m.group()[:1] != b'"'
        )  # fmt: skip
        for at, token in found:
            depth += 1 if token in _OPENERS else -1
            if depth > deepest:
                deepest, position = depth, at
            if depth > limits.max_depth:
                break
    if deepest > limits.max_depth:
        raise TooLarge(
            f"nested more than {limits.max_depth} deep",
            line=data.count(b"\n", 0, position) + 1, column=_column(data, position),
            remedy="Give inner nodes IRIs and state them one after another",
        )  # fmt: skip


def _column(data: bytes, at: int) -> int:
    start = data.rfind(b"\n", 0, at) + 1
    return len(data[start:at].decode("utf-8", "replace")) + 1


# -- parsing ----------------------------------------------------------------------------------------------------------


def parse(data: bytes, media_type: str | None, *, iri_base: str, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """Read RDF. Relative IRIs become IRIs under `iri_base`; absolute ones stay as they are.

    Raises `ParseError` with line and column, `TooLarge`, `UnsupportedMedia`, or `InvalidDocument` (code
    `escapes-base`) for a relative IRI, an `@base`, `..` or `//` that leaves `iri_base`.
    """
    if len(data) > limits.max_bytes:
        _guard(data, TURTLE, limits)
    found = sniff(data, media_type)
    _guard(data, found, limits)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(
            "the document is not UTF-8", remedy="Save it as UTF-8",
            line=data.count(b"\n", 0, error.start) + 1, column=_column(data, error.start),
        ) from None  # fmt: skip
    parser = _parse(data.removeprefix(b"\xef\xbb\xbf"), format=MEDIA_TYPES[found], base_iri=RELATIVE)
    quads: list[Quad] = []
    try:
        for quad in parser:
            quads.append(quad)
            if len(quads) > limits.max_quads:
                raise TooLarge(
                    f"more than {limits.max_quads:,} statements",
                    remedy="Split the product; leave data out of metadata",
                )
    except SyntaxError as error:
        raise _parse_error(error, data, found) from None
    except (ValueError, RecursionError) as error:
        raise ParseError(str(error)) from None
    base = parser.base_iri if hasattr(parser, "base_iri") else None
    if base is not None and base != RELATIVE and not base.startswith((RELATIVE, iri_base)):
        raise InvalidDocument(
            f"the document sets its base to <{base}>, outside the mesh", iri=base, code="escapes-base",
            line=_line_of(data, base), remedy=f"Leave the base out, or set it to <{iri_base}>",
        )  # fmt: skip
    resolver = _Resolver(iri_base, data)
    return Parsed([resolver.quad(quad) for quad in quads], found)


def _parse_error(error: SyntaxError, data: bytes, media_type: str) -> ParseError:
    message = re.sub(
        r"^Parser error at line \d+ (?:column \d+|between columns \d+ and column \d+|between .*?): ",
        "",
        str(error.msg),
    )
    line, column = error.lineno, error.offset
    remedy = "Correct the document here"
    if "LoadDocumentCallback" in message:
        message, remedy = (
            "a remote JSON-LD context is never fetched",
            "Write the context into the document",
        )
        line = _line_of(data, "@context")
    if line is None and media_type == RDF_XML:
        line, column = _xml_place(data)
    if line is None and media_type == JSON_LD:
        try:
            json.loads(data)
        except ValueError as bad:
            line, column = getattr(bad, "lineno", None), getattr(bad, "colno", None)
    return ParseError(message, line=line or 1, column=column or 1, remedy=remedy)


def _xml_place(data: bytes) -> tuple[int, int] | tuple[None, None]:
    try:
        expat.ParserCreate(namespace_separator=" ").Parse(data, True)
    except expat.ExpatError as error:
        return error.lineno, error.offset + 1
    return None, None


def _line_of(data: bytes, text: str) -> int | None:
    at = data.find(text.encode())
    return None if at < 0 else data.count(b"\n", 0, at) + 1


class _Resolver:
    """Moves IRIs from the stand-in base to the real one and refuses those that climbed out of it."""

    def __init__(self, iri_base: str, data: bytes) -> None:
        self.base = iri_base
        self.data = data
        self.seen: dict[str, NamedNode] = {}

    def quad(self, quad: Quad) -> Quad:
        subject, predicate, obj, graph = (
            self.term(quad.subject), self.term(quad.predicate), self.term(quad.object), self.term(quad.graph_name)
        )  # fmt: skip
        return Quad(subject, predicate, obj, graph)  # type: ignore[arg-type]

    def term(self, term: object) -> object:
        if isinstance(term, NamedNode):
            return self.seen.get(term.value) or self.resolve(term)
        if isinstance(term, Triple):
            raise UnsupportedMedia(
                "triple terms (RDF 1.2) are not read",
                remedy="State the triple, or reify it",
            )
        if isinstance(term, Literal) and term.direction is not None:
            raise UnsupportedMedia(
                "base directions (RDF 1.2) are not read",
                remedy="Use a plain language tag",
            )
        return term

    def resolve(self, term: NamedNode) -> NamedNode:
        iri = term.value
        if iri.startswith(_RELATIVE_SCHEME):
            rest = iri.removeprefix(RELATIVE)
            if rest == iri:
                self.refuse(iri, re.sub(r"^fairmesh-base://(mesh/(r/)?)?", "", iri))
            result = NamedNode(self.base + rest)
        else:
            result = term
        if result.value.startswith(self.base):
            rest = result.value[len(self.base) :]
            segments = unquote(re.split(r"[?#]", rest)[0]).split("/")
            if any(s in (".", "..") for s in segments) or "" in segments[:-1]:
                self.refuse(iri, rest)
        self.seen[iri] = result
        return result

    def refuse(self, iri: str, written: str) -> None:
        last = written.rstrip("/").rsplit("/", 1)[-1]
        raise InvalidDocument(
            f"a relative IRI ending in {written!r} leaves the mesh's base", iri=iri, code="escapes-base",
            line=_line_of(self.data, last) if last else None,
            remedy=f"Keep relative IRIs under <{self.base}>: no '..', no '//', no leading '/'",
        )  # fmt: skip


# -- canonical form ---------------------------------------------------------------------------------------------------


def canonical(triples: Iterable[Triple]) -> bytes:
    """Sorted N-Triples lines without duplicates (N-Quads of the default graph): equal bytes, equal document."""
    lines = {line for line in _serialize(triples, format=RdfFormat.N_TRIPLES).split(b"\n") if line}
    return b"".join(line + b"\n" for line in sorted(lines))


def load(nquads: bytes) -> list[Triple]:
    """The triples of `canonical` bytes. For bytes fairmesh wrote itself; user input goes through `parse`."""
    return [q.triple for q in _parse(nquads, format=RdfFormat.N_TRIPLES, lenient=True)]


def serialize(triples: Iterable[Triple], media_type: str, *, relative_to: str | None = None) -> bytes:
    """Deterministic RDF text: sorted statements, fixed prefixes.

    With `relative_to` (Turtle, TriG only) IRIs under that base are written relative and no `@base` is given: the form
    of a product document, which resolves against the mesh it is registered in.
    """
    kind = MEDIA_TYPES[media_type]
    ordered = sorted(set(triples), key=_reading_order)
    if kind is RdfFormat.RDF_XML:
        return _serialize(ordered, format=kind, prefixes=dict(PREFIXES))
    if kind not in (RdfFormat.TURTLE, RdfFormat.TRIG):
        return _serialize(ordered, format=kind)
    text = "\n".join(map(str, ordered))
    prefixes = {prefix: iri for prefix, iri in PREFIXES.items() if iri in text}
    if relative_to is None:
        return _in_order(_serialize(ordered, format=kind, prefixes=prefixes))
    moved = _renamed(ordered, lambda iri: RELATIVE + iri[len(relative_to) :] if iri.startswith(relative_to) else None)
    written = _serialize(moved, format=kind, prefixes=prefixes, base_iri=RELATIVE)
    return _in_order(written.removeprefix(f"@base <{RELATIVE}> .\n".encode()))


def _in_order(turtle: bytes) -> bytes:
    # pyoxigraph writes prefixes in hash order
    lines = turtle.split(b"\n")
    count = next(
        (i for i, line in enumerate(lines) if not line.startswith(b"@prefix ")),
        len(lines),
    )
    return b"\n".join([*sorted(lines[:count]), *lines[count:]])


def _renamed(triples: Iterable[Triple], name: Callable[[str], str | BlankNode | None]) -> list[Triple]:
    """Subjects and objects renamed by `name`: an IRI to another, to a blank node, or (None) not at all."""

    def moved(term: Node) -> Node:
        new = name(term.value) if isinstance(term, NamedNode) else None
        return NamedNode(new) if isinstance(new, str) else new or term

    return [
        Triple(moved(t.subject), t.predicate, t.object if isinstance(t.object, Literal) else moved(t.object))
        for t in triples
    ]


def _reading_order(triple: Triple) -> tuple[bool, str, bool, str, str]:
    return (
        isinstance(triple.subject, BlankNode), str(triple.subject),
        triple.predicate.value != PREFIXES["rdf"] + "type", str(triple.predicate), str(triple.object),
    )  # fmt: skip


# -- blank nodes ------------------------------------------------------------------------------------------------------

GENID = "/.well-known/genid/"


def skolemize(triples: Iterable[Triple], product: str) -> list[Triple]:
    """Blank nodes as IRIs `{product}/.well-known/genid/{hash}` (RDF 1.1 Concepts, 3.5), the same for the same content.

    The hash is taken bottom-up over what a node states, then refined by what points to it, so twins stay two nodes.
    Raises `InvalidDocument` (code `blank-cycle`) when blank nodes refer to each other in a circle.
    """
    triples = list(triples)
    outgoing: dict[BlankNode, list[Triple]] = defaultdict(list)
    incoming: dict[BlankNode, list[Triple]] = defaultdict(list)
    for triple in triples:
        if isinstance(triple.subject, BlankNode):
            outgoing[triple.subject].append(triple)
        if isinstance(triple.object, BlankNode):
            incoming[triple.object].append(triple)
    if not outgoing and not incoming:
        return triples
    order = _children_first(outgoing, incoming)
    content: dict[BlankNode, str] = {}
    for blank in order:
        content[blank] = _hash(
            sorted(
                f"{t.predicate} {content.get(t.object, str(t.object))}"
                if isinstance(t.object, BlankNode)
                else f"{t.predicate} {t.object}"
                for t in outgoing[blank]
            )
        )
    name: dict[BlankNode, str] = {}
    taken: dict[str, int] = defaultdict(int)
    for blank in reversed(order):
        above = sorted(
            f"{name[t.subject] if isinstance(t.subject, BlankNode) else t.subject} {t.predicate}"
            for t in incoming[blank]
        )
        key = _hash([content[blank], *above])
        taken[key] += 1
        name[blank] = key if taken[key] == 1 else _hash([key, str(taken[key])])
    nodes = {blank: NamedNode(product + GENID + key) for blank, key in name.items()}
    return [
        Triple(
            nodes[t.subject] if isinstance(t.subject, BlankNode) else t.subject,
            t.predicate,
            nodes[t.object] if isinstance(t.object, BlankNode) else t.object,
        )
        for t in triples
    ]


def _children_first(
    outgoing: Mapping[BlankNode, list[Triple]],
    incoming: Mapping[BlankNode, list[Triple]],
) -> list[BlankNode]:
    blanks = sorted({*outgoing, *incoming}, key=str)
    waiting = {b: sum(isinstance(t.object, BlankNode) for t in outgoing.get(b, ())) for b in blanks}
    ready = [b for b in blanks if not waiting[b]]
    order: list[BlankNode] = []
    while ready:
        blank = ready.pop()
        order.append(blank)
        for triple in incoming.get(blank, ()):
            if isinstance(triple.subject, BlankNode):
                waiting[triple.subject] -= 1
                if not waiting[triple.subject]:
                    ready.append(triple.subject)
    if len(order) < len(blanks):
        raise InvalidDocument(
            "blank nodes refer to each other in a circle, so they cannot be named by their content",
            code="blank-cycle", remedy="Give one of them an IRI",
        )  # fmt: skip
    return order


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def unskolemize(triples: Iterable[Triple], product: str) -> list[Triple]:
    """The inverse of `skolemize` for IRIs under this product; foreign skolem IRIs stay."""
    prefix = product + GENID
    return _renamed(triples, lambda iri: BlankNode("b" + iri[len(prefix) :]) if iri.startswith(prefix) else None)


# -- places in the source ---------------------------------------------------------------------------------------------

_LEX = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
    r"|<[^<>\"{}|^`\\\s]*>|#[^\n]*|@prefix\b|@base\b|(?i:\bprefix\b|\bbase\b)|(?:[\w][\w.-]*)?:(?:[\w%:-]|\\.|\.(?=[\w%:-]))*"
    r"|[\[\](){};,.]|\ba\b",
    re.DOTALL,
)


class Positions:
    """Where a submitted document mentions a statement: line and column, both from 1.

    Turtle, TriG, N-Triples and N-Quads are read token by token; for JSON-LD and RDF/XML the place is where the node
    is named. Built on first use: only documents with findings pay for it.
    """

    def __init__(self, data: bytes, media_type: str, iri_base: str) -> None:
        self._text = data.decode("utf-8", "replace")
        self._media_type = media_type
        self._base = iri_base
        self._subjects: dict[str, int] = {}
        self._statements: dict[tuple[str, str], int] = {}
        self._read = False

    def find(self, subject: str, predicate: str | None = None) -> tuple[int, int] | None:
        """The place of the statement, else of the subject, else None."""
        if self._media_type in (JSON_LD, RDF_XML):
            at = self._named(subject)
        else:
            if not self._read:
                self._scan()
                self._read = True
            at = self._statements.get((subject, predicate or ""), self._subjects.get(subject, -1))
        if at < 0:
            return None
        return self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)

    def _named(self, subject: str) -> int:
        short = subject.removeprefix(self._base)
        places = (self._text.find(f"{q}{name}{q}") for name in (subject, short) for q in ('"', "'"))
        return min((at for at in places if at >= 0), default=-1)

    def _scan(self) -> None:
        prefixes: dict[str, str] = {}
        expect, directive, name = "subject", "", ""
        subject: str | None = None
        depth = 0
        for match in _LEX.finditer(self._text):
            token, at = match.group(), match.start()
            if token[0] in "#\"'":
                continue
            lowered = token.lower()
            if lowered in ("@prefix", "prefix", "@base", "base"):
                directive, name = lowered.removeprefix("@"), ""
            elif directive:
                if token.startswith("<"):
                    if directive == "prefix":
                        prefixes[name] = self._resolve(token[1:-1])
                    directive, expect = "", "subject"
                else:
                    name = token.removesuffix(":")
            elif token in "[(":
                depth += 1
            elif token in "])":
                depth -= 1
            elif token in "{}":
                expect, subject = "subject", None
            elif depth:
                continue
            elif token == ".":
                expect, subject = "subject", None
            elif token == ";":
                expect = "predicate"
            elif token == ",":
                continue
            else:
                iri = self._iri(token, prefixes)
                if expect == "subject":
                    subject, expect = iri, "predicate"
                    self._subjects.setdefault(iri, at)
                elif expect == "predicate":
                    expect = "object"
                    if subject is not None:
                        self._statements.setdefault((subject, iri), at)

    def _iri(self, token: str, prefixes: Mapping[str, str]) -> str:
        if token == "a":
            return PREFIXES["rdf"] + "type"
        if token.startswith("<"):
            return self._resolve(token[1:-1])
        prefix, _, local = token.partition(":")
        return prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)

    def _resolve(self, iri: str) -> str:
        return iri if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", iri) else self._base + iri
