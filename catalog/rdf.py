"""Bytes to RDF and back: media types, sniffing, limits, the place of errors. Owns pyoxigraph's terms and parsers.

Nothing here reaches for the network: remote JSON-LD contexts, XML entities and DOCTYPEs are refused. The parsers are
native code that some small inputs can bring down, so untrusted bytes are parsed in a worker process.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote
from xml.parsers import expat

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple
from pyoxigraph import parse as _parse
from pyoxigraph import serialize as _serialize

from fairmesh.catalog.errors import InvalidDocument, ParseError, TooLarge, UnsupportedMedia

__all__ = [
    "DEFAULT_LIMITS", "MEDIA_TYPES", "PREFIXES", "BlankNode", "DefaultGraph", "Limits", "Literal", "NamedNode",
    "Parsed", "Quad", "Triple", "canonical", "compact", "iri_of", "load", "media_type_for_path", "node",
    "parse", "serialize", "skolemize", "sniff", "unskolemize",
]  # fmt: skip

Node = NamedNode | BlankNode
Term = NamedNode | BlankNode | Literal

TURTLE, TRIG = "text/turtle", "application/trig"
N_TRIPLES, N_QUADS = "application/n-triples", "application/n-quads"
JSON_LD, RDF_XML = "application/ld+json", "application/rdf+xml"

MEDIA_TYPES: Mapping[str, RdfFormat] = {
    TURTLE: RdfFormat.TURTLE, TRIG: RdfFormat.TRIG, N_TRIPLES: RdfFormat.N_TRIPLES, N_QUADS: RdfFormat.N_QUADS,
    JSON_LD: RdfFormat.JSON_LD, RDF_XML: RdfFormat.RDF_XML,
}  # fmt: skip
"""The media types read and written, by their registered names."""

_GENERIC = frozenset(
    ("", "application/octet-stream", "text/plain", "application/json", "application/xml", "text/xml", "*/*")
)
"""Declared types that say nothing certain about RDF: the bytes decide."""

_SUFFIXES = {
    ".ttl": TURTLE, ".trig": TRIG, ".nt": N_TRIPLES, ".nq": N_QUADS, ".jsonld": JSON_LD, ".json": JSON_LD,
    ".rdf": RDF_XML, ".xml": RDF_XML, ".owl": RDF_XML,
}  # fmt: skip

PREFIXES: Mapping[str, str] = {
    "csvw": "http://www.w3.org/ns/csvw#", "dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/",
    "dprod": "https://ekgf.github.io/dprod/", "dpv": "https://w3id.org/dpv#", "dqv": "http://www.w3.org/ns/dqv#",
    "fm": "https://w3id.org/fairmesh/ns#", "foaf": "http://xmlns.com/foaf/0.1/",
    "odrl": "http://www.w3.org/ns/odrl/2/", "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#", "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#", "schema": "http://schema.org/",
    "sh": "http://www.w3.org/ns/shacl#", "skos": "http://www.w3.org/2004/02/skos/core#",
    "vcard": "http://www.w3.org/2006/vcard/ns#", "xsd": "http://www.w3.org/2001/XMLSchema#",
}  # fmt: skip
_BY_NAMESPACE = sorted(((iri, prefix) for prefix, iri in PREFIXES.items()), key=lambda pair: -len(pair[0]))
_LOCAL = re.compile(r"[A-Za-z_][\w.-]*(?<!\.)$|[A-Za-z_]$")

RELATIVE = "fairmesh-base://mesh/r/id/"
"""Relative IRIs are resolved against this stand-in first: what still lies under it did not climb out."""
_RELATIVE_SCHEME = "fairmesh-base:"


@dataclass(frozen=True, slots=True)
class Limits:
    """Guards applied before (bytes, depth) and while (statements) parsing.

    With its prefixes and contexts written out a document may be `SWELL` times `max_bytes`.
    """

    max_bytes: int = 5_000_000
    max_depth: int = 256
    max_quads: int = 50_000


DEFAULT_LIMITS = Limits()
SWELL = 20


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
    return next((media for suffix, media in _SUFFIXES.items() if name.lower().endswith(suffix)), None)


# -- sniffing and guards ---------------------------------------------------------------------------------------------

_LEAD = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|#[^\n]*\n)*")
_XML = re.compile(rb"<\?xml\b|<!|<(?:[\w.-]+:)?[\w.-]+\s+[\w.:-]+\s*=")
_JSON = re.compile(rb"\{\s*[\"}]|\[\s*[{\]]")
_HTML = re.compile(rb"<!doctype\s+html|<html\b", re.IGNORECASE)
_NQUADS_LINE = re.compile(
    rb"^(?:<[^>\s]*>|_:[^\s,;]+)\s+<[^>\s]*>\s+"
    rb"(?:<[^>\s]*>|_:[^\s,;]+|\"(?:[^\"\\\n]|\\.)*+\"(?:@[\w-]+|\^\^<[^>\s]*>)?)\s+(?:<[^>\s]*>|_:[^\s,;]+)\s*\.",
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
        raise UnsupportedMedia("this is an HTML page, not RDF", remedy="Send the metadata itself, e.g. as Turtle")
    if _JSON.match(start):
        return JSON_LD
    if _XML.match(start):
        return RDF_XML
    if name == N_QUADS or (name != TURTLE and _NQUADS_LINE.search(start)):
        return N_QUADS
    if name in (N_TRIPLES, TRIG):
        return name
    return TRIG if any(token == b"{" for _, token in _brackets(data)) else TURTLE


# Every token ends at the latest where the text does, and never gives back what it took: one pass, whatever is sent.
# A backslash outside strings and IRIs escapes the next character of a prefixed name, a quote or "#" say.
_TEXT_TOKEN = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\\?\Z)|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+(?:\'\'\'|\\?\Z)'
    rb'|"(?:[^"\\\r\n]|\\.)*+"?|\'(?:[^\'\\\r\n]|\\.)*+\'?'
    rb"|<<|>>|<[^<>\"{}|^`\s]*+>|#[^\r\n]*+|\\.|[\[\](){}]",
    re.DOTALL,
)
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_XML_TOKEN = re.compile(
    rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)|<!DOCTYPE|<!ENTITY|</"
    rb"|<(?:[^<>\"']|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+>?",
    re.DOTALL | re.IGNORECASE,
)
_OPENERS, _CLOSERS = frozenset((b"[", b"(", b"{", b"<<")), frozenset((b"]", b")", b"}", b">>"))


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
        for at, token in ((m.start(), m.group()) for m in _XML_TOKEN.finditer(data)):
            if token.upper() in (b"<!DOCTYPE", b"<!ENTITY"):
                raise UnsupportedMedia(
                    "RDF/XML with a DOCTYPE is refused: its entities can name files and swell without bound",
                    line=data.count(b"\n", 0, at) + 1, column=_column(data, at), remedy="Write the IRIs out",
                )  # fmt: skip
            if token == b"</":
                depth = max(0, depth - 1)
            elif token[1:2] not in (b"!", b"?") and not token.endswith(b"/>"):
                depth += 1
            if depth > deepest:
                deepest, position = depth, at
    else:
        found = _brackets(data) if media_type != JSON_LD else (
            (m.start(), m.group()) for m in _JSON_TOKEN.finditer(data) if m.group()[:1] != b'"'
        )  # fmt: skip
        for at, token in found:
            depth = depth + 1 if token in _OPENERS else max(0, depth - 1)
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
    return len(data[start:at].decode("utf-8-sig" if start == 0 else "utf-8", "replace")) + 1


# -- parsing ----------------------------------------------------------------------------------------------------------


def parse(
    data: bytes, media_type: str | None, iri_base: str, limits: Limits = DEFAULT_LIMITS, any_base: bool = False
) -> Parsed:
    """Read RDF. Relative IRIs become IRIs under `iri_base`; absolute ones stay as they are. With `any_base` the
    document may set another base.

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
    text = data.removeprefix(b"\xef\xbb\xbf")
    bases = "" if any_base else iri_base  # how a base has to begin
    _check_whole(text, found, bases)
    parser = _parse(text, format=MEDIA_TYPES[found], base_iri=RELATIVE)
    quads: list[Quad] = []
    size = 0
    base: str | None = None
    try:
        for quad in parser:
            quads.append(quad)
            size += len(str(quad))
            if len(quads) > limits.max_quads or size > limits.max_bytes * SWELL:
                raise _too_many(limits, size)
            if parser.base_iri != base:
                base = _checked_base(parser.base_iri, bases, data, found)
        _checked_base(parser.base_iri, bases, data, found)
    except SyntaxError as error:
        raise _parse_error(error, data, found) from None
    except (ValueError, RecursionError) as error:
        raise ParseError(str(error), remedy="Correct the document") from None
    if found == JSON_LD:
        _refuse_dropped(text, len(quads), limits)
    resolver = _Resolver(iri_base, data, found)
    return Parsed([resolver.quad(quad) for quad in quads], found)


def _too_many(limits: Limits, size: int) -> TooLarge:
    if size > limits.max_bytes * SWELL:
        return TooLarge(
            f"the document swells beyond {limits.max_bytes * SWELL:,} characters when its prefixes are written out",
            remedy="Shorten the prefixes or the context, or split the product",
        )
    return TooLarge(
        f"more than {limits.max_quads:,} statements", remedy="Split the product; leave data out of metadata"
    )


def _checked_base(base: str | None, iri_base: str, data: bytes, media_type: str) -> str | None:
    if base is None or base.startswith((RELATIVE, iri_base)):
        return base
    mention = _mention(data, media_type, base, sets_base=True)
    written = mention.written if mention else f"<{base.removeprefix(_RELATIVE_SCHEME)}>"
    raise InvalidDocument(
        f"the document sets its base to {_short(written)}, outside the mesh", iri=base, code="escapes-base",
        line=mention and mention.line, column=mention and mention.column,
        remedy=f"Leave the base out, or set it to <{iri_base}>",
    )  # fmt: skip


_BASE_ATTRIBUTE = "http://www.w3.org/XML/1998/namespace base"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""How an absolute IRI begins (RFC 3986, 3.1)."""


def _check_whole(data: bytes, media_type: str, iri_base: str) -> None:
    """What the native parsers let pass: XML that breaks off in the middle, and bases set on inner nodes."""
    if media_type == RDF_XML:
        reader = expat.ParserCreate("utf-8", " ")

        def element(name: str, attributes: Mapping[str, str]) -> None:
            base = attributes.get(_BASE_ATTRIBUTE)
            if base is not None:
                _checked_base(base, iri_base, data, media_type)

        reader.StartElementHandler = element
        try:
            reader.Parse(data, True)
        except expat.ExpatError as error:
            raise ParseError(
                f"not well-formed XML: {expat.errors.messages[error.code]}", line=error.lineno,
                column=error.offset + 1, remedy="Correct the document here",
            ) from None  # fmt: skip
    elif media_type == JSON_LD:

        def members(pairs: list[tuple[str, object]]) -> None:
            for key, value in pairs:
                if key == "@base" and isinstance(value, str) and SCHEME.match(value):
                    _checked_base(value, iri_base, data, media_type)

        with suppress(ValueError):  # the parser says better what is wrong with the JSON
            json.loads(data, object_pairs_hook=members)


def _refuse_dropped(data: bytes, kept: int, limits: Limits) -> None:
    """JSON-LD leaves out in silence what has no IRI, a malformed one, or a malformed language: that is refused here."""
    everything: list[Quad] = []
    for quad in _parse(data, format=RdfFormat.JSON_LD, base_iri=RELATIVE, lenient=True):
        everything.append(quad)
        if len(everything) > limits.max_quads:
            raise _too_many(limits, 0)
    if len(everything) == kept:
        return
    for quad in everything:
        try:
            list(_parse(f"{quad} .", format=RdfFormat.N_QUADS))
        except SyntaxError as error:
            words = (quad.predicate.value, *(getattr(t, "value", "") for t in (quad.subject, quad.object)))
            place = next((line for word in words if (line := _line_of(data, f'"{word}"'))), None)
            raise ParseError(
                f"JSON-LD would leave out the statement {_short(str(quad))}: {_reason(error)}", line=place,
                remedy="Define the term in the context, or correct the IRI or the language tag",
            ) from None  # fmt: skip


def _reason(error: SyntaxError) -> str:
    place = r"^Parser error (?:at line \d+ )?(?:column \d+|between columns \d+ and (?:column )?\d+|between .*?): "
    return _short(re.sub(place, "", str(error.msg)))


def _short(text: str) -> str:
    return text.replace(RELATIVE, "")[:300]


def _parse_error(error: SyntaxError, data: bytes, media_type: str) -> ParseError:
    message = _reason(error)
    line, column = error.lineno, error.offset
    remedy = "Correct the document here"
    if "LoadDocumentCallback" in message:
        message, remedy = (
            "a remote JSON-LD context is never fetched",
            "Write the context into the document",
        )
        line = _line_of(data, "@context")
    if line is None and media_type == JSON_LD:
        try:
            json.loads(data)
        except ValueError as bad:
            line, column = getattr(bad, "lineno", None), getattr(bad, "colno", None)
    if line is None:  # the parser knows no place: look for the words it quotes
        quoted = re.findall(r"'([^']+)'|<([^>]+)>|(@\w+)", message)
        line = next((at for words in quoted if (at := _line_of(data, "".join(words)))), None)
    return ParseError(message, line=line, column=column, remedy=remedy)


def _line_of(data: bytes, text: str) -> int | None:
    at = data.find(text.encode())
    return None if at < 0 else data.count(b"\n", 0, at) + 1


class _Resolver:
    """Moves IRIs from the stand-in base to the real one and refuses those that climbed out of it."""

    def __init__(self, iri_base: str, data: bytes, media_type: str) -> None:
        self.base = iri_base
        self.data = data
        self.media_type = media_type
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
            raise UnsupportedMedia("triple terms (RDF 1.2) are not read", remedy="State the triple, or reify it")
        if isinstance(term, Literal):
            return self.literal(term)
        return term

    def literal(self, term: Literal) -> Literal:
        if term.direction is not None:
            raise UnsupportedMedia("base directions (RDF 1.2) are not read", remedy="Use a plain language tag")
        if term.language is None and term.datatype.value.startswith(_RELATIVE_SCHEME):
            return Literal(term.value, datatype=self.resolve(term.datatype))
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

    def refuse(self, iri: str, rest: str) -> None:
        mention = _mention(self.data, self.media_type, iri)
        what = f"the reference {_short(mention.written)}" if mention else f"a reference ending in {rest!r}"
        raise InvalidDocument(
            f"{what} leaves the mesh's base", iri=iri, code="escapes-base",
            line=mention and mention.line, column=mention and mention.column,
            remedy=f"Keep relative IRIs under <{self.base}>: no '..', no '//', no leading '/'",
        )  # fmt: skip


# -- references as written --------------------------------------------------------------------------------------------


class _Mention(NamedTuple):
    written: str
    line: int
    column: int


class _Reference(NamedTuple):
    """What may be a reference, from byte `at`; as a Turtle term, and the Turtle directive it stands for, if any."""

    at: int
    written: str
    term: str
    directive: str = ""
    likely: bool = True


# Strings, comments and words are met first, so that nothing inside them counts.
_TURTLE_REFERENCE = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*+"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*+\'\'\''
    rb'|"(?:[^"\\\r\n]|\\.)*+"|\'(?:[^\'\\\r\n]|\\.)*+\'|#[^\r\n]*+'
    rb"|(?i:@?prefix)\s+(?P<prefix>[^\s:<]*+:)\s*(?P<namespace><[^<>\s]*+>)"
    rb"|(?P<base>(?i:@?base)\s*)?(?P<iri><[^<>\"{}|^`\s]*+>)"
    rb"|(?P<name>(?:[\w\x80-\xff][\w\x80-\xff.-]*+)?:(?:[\w\x80-\xff%:-]|\\.|\.++(?=[\w\x80-\xff%:\\-]))*+)"
    rb"|[\w\x80-\xff][\w\x80-\xff.-]*+",
    re.DOTALL,
)
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_XML_ATTRIBUTE = re.compile(rb"(?<![\w:.\x80-\xff-])([\w:.\x80-\xff-]++)\s*+=\s*+(\"[^\"]*+\"|'[^']*+')")
_XML_REFERENCES = frozenset((b"about", b"resource", b"datatype", b"type", b"base"))
_IRI_CHARACTERS = re.compile(r"[^<>\"{}|^`\\\s\x00-\x20]*")


def _mention(data: bytes, media_type: str, iri: str, *, sets_base: bool = False) -> _Mention | None:
    """The first reference (that sets the base) the parser made this IRI of. Only refused documents pay for the search.

    In JSON-LD any string may be one; the values of `@id` and `@type` come before others.
    """
    by_type = {JSON_LD: _json_references, RDF_XML: _xml_references}
    offered = list(by_type.get(media_type, _turtle_references)(data))
    terms = [reference for reference in offered if reference.term]
    # The parser itself resolves them: `urljoin` drops empty segments and knows only some schemes.
    statements = "".join(f"{r.term} <x:> <x:> .\n{r.directive}\n" if r.term else r.directive + "\n" for r in offered)
    best: _Reference | None = None
    with suppress(SyntaxError):
        resolved = _parse(statements, format=RdfFormat.TURTLE, base_iri=RELATIVE, lenient=True)
        for reference, quad in zip(terms, resolved, strict=False):
            if sets_base and not reference.directive:
                continue
            if iri_of(quad.subject) == iri or reference.term == f"<{iri}>":
                best = best or reference
                if reference.likely:
                    best = reference
                    break
    if best is None:
        return None
    return _Mention(best.written, data.count(b"\n", 0, best.at) + 1, _column(data, best.at))


def _turtle_references(data: bytes) -> Iterator[_Reference]:
    for match in _TURTLE_REFERENCE.finditer(data):
        prefix, namespace, base, iri, name = (
            (match[group] or b"").decode() for group in ("prefix", "namespace", "base", "iri", "name")
        )
        if namespace:
            yield _Reference(match.start(), "", "", f"PREFIX {prefix} {namespace}")
        elif iri:
            yield _Reference(match.start("iri"), iri, iri, f"BASE {iri}" if base else "")
        elif name and not name.startswith("_:"):
            yield _Reference(match.start(), name, name)


def _json_references(data: bytes) -> Iterator[_Reference]:
    key = ""
    for match in _JSON_STRING.finditer(data):
        value = ""
        with suppress(ValueError):  # what is no JSON string is no reference
            value = str(json.loads(match.group()))
        if _IRI_CHARACTERS.fullmatch(value):
            term = f"<{value}>"
            yield _Reference(
                match.start(), match.group().decode(), term,
                f"BASE {term}" if key == "@base" else "", key in ("@id", "@type", "@base"),
            )  # fmt: skip
        key = value


def _xml_references(data: bytes) -> Iterator[_Reference]:
    for tag in _XML_TOKEN.finditer(data):
        if tag.group()[1:2] in (b"!", b"?", b"/"):
            continue
        for match in _XML_ATTRIBUTE.finditer(data, tag.start(), tag.end()):
            local = match[1].rpartition(b":")[2]
            value = html.unescape(match[2][1:-1].decode())
            if local in _XML_REFERENCES and _IRI_CHARACTERS.fullmatch(value):
                term = f"<{value}>"
                yield _Reference(match.start(2), match[2].decode(), term, f"BASE {term}" if local == b"base" else "")


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

    Raises `UnsupportedMedia` where XML cannot say it: texts with control characters, predicates that end in no name.
    """
    kind = MEDIA_TYPES[media_type]
    ordered = sorted(set(triples), key=_reading_order)
    if kind is RdfFormat.RDF_XML:
        written = _serialize(ordered, format=kind, prefixes=dict(PREFIXES))
        try:
            expat.ParserCreate("utf-8", " ").Parse(written, True)
        except expat.ExpatError:
            raise UnsupportedMedia(
                "a text or a property's name holds what XML cannot carry", remedy="Ask for another media type"
            ) from None
        return written
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
    count = next((i for i, line in enumerate(lines) if not line.startswith(b"@prefix ")), len(lines))
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

    The hash is taken over what a node states and what points to it, so labels and order do not matter and twins stay
    two nodes. Raises `InvalidDocument` (code `blank-cycle`) when blank nodes refer to each other in a circle, or are so
    much alike, many times over, that nothing but their labels tells them apart.
    """
    triples = list(dict.fromkeys(triples))
    names = _Names(triples).names()
    nodes = {blank: NamedNode(product + GENID + name) for blank, name in names.items()}
    if not nodes:
        return triples
    return [
        Triple(
            nodes[t.subject] if isinstance(t.subject, BlankNode) else t.subject,
            t.predicate,
            nodes[t.object] if isinstance(t.object, BlankNode) else t.object,
        )
        for t in triples
    ]


class _Names:
    """Tells blank nodes apart by their surroundings, over and over, until nothing more can be told."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.outgoing: dict[BlankNode, list[Triple]] = defaultdict(list)
        self.incoming: dict[BlankNode, list[Triple]] = defaultdict(list)
        for triple in triples:
            if isinstance(triple.subject, BlankNode):
                self.outgoing[triple.subject].append(triple)
            if isinstance(triple.object, BlankNode):
                self.incoming[triple.object].append(triple)
        self.name: dict[BlankNode, str] = {}

    def names(self) -> dict[BlankNode, str]:
        order = _children_first(self.outgoing, self.incoming)
        self.name = self._sweep(order)
        for _ in range(_ROUNDS):
            counts = Counter(self.name.values())
            tied = [blank for blank in order if counts[self.name[blank]] > 1]
            if not tied:
                return self.name
            if not self._split(tied):
                self._part(tied)
        raise _blank_cycle("blank nodes are too much alike to be named by their content")

    def _sweep(self, order: list[BlankNode]) -> dict[BlankNode, str]:
        """New names for these, from their own, from what they state, then from what points to them."""
        new: dict[BlankNode, str] = {}

        def shown(node: object) -> str:
            return new.get(node) or self.name.get(node, "") if isinstance(node, BlankNode) else str(node)

        for blank in order:
            said = sorted(f"{t.predicate} {shown(t.object)}" for t in self.outgoing.get(blank, ()))
            new[blank] = _hash([self.name.get(blank, ""), *said])
        for blank in reversed(order):
            above = sorted(f"{shown(t.subject)} {t.predicate}" for t in self.incoming.get(blank, ()))
            new[blank] = _hash([new[blank], *above])
        return new

    def _split(self, tied: list[BlankNode]) -> bool:
        """Rename those whose surroundings differ from their namesakes'; the others keep their names."""
        new = self._sweep(tied)
        seen: dict[str, set[str]] = defaultdict(set)
        for blank in tied:
            seen[self.name[blank]].add(new[blank])
        different = {blank: new[blank] for blank in tied if len(seen[self.name[blank]]) > 1}
        self.name.update(different)
        return bool(different)

    def _part(self, tied: list[BlankNode]) -> None:
        """Number groups that are copies of each other; in a group that mirrors itself, single out one node."""
        copies: Counter[tuple[str, ...]] = Counter()
        for group in self._groups(tied):
            names = tuple(sorted(self.name[blank] for blank in group))
            twice = [name for name, following in pairwise(names) if name == following]
            if twice:
                chosen = next(blank for blank in group if self.name[blank] == twice[0])
                self.name[chosen] = _hash([twice[0], "chosen"])
                continue
            copies[names] += 1
            for blank in group if copies[names] > 1 else ():
                self.name[blank] = _hash([self.name[blank], str(copies[names])])

    def _groups(self, tied: list[BlankNode]) -> Iterator[list[BlankNode]]:
        """The parts that hang together once the nodes already told apart are taken out."""
        left = dict.fromkeys(tied)
        while left:
            group = [left.popitem()[0]]
            for blank in group:  # grows meanwhile
                near: list[object] = [t.object for t in self.outgoing.get(blank, ())]
                for other in (*near, *(t.subject for t in self.incoming.get(blank, ()))):
                    if isinstance(other, BlankNode) and other in left:
                        del left[other]
                        group.append(other)
            yield group


_ROUNDS = 64
"""How often names are refined; real documents need two or three rounds."""


def _children_first(
    outgoing: Mapping[BlankNode, list[Triple]], incoming: Mapping[BlankNode, list[Triple]]
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
        raise _blank_cycle("blank nodes refer to each other in a circle, so they cannot be named by their content")
    return order


def _blank_cycle(message: str) -> InvalidDocument:
    return InvalidDocument(message, code="blank-cycle", remedy="Give one of them an IRI")


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def unskolemize(triples: Iterable[Triple], product: str) -> list[Triple]:
    """The inverse of `skolemize` for IRIs under this product, whoever wrote them; foreign skolem IRIs stay."""
    prefix = product + GENID
    return _renamed(triples, lambda iri: BlankNode("b" + _hash([iri])) if iri.startswith(prefix) else None)
