"""Builds one product document, keeping apart what the source said and what the importer added.

What is added is named, by predicate, in a `dcat:CatalogRecord` of the node it was added to (`fm:assertedPredicate`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from functools import cache
from urllib.parse import quote, unquote

from fairmesh.catalog import rdf
from fairmesh.catalog.feeds import Completion
from fairmesh.catalog.model import CLASSIFICATION, STATUS
from fairmesh.catalog.rdf import Literal, NamedNode

BASE = rdf.RELATIVE
"""Stands for the mesh's base while a document is built; what is written under it is written relative."""

_MAX_SLUG = 60
_MIN_DESCRIPTION = 20


@cache
def term(name: str) -> NamedNode:
    """The IRI of a prefixed name such as `dct:title`."""
    prefix, local = name.split(":", 1)
    return NamedNode(rdf.PREFIXES[prefix] + local)


TYPE = term("rdf:type")


def mesh(path: str) -> NamedNode:
    """The node of the mesh with this path under the base."""
    return NamedNode(BASE + path)


def slug(text: str) -> str:
    """A name as a part of a key: small letters, digits, `-` and `_`; never empty, at most 60 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    result = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    if not result:
        return "x" + digest(text)
    return result if len(result) <= _MAX_SLUG else f"{result[: _MAX_SLUG - 9].rstrip('-_')}-{digest(text)}"


def digest(text: str) -> str:
    """Eight hexadecimal digits that stay with the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def segment(name: str) -> str:
    """Any name as one path segment of an IRI, percent-encoded; names that would climb the path become a digest."""
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "x" + digest(name)
    return quote(name, safe="")


def humanised(name: str) -> str:
    """`stg_orders__daily` as `Stg orders daily`."""
    words = re.sub(r"[\W_]+", " ", unquote(name)).strip() or name
    return words[:1].upper() + words[1:]


def english(text: str) -> Literal:
    return Literal(text, language="en")


def describes(text: str, title: str) -> bool:
    """Whether a text can stand as a product's description: long enough, and not the title again."""
    return len(text.strip()) >= _MIN_DESCRIPTION and text.strip() != title.strip()


class Draft:
    """A product document in the making. `source` is where its facts come from: an IRI or a file name."""

    def __init__(self, key: str, source: NamedNode | Literal) -> None:
        self.key = key
        self.product = mesh(key)
        self._source = source
        self._triples: dict[rdf.Triple, None] = {}
        self._said: set[tuple[rdf.Node, NamedNode]] = set()
        self._asserted: dict[NamedNode, set[NamedNode]] = defaultdict(set)

    def state(self, subject: rdf.Node, predicate: str | NamedNode, value: rdf.Term) -> None:
        """The source says so."""
        name = term(predicate) if isinstance(predicate, str) else predicate
        self._triples.setdefault(rdf.Triple(subject, name, value))
        self._said.add((subject, name))

    def add(self, subject: NamedNode, predicate: str, value: rdf.Term) -> None:
        """The importer says so."""
        self.state(subject, predicate, value)
        self._asserted[subject].add(term(predicate))

    def has(self, subject: rdf.Node, predicate: str) -> bool:
        return (subject, term(predicate)) in self._said

    def part(self, path: str) -> NamedNode:
        """The node at this path below the product."""
        return NamedNode(f"{self.product.value}/{path}")

    # -- facts every product has -----------------------------------------------------------------------------------

    def begin(self, title: str) -> None:
        """Type, key and domain; `title` in English unless a title is stated already."""
        domain = mesh("domain/" + self.key.split(".", 1)[0])
        self.state(self.product, TYPE, term("dprod:DataProduct"))
        self.add(self.product, "dct:identifier", Literal(self.key))
        self.add(self.product, "dprod:domain", domain)
        self.state(domain, TYPE, term("skos:Concept"))
        self.state(domain, "skos:prefLabel", english(humanised(self.key.split(".", 1)[0])))
        if not self.has(self.product, "dct:title"):
            self.add(self.product, "dct:title", english(title))

    def complete(self, facts: Completion, description: str) -> None:
        """Status, version and what else `facts` know; `description` where nothing else describes the product."""
        if not self.has(self.product, "dct:description"):
            self.add(self.product, "dct:description", english(facts.description or description))
        if facts.status:
            self.add(self.product, "dprod:lifecycleStatus", NamedNode(STATUS + facts.status))
        if facts.version and not self.has(self.product, "dcat:version"):
            self.add(self.product, "dcat:version", Literal(facts.version))
        if facts.purpose:
            self.add(self.product, "dprod:purpose", english(facts.purpose))
        if facts.license and not self.has(self.product, "dct:license"):
            self.add(self.product, "dct:license", NamedNode(facts.license))
        for keyword in facts.keywords:
            self.add(self.product, "dcat:keyword", english(keyword))

    def owner(self, name: str, *, asserted: bool) -> None:
        """The owning team, by its name."""
        team = mesh("team/" + slug(name))
        (self.add if asserted else self.state)(self.product, "dprod:dataProductOwner", team)
        for kind in ("prov:Agent", "foaf:Agent"):
            self.state(team, TYPE, term(kind))
        self.state(team, "foaf:name", Literal(name))

    def contact(self, name: str, place: NamedNode, *, asserted: bool) -> None:
        """How to reach the owner: `place` is a `mailto:` or web address, and what makes contacts the same."""
        mail = place.value.startswith("mailto:")
        node = mesh("contact/" + slug(place.value.removeprefix("mailto:")))
        (self.add if asserted else self.state)(self.product, "dcat:contactPoint", node)
        self.state(node, TYPE, term("vcard:Kind"))
        self.state(node, "vcard:fn", Literal(name))
        self.state(node, "vcard:hasEmail" if mail else "vcard:hasURL", place)

    def classify(self, dataset: NamedNode, word: str, *, asserted: bool) -> None:
        value = NamedNode(CLASSIFICATION + word)
        (self.add if asserted else self.state)(dataset, "dprod:informationSensitivityClassification", value)

    def port(self, facts: Completion) -> NamedNode | None:
        """The one port at which all of the product's data is read, if an endpoint is known."""
        if not facts.endpoint:
            return None
        port = self.part("port")
        self.add(self.product, "dprod:outputPort", port)
        self.state(port, TYPE, term("dcat:DataService"))
        self.add(port, "dct:title", english("Access to " + humanised(self.key.split(".", 1)[1]).lower()))
        self.add(port, "dcat:endpointURL", NamedNode(facts.endpoint))
        if facts.namespace:
            self.add(port, "fm:namespace", Literal(facts.namespace))
        return port

    # -- the end ---------------------------------------------------------------------------------------------------

    def turtle(self) -> bytes:
        """The document. Raises `InvalidDocument` when blank nodes refer to each other in a circle."""
        for subject, predicates in self._asserted.items():
            inside = subject.value.startswith(self.product.value)
            record = NamedNode(subject.value + "/record") if inside else self.part("dataset-record")
            self.state(record, TYPE, term("dcat:CatalogRecord"))
            self.state(record, "foaf:primaryTopic", subject)
            self.state(record, "dct:source", self._source)
            for predicate in predicates:
                self.state(record, "fm:assertedPredicate", predicate)
        stable = rdf.skolemize(self._triples, self.product.value)
        text = rdf.serialize(rdf.unskolemize(stable, self.product.value), rdf.TURTLE, relative_to=BASE)
        return re.sub(rb"\A@base [^\n]*\n", b"", text)


class Keys:
    """Names as keys of one domain, each given once; who comes first keeps the plain name."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._taken: set[str] = set()

    def claim(self, *names: str) -> str:
        """The first of `names` that is free, as a key. The last one must be unique."""
        key = next(k for name in names if (k := f"{self._domain}.{slug(name)}") not in self._taken)
        self._taken.add(key)
        return key
