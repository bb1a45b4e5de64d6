"""Literals kept as they are written, in a store that keeps what they mean.

The SPARQL store knows numbers, dates and truth values by value: `"01"^^xsd:int` comes out of it as `1`, an
`xsd:integer`. SHACL and RDF tell those terms apart. So a literal the store would change is put into it as a text of a
datatype of its own, that no query can name, and read back here. Queries that reckon with such a literal ask `VALUE` of
it first; `STR` and `DATATYPE` have twins that see through it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from fairmesh.catalog.rdf import PREFIXES, BlankNode, Literal, NamedNode

Term = NamedNode | BlankNode | Literal

XSD = PREFIXES["xsd"]
_KEPT = NamedNode("urn:fairmesh:written")
_UNCHANGED = {
    XSD + "integer": re.compile(r"0|-?[1-9][0-9]{0,17}"),
    XSD + "decimal": re.compile(r"0|-?[1-9][0-9]{0,8}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,8}[1-9]"),
    XSD + "boolean": re.compile("true|false"),
    XSD + "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}Z?"),
    XSD + "dateTime": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}Z?"),
}
"""What the store does not change, of some of the datatypes it knows; of the others it may change anything."""
_TEXTS = frozenset(
    XSD + name for name in ("string", "anyURI", "normalizedString", "token", "language", "base64Binary", "hexBinary")
)


def kept(term: Term) -> Term:
    """The term to put into the store in place of this one."""
    if not isinstance(term, Literal) or term.language:
        return term
    datatype = term.datatype.value
    if datatype != _KEPT.value and (not datatype.startswith(XSD) or datatype in _TEXTS):
        return term
    unchanged = _UNCHANGED.get(datatype)
    if unchanged and unchanged.fullmatch(term.value):
        return term
    return Literal(f"{datatype}\n{term.value}", datatype=_KEPT)


def is_kept(term: Term) -> bool:
    """Whether this stands for another."""
    return isinstance(term, Literal) and term.datatype == _KEPT


def original(term: Term) -> Term:
    """What a term from the store stands for; `VALUE` in a query, where it then counts by its value."""
    if not isinstance(term, Literal) or term.datatype != _KEPT:
        return term
    datatype, _, text = term.value.partition("\n")
    return Literal(text, datatype=NamedNode(datatype))


def _text(term: Term) -> Literal | None:
    written = original(term)
    return None if isinstance(written, BlankNode) else Literal(written.value)


def _datatype(term: Term) -> NamedNode | None:
    written = original(term)
    return written.datatype if isinstance(written, Literal) else None


VALUE = NamedNode("urn:fairmesh:value")
TWINS = {"STR": NamedNode("urn:fairmesh:str"), "DATATYPE": NamedNode("urn:fairmesh:datatype")}
"""The functions that see through what is kept, by the name of the function of SPARQL they replace."""

FUNCTIONS: Mapping[NamedNode, Callable[..., Term | None]] = {
    VALUE: original,
    TWINS["STR"]: _text,
    TWINS["DATATYPE"]: _datatype,
}
"""What queries over such a store call."""
