"""DCAT: every dataset of one or more RDF files becomes the output dataset of a product of its own, its IRI kept.

A record is a `dcat:Dataset`, a `dcat:Resource` that is nothing more special, or a subject of `dcat:distribution` with
no DCAT type (the domain of that predicate, DCAT 3). The files of one import are read as one graph: a dataset described
in several of them is one product.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple
from urllib.parse import unquote

from fairmesh.catalog import rdf
from fairmesh.catalog.errors import InputError, InvalidDocument
from fairmesh.catalog.feeds import SEMVER, FeedDocument, Import, ImportOptions, Problem, address
from fairmesh.catalog.feeds.drafting import BASE, TYPE, Draft, Keys, describes, digest, english, humanised, slug, term
from fairmesh.catalog.model import CLASSIFICATION, CLASSIFICATIONS
from fairmesh.catalog.rdf import Literal, NamedNode

_LIMITS = rdf.Limits(max_bytes=200_000_000, max_quads=5_000_000)
_DC = "http://purl.org/dc/elements/1.1/"
_BLANK = BASE + "blank"
"""Blank nodes are named by their content while files are compared; equal ones in several files are one."""

_CATALOG = term("dcat:Catalog")
_OWNING = frozenset(
    term(p) for p in ("dct:hasPart", "dcat:distribution", "dcat:accessService", "dct:conformsTo", "csvw:column")
)
"""Predicates that make their object a node of the product, which its document may then describe."""
_LABELS = frozenset(
    {TYPE, *(term(p) for p in (
        "dct:title", "skos:prefLabel", "rdfs:label", "foaf:name", "vcard:fn", "schema:name", "csvw:name"
    ))}
)  # fmt: skip
"""What a document may say about a node that is not part of its product."""
_AXIOMS = tuple(rdf.PREFIXES[p] for p in ("rdfs", "owl", "sh"))
_NO_AXIOMS = frozenset(
    term(p) for p in ("rdfs:label", "rdfs:comment", "rdfs:seeAlso", "rdfs:isDefinedBy", "owl:versionInfo", "owl:sameAs")
)
_RESERVED = (*(iri for prefix, iri in rdf.PREFIXES.items() if prefix != "schema"), "https://w3id.org/fairmesh/")
_ONE_VALUE = frozenset(term(p) for p in ("dct:title", "dct:description", "dct:issued", "dct:modified", "dcat:version"))
"""Predicates with one value (for each language): where files differ, the first file's stands."""
_SENSITIVITY = term("dprod:informationSensitivityClassification")
_ODD_LICENSES = (
    "http://purl.org/dc/terms/1.1/license",
    "http://creativecommons.org/ns#license",
    "schema:license",
    _DC + "rights",
)
"""Where else sources put the licence's IRI; read for the product, marked as the importer's reading."""
_ADDRESS_PREDICATES = frozenset(
    term(p) for p in ("dcat:accessURL", "dcat:downloadURL", "dcat:landingPage", "dcat:endpointURL")
)
_COPIED = ("dct:publisher", "dcat:theme", "dct:license")
"""What the product repeats of its dataset, where it is an IRI."""
_TITLES = ("dct:title", _DC + "title", "skos:prefLabel", "rdfs:label", "foaf:name", "schema:name")
_DESCRIPTIONS = ("dct:description", _DC + "description", "schema:description", "rdfs:comment")
_ADDRESSES = ("vcard:hasEmail", "foaf:mbox", "vcard:email", "vcard:hasURL", "vcard:url", "foaf:homepage")
_CONTACT_NAMES = ("vcard:fn", "vcard:hasOrganizationName", "vcard:organization-name", "foaf:name", "rdfs:label")
_NAMES = ("foaf:name", "skos:prefLabel", "rdfs:label", "vcard:fn", "schema:name", "dct:title")


def read(sources: Sequence[tuple[str, bytes]], options: ImportOptions) -> Import:
    """Product documents of DCAT files, given as (name, bytes); the bytes tell the format.

    A file that cannot be read, or gives nothing to any document, is a problem and the others go on. Raises the
    file's own error when it is the only one, and `InputError` ("no dataset found") when all files can be read and
    none has a record.
    """
    graph = _Graph()
    problems: list[Problem] = []
    for name, data in sources:
        try:
            graph.add_file(name, data)
        except InputError as error:
            if len(sources) == 1:
                raise
            problems.append(Problem(name, "", error.message, error.remedy, error.line, error.column))
    reading = _Reading(graph, options)
    if not reading.records and not problems:
        names = ", ".join(name for name, _ in sources)
        raise InputError(f"no dataset found in {names}", remedy=_NO_RECORD)
    return reading.result(problems)


_NO_RECORD = "Give files with a dcat:Dataset, a dcat:Resource or a subject of dcat:distribution"


def _predicate(name: str) -> NamedNode:
    return NamedNode(name) if name.startswith("http") else term(name)


def _is_blank(node: object) -> bool:
    return isinstance(node, NamedNode) and node.value.startswith(_BLANK)


_Value = NamedNode | Literal


class _Statement(NamedTuple):
    """A triple whose blank nodes have names (see `_BLANK`)."""

    subject: NamedNode
    predicate: NamedNode
    object: _Value


def _statement(triple: rdf.Triple) -> _Statement:
    subject, value = triple.subject, triple.object
    if not isinstance(subject, NamedNode) or not isinstance(value, NamedNode | Literal):
        raise TypeError(f"{triple} has a blank node or a triple term")  # parse and skolemize leave none
    return _Statement(subject, triple.predicate, value)


def _show(node: NamedNode, about: Sequence[_Statement]) -> str:
    """A node in a note; a blank node by something it says."""
    if not _is_blank(node):
        return f"<{node.value.removeprefix(BASE)}>"
    text = next((t.object.value for t in about if isinstance(t.object, Literal)), "")
    return f"a blank node ({_cut(text, 40)!r})" if text else "a blank node"


class _Graph:
    """The statements of all files, each with the first file that makes it."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.notes: list[str] = []
        self.origin: dict[_Statement, str] = {}
        self.about: dict[NamedNode, list[_Statement]] = defaultdict(list)
        self.files_about: dict[NamedNode, list[str]] = defaultdict(list)
        self._settled: dict[tuple[NamedNode, NamedNode, str], tuple[str, frozenset[_Value]]] = {}

    def add_file(self, name: str, data: bytes) -> None:
        parsed = _parse(name, data)
        graphs = {q.graph_name for q in parsed.quads if isinstance(q.graph_name, NamedNode)}
        if graphs:
            self.notes.append(f"{name}: {len(graphs)} named graphs are read as one graph")
        triples = [_statement(t) for t in rdf.skolemize((q.triple for q in parsed.quads), _BLANK)]
        self.files.append(name)
        for triple in self._without_contradictions(name, triples):
            if triple not in self.origin:
                self.origin[triple] = name
                self.about[triple.subject].append(triple)
            if name not in self.files_about[triple.subject][-1:]:
                self.files_about[triple.subject].append(name)

    def _without_contradictions(self, name: str, triples: Iterable[_Statement]) -> Iterator[_Statement]:
        triples = list(dict.fromkeys(triples))
        values: dict[tuple[NamedNode, NamedNode, str], set[_Value]] = defaultdict(set)
        for t in triples:
            if t.predicate in _ONE_VALUE and not _is_blank(t.subject):
                values[_slot(t)].add(t.object)
        dropped: set[tuple[NamedNode, NamedNode, str]] = set()
        for slot, found in values.items():
            first, settled = self._settled.setdefault(slot, (name, frozenset(found)))
            if first != name and settled != found:
                dropped.add(slot)
                subject, predicate, _ = slot
                these = ", ".join(sorted(str(v) for v in found))
                self.notes.append(
                    f"{name}: {subject} {rdf.compact(predicate.value)} {_cut(these)} left out, {first} says otherwise"
                )
        return (t for t in triples if not dropped or _slot(t) not in dropped)

    def values(self, subject: NamedNode, *predicates: str) -> list[_Value]:
        """Objects of the first of `predicates` that has any, sorted."""
        for name in predicates:
            predicate = _predicate(name)
            if found := [t.object for t in self.about.get(subject, ()) if t.predicate == predicate]:
                return sorted(found, key=str)
        return []

    def texts(self, subject: NamedNode, *predicates: str) -> list[Literal]:
        """Literals of the first of `predicates` that has any, sorted."""
        for name in predicates:
            if found := [v for v in self.values(subject, name) if isinstance(v, Literal) and v.value.strip()]:
                return found
        return []

    def iris(self, subject: NamedNode, *predicates: str) -> list[NamedNode]:
        return [v for v in self.values(subject, *predicates) if isinstance(v, NamedNode)]


def _parse(name: str, data: bytes) -> rdf.Parsed:
    """Unlike a product document, a foreign source may set a base of its own; relative IRIs are then its own too."""
    media_type = rdf.media_type_for_path(name)
    try:
        return rdf.parse(data, media_type, iri_base=BASE, limits=_LIMITS)
    except InvalidDocument as error:
        if error.code != "escapes-base" or error.iri is None or error.iri.startswith(BASE.split("//")[0]):
            raise
        return rdf.parse(data, media_type, iri_base=error.iri, limits=_LIMITS)


def _slot(triple: _Statement) -> tuple[NamedNode, NamedNode, str]:
    return triple.subject, triple.predicate, getattr(triple.object, "language", None) or ""


def _cut(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[:length]}... ({len(text)} characters)"


@dataclass(frozen=True, slots=True)
class _Catalogs:
    """Catalogs and what they list."""

    publishers: dict[NamedNode, list[NamedNode]]
    lists: dict[NamedNode, list[NamedNode]]
    """Catalogs by the dataset they list."""


class _Reading:
    def __init__(self, graph: _Graph, options: ImportOptions) -> None:
        self._graph = graph
        self._options = options
        self._notes = list(graph.notes)
        self._problems: list[Problem] = []
        self._used: set[_Statement] = set()
        self._refused: dict[_Statement, str] = {}
        self._text_addresses: dict[str, set[_Statement]] = defaultdict(set)
        self._types = {s: {t.object for t in about if t.predicate == TYPE} for s, about in graph.about.items()}
        self.records = sorted((s for s in graph.about if self._is_record(s)), key=str)
        self._known = frozenset(self.records)
        self._catalogs = self._find_catalogs()

    def _is_record(self, node: NamedNode) -> bool:
        types = {t for t in self._types[node] if isinstance(t, NamedNode) and t.value.startswith(rdf.PREFIXES["dcat"])}
        if not types:
            return bool(self._graph.values(node, "dcat:distribution"))
        return term("dcat:Dataset") in types or types == {term("dcat:Resource")}

    def _find_catalogs(self) -> _Catalogs:
        lists: dict[NamedNode, list[NamedNode]] = defaultdict(list)
        publishers: dict[NamedNode, list[NamedNode]] = {}
        for node, about in self._graph.about.items():
            is_catalog = _CATALOG in self._types[node]
            for t in about:
                listed = t.predicate == term("dcat:dataset") or (
                    is_catalog and t.predicate in (term("dcat:resource"), term("dct:hasPart"))
                )
                if listed and isinstance(t.object, NamedNode) and t.object in self._known:
                    lists[t.object].append(node)
                    publishers[node] = self._graph.iris(node, "dct:publisher")
        return _Catalogs(publishers, lists)

    def result(self, problems: list[Problem]) -> Import:
        documents: list[FeedDocument] = []
        keyed = list(self._keys())
        for record, key in keyed:
            document = self._document(record, key)
            if document is not None:
                documents.append(document)
        notes = [*self._notes, *self._left_out(), *self._options.unmatched(key for _, key in keyed)]
        giving = {name for record in self.records for name in self._graph.files_about[record]}
        giving |= {self._graph.origin[t] for t in self._used}
        empty = [Problem(f, "", "no dataset found", _NO_RECORD) for f in self._graph.files if f not in giving]
        documents.sort(key=lambda d: d.key)
        return Import(tuple(documents), tuple(notes), (*problems, *empty, *self._problems))

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[NamedNode, str]]:
        keys = Keys(self._options.domain)
        plain: dict[str, NamedNode] = {}
        for record in self.records:
            files = self._graph.files_about[record]
            if record.value.startswith(BASE):
                blank = _is_blank(record)
                title = next((t.value for t in self._graph.texts(record, *_TITLES)), "")
                self._problems.append(Problem(
                    ", ".join(files), title if blank else record.value.removeprefix(BASE),
                    "the dataset has no IRI of its own" if blank else "the dataset's IRI is relative",
                    "Give it an absolute IRI at the source, so that the next import finds it again",
                ))  # fmt: skip
                continue
            if len(files) > 1:
                self._notes.append(f"{record} is described in {len(files)} files, read as one: {', '.join(files)}")
            name = self._name(record)
            key = keys.claim(name, f"{slug(name)[:50]}-{digest(record.value)}")
            first = plain.setdefault(slug(name), record)
            if first != record:
                self._notes.append(f"{record}: its name {slug(name)!r} is taken by {first}, so its key is {key}")
            yield record, key

    def _name(self, record: NamedNode) -> str:
        """The shortest plain identifier, else the IRI's end."""
        found = [t for t in self._graph.texts(record, "dct:identifier") if t.value.strip("/#")]
        if not found:
            return _tail(record.value)
        xsd = rdf.PREFIXES["xsd"]
        best = min(found, key=lambda t: (not t.datatype.value.startswith(xsd), len(t.value), t.value))
        return _tail(best.value) if "://" in best.value else best.value

    # -- documents -----------------------------------------------------------------------------------------------------

    def _document(self, record: NamedNode, key: str) -> FeedDocument | None:
        graph, files = self._graph, self._graph.files_about[record]
        facts = self._options.defaults(key)
        publishers = graph.iris(record, "dct:publisher")
        carried = [] if publishers else self._carried(record)
        draft = Draft(key, self._source(record))
        self._describe(draft, record)
        owner = facts.owner or self._publisher_name(publishers or carried)
        if owner is None:
            self._problems.append(Problem(
                ", ".join(files), record.value, "no owner is known, and its publisher has no name",
                "Give --owner NAME, or an owner for it in the --complete file",
            ))  # fmt: skip
            return None
        for publisher in carried:
            draft.add(record, "dct:publisher", _unnamed(publisher))
            self._describe(draft, publisher, owned=_is_blank(publisher))
        title = self._complete_dataset(draft, record, facts.title, facts.classification or "internal")
        self._product(draft, record, title)
        draft.complete(facts, self._composed(record, title, publishers or carried))
        draft.owner(owner, asserted=True)
        self._contact(draft, record, owner, facts.contact)
        port = draft.port(facts)
        if port is not None:
            access = draft.part("access")
            draft.add(record, "dcat:distribution", access)
            draft.state(access, TYPE, term("dcat:Distribution"))
            draft.state(access, "dcat:accessService", port)
        try:
            return FeedDocument(key, draft.turtle(), ", ".join(files), record.value)
        except InputError as error:
            self._problems.append(Problem(", ".join(files), record.value, error.message, error.remedy))
            return None

    def _contact(self, draft: Draft, record: NamedNode, owner: str, default: str | None) -> None:
        """The dataset's contact as the product's, with the address a document may not repeat of a foreign node."""
        for contact in self._graph.iris(record, "dcat:contactPoint"):
            for predicate in _ADDRESSES:
                for value in self._graph.values(contact, predicate):
                    place = address(value.value)
                    if place is not None:
                        names = self._graph.texts(contact, *_CONTACT_NAMES)
                        name = min(names, key=_english_first).value.strip() if names else value.value
                        self._used.add(_Statement(contact, term(predicate), value))
                        draft.contact(name, place, asserted=False)
                        return
        place = address(default) if default else None
        if place is not None:
            draft.contact(owner, place, asserted=True)

    def _carried(self, record: NamedNode) -> list[NamedNode]:
        found: set[NamedNode] = set()
        for catalog in self._catalogs.lists.get(record, ()):
            for publisher in self._catalogs.publishers[catalog]:
                if _is_blank(publisher) or not publisher.value.startswith(BASE):
                    self._used.add(_Statement(catalog, term("dct:publisher"), publisher))
                    found.add(publisher)
        return sorted(found, key=str)

    def _publisher_name(self, publishers: list[NamedNode]) -> str | None:
        names = [n for p in publishers for n in self._graph.texts(p, *_NAMES)]
        return next((n.value.strip() for n in sorted(names, key=_english_first)), None)

    def _source(self, record: NamedNode) -> NamedNode | Literal:
        catalogs = sorted(c.value for c in self._catalogs.lists.get(record, ()) if not c.value.startswith(BASE))
        return NamedNode(catalogs[0]) if catalogs else Literal(PurePath(self._graph.files_about[record][0]).name)

    def _complete_dataset(self, draft: Draft, record: NamedNode, title: str | None, word: str) -> str:
        """Type, title, description and classification of the dataset where the source has none. Returns its title."""
        titles = self._graph.texts(record, *_TITLES)
        shown = min(titles, key=_english_first).value.strip() if titles else title or humanised(_tail(record.value))
        draft.state(draft.product, "dprod:outputDataset", record)
        if term("dcat:Dataset") not in self._types[record]:
            draft.add(record, "rdf:type", term("dcat:Dataset"))
        if not draft.has(record, "dct:title"):
            for text in titles or [english(shown)]:
                draft.add(record, "dct:title", text)
        if not draft.has(record, "dct:description"):
            for text in self._graph.texts(record, *_DESCRIPTIONS):
                draft.add(record, "dct:description", text)
        if not draft.has(record, "dprod:informationSensitivityClassification"):
            draft.classify(record, word, asserted=True)
        return shown

    def _product(self, draft: Draft, record: NamedNode, title: str) -> None:
        long = [t for t in self._graph.texts(record, *_DESCRIPTIONS) if describes(t.value, title)]
        for predicate, texts in (("dct:title", self._graph.texts(record, *_TITLES)), ("dct:description", long)):
            say = draft.state if self._graph.texts(record, predicate) else draft.add
            for text in self._one_by_language(record, predicate, texts):
                say(draft.product, predicate, text)
        draft.begin(title)
        version = next((v.value for v in self._graph.texts(record, "dcat:version") if SEMVER.fullmatch(v.value)), None)
        if version:
            draft.state(draft.product, "dcat:version", Literal(version))
        for predicate in _COPIED:
            for iri in self._graph.iris(record, predicate):
                if not _is_blank(iri) and self._why_refused(_Statement(record, term(predicate), iri)) is None:
                    draft.state(draft.product, predicate, iri)
        if not draft.has(draft.product, "dct:license"):
            for iri in (i for i in self._graph.iris(record, *_ODD_LICENSES) if not i.value.startswith(BASE)):
                draft.add(draft.product, "dct:license", iri)
        for keyword in self._graph.texts(record, "dcat:keyword"):
            draft.state(draft.product, "dcat:keyword", keyword)

    def _one_by_language(self, record: NamedNode, predicate: str, texts: list[Literal]) -> Iterator[Literal]:
        """The first text of each language; plain strings whatever their datatype count as one language."""
        seen: set[str] = set()
        for text in texts:
            language = (text.language or "").lower()
            if language in seen:
                tag = f"in {language!r}" if language else "without a language"
                self._notes.append(
                    f"{record}: a second {predicate} {tag} stays with the dataset only: {_cut(text.value)}"
                )
                continue
            seen.add(language)
            yield text if text.language else Literal(text.value)

    def _composed(self, record: NamedNode, title: str, publishers: list[NamedNode]) -> str:
        short = next((t.value.strip().rstrip(".") for t in self._graph.texts(record, *_DESCRIPTIONS)), "")
        about = f"{title}: {short}" if short and short != title else f"The dataset {title}"
        publisher = self._publisher_name(publishers)
        by = f", published by {publisher}" if publisher else ""
        return f"{about}{by}. Imported from the DCAT record {record.value}, which describes it no further."

    # -- statements ----------------------------------------------------------------------------------------------------

    def _describe(self, draft: Draft, start: NamedNode, *, owned: bool = True) -> None:
        """State what the source says about a node and about what belongs to it; of other nodes type and label."""
        whole = {start} if owned else set()
        named = set() if owned else {start}
        waiting = list(whole)
        while waiting:
            for triple in self._state(draft, waiting.pop()):
                target = triple.object
                if not isinstance(target, NamedNode) or target in self._known or target not in self._graph.about:
                    continue
                if not _is_blank(target) and triple.predicate not in _OWNING:
                    named.add(target)
                elif target not in whole:
                    whole.add(target)
                    waiting.append(target)
        for node in named - whole:
            for _ in self._state(draft, node, only=_LABELS):
                pass

    def _state(self, draft: Draft, node: NamedNode, only: frozenset[NamedNode] | None = None) -> Iterator[_Statement]:
        """State what the source says about this node, or only with some predicates; gives what was stated."""
        for triple in self._graph.about.get(node, ()):
            if only is not None and triple.predicate not in only:
                continue
            reason = self._why_refused(triple)
            if reason is not None:
                self._refused[triple] = reason
                continue
            if triple.predicate in _ADDRESS_PREDICATES and isinstance(triple.object, Literal):
                self._text_addresses[self._graph.origin[triple]].add(triple)
            self._used.add(triple)
            value = triple.object if isinstance(triple.object, Literal) else _unnamed(triple.object)
            draft.state(_unnamed(node), triple.predicate, value)
            yield triple

    def _why_refused(self, triple: _Statement) -> str | None:
        """Why a product document may not make this statement, or None."""
        subject, predicate, value = triple.subject, triple.predicate, triple.object
        iri = value.value if isinstance(value, NamedNode) else ""
        if subject.value.startswith(_RESERVED):
            return "it describes a term of a vocabulary"
        if predicate.value.startswith(_AXIOMS) and predicate not in _NO_AXIOMS:
            return "an axiom or shape, which documents do not state"
        if predicate == TYPE and (iri.startswith(_AXIOMS) or iri == rdf.PREFIXES["rdf"] + "Property"):
            return "an axiom or shape, which documents do not state"
        if predicate == TYPE and iri == term("dprod:DataProduct").value:
            return "the product is another node than its dataset"
        if predicate.value.startswith(rdf.PREFIXES["fm"]):
            return "a statement in fairmesh's own terms, which a foreign source cannot make"
        if predicate == _SENSITIVITY and iri not in {CLASSIFICATION + word for word in CLASSIFICATIONS}:
            return "a classification that is not a word of the scheme"
        if iri.startswith(BASE) and not _is_blank(value):
            return "a relative IRI, which would point into the mesh"
        return None

    # -- what is in no document ----------------------------------------------------------------------------------------

    def _left_out(self) -> Iterator[str]:
        """One line for each node with statements that are in no document, saying why."""
        for file, texts in sorted(self._text_addresses.items()):
            named = ", ".join(sorted({rdf.compact(t.predicate.value) or "" for t in texts}))
            yield f"{file}: {len(texts)} addresses ({named}) are texts at the source, not IRIs, and stay so"
        failed = {p.record for p in self._problems}
        for node in sorted(self._graph.about, key=lambda n: (self._graph.origin[self._graph.about[n][0]], str(n))):
            left = [t for t in self._graph.about[node] if t not in self._used]
            if not left or node.value in failed or (_is_blank(node) and node in self._known):
                continue
            reasons: dict[str, list[_Statement]] = defaultdict(list)
            for triple in left:
                reasons[self._refused.get(triple) or self._reason(node)].append(triple)
            for reason, triples in sorted(reasons.items()):
                words = sorted({rdf.compact(t.predicate.value) or str(t.predicate) for t in triples})
                file = self._graph.origin[triples[0]]
                yield f"{file}: {_show(node, left)}: {len(triples)} statements left out ({', '.join(words)}): {reason}"

    def _reason(self, node: NamedNode) -> str:
        types = sorted(rdf.compact(t.value) or str(t) for t in self._types[node] if isinstance(t, NamedNode))
        if _CATALOG in self._types[node] or node in self._catalogs.publishers:
            return "a catalog is no product; its publisher goes to datasets without one"
        if any(t in self._used for t in self._graph.about[node]):
            return "a node outside the product, of which documents give type and label only"
        kind = f"a {' and '.join(types)} is no dataset" if types else "it has no type"
        return f"{kind}, and no dataset includes it"


def _unnamed(node: NamedNode) -> rdf.Node:
    """A blank node as one again."""
    return rdf.BlankNode("b" + node.value.rsplit("/", 1)[-1]) if _is_blank(node) else node


def _english_first(text: Literal) -> tuple[bool, str, str]:
    language = (text.language or "").lower()
    return language.split("-")[0] not in ("", "en"), language, text.value


def _tail(iri: str) -> str:
    """The end of an IRI that names it: its last segment, with the one before it where that is a letter or a number."""
    parts = [p for p in re.split(r"[/#?=:]", unquote(iri)) if p]
    name = parts[-1] if parts else iri
    return "-".join(parts[-2:]) if len(parts) > 2 and re.fullmatch(r".|\d{1,3}", name) else name
