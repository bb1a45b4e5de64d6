"""The part of pyoxigraph in use, typed for RDF 1.1: triple terms are refused before any of this is reached."""

from collections.abc import Iterable, Iterator

class NamedNode:
    def __init__(self, value: str) -> None: ...
    @property
    def value(self) -> str: ...

class BlankNode:
    def __init__(self, value: str | None = None) -> None: ...
    @property
    def value(self) -> str: ...

class Literal:
    def __init__(
        self,
        value: str | int | float | bool,
        *,
        datatype: NamedNode | None = None,
        language: str | None = None,
    ) -> None: ...
    @property
    def value(self) -> str: ...
    @property
    def language(self) -> str | None: ...
    @property
    def direction(self) -> object | None: ...
    @property
    def datatype(self) -> NamedNode: ...

class DefaultGraph: ...

class Triple:
    def __init__(
        self, subject: NamedNode | BlankNode, predicate: NamedNode, object: NamedNode | BlankNode | Literal
    ) -> None: ...
    @property
    def subject(self) -> NamedNode | BlankNode: ...
    @property
    def predicate(self) -> NamedNode: ...
    @property
    def object(self) -> NamedNode | BlankNode | Literal: ...
    def __iter__(self) -> Iterator[NamedNode | BlankNode | Literal]: ...

class Quad:
    def __init__(
        self,
        subject: NamedNode | BlankNode,
        predicate: NamedNode,
        object: NamedNode | BlankNode | Literal,
        graph_name: NamedNode | BlankNode | DefaultGraph | None = None,
    ) -> None: ...
    @property
    def subject(self) -> NamedNode | BlankNode: ...
    @property
    def predicate(self) -> NamedNode: ...
    @property
    def object(self) -> NamedNode | BlankNode | Literal: ...
    @property
    def graph_name(self) -> NamedNode | BlankNode | DefaultGraph: ...
    @property
    def triple(self) -> Triple: ...

class RdfFormat:
    N_TRIPLES: RdfFormat
    N_QUADS: RdfFormat
    TURTLE: RdfFormat
    TRIG: RdfFormat
    JSON_LD: RdfFormat
    RDF_XML: RdfFormat

class QuadParser(Iterator[Quad]):
    def __next__(self) -> Quad: ...
    @property
    def base_iri(self) -> str | None: ...

def parse(
    input: bytes | str, format: RdfFormat, *, base_iri: str | None = None, lenient: bool = False
) -> QuadParser: ...
def serialize(
    input: Iterable[Triple],
    *,
    format: RdfFormat,
    prefixes: dict[str, str] | None = None,
    base_iri: str | None = None,
) -> bytes: ...

class Store:
    def __init__(self, path: str | None = None) -> None: ...
    def update(self, update: str) -> None: ...
    def quads_for_pattern(
        self,
        subject: NamedNode | BlankNode | None,
        predicate: NamedNode | None,
        object: NamedNode | BlankNode | Literal | None,
        graph_name: NamedNode | None = None,
    ) -> Iterator[Quad]: ...
    def named_graphs(self) -> Iterator[NamedNode | BlankNode]: ...
    def clear(self) -> None: ...
