"""Pairs of meshes: W, and W without what a subject may not see.

Histories are drawn from a list of traps: statements that tie what is visible to what is hidden. `without` knows the
rule, not how the catalog applies it: it works on the entries of a history, before any projection.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import meshes
from hypothesis import strategies as st
from meshes import CHANNEL, NOW, History, parsed, register_entry, rules
from samples import BASE, product

from fairmesh.catalog.access import Access, PolicySet
from fairmesh.catalog.catalog import Catalog
from fairmesh.catalog.document import SHARED, ProductDocument, read
from fairmesh.catalog.governance import Validator
from fairmesh.catalog.model import (
    ANONYMOUS,
    CLASSIFICATION,
    CLASSIFICATIONS,
    FM,
    Draft,
    Entry,
    EntryKind,
    Need,
    Report,
    Subject,
    column_need,
)
from fairmesh.catalog.projection import remember
from fairmesh.catalog.rdf import GENID, NamedNode, Triple, canonical, load, parse

PART_OF = "http://purl.org/dc/terms/isPartOf"
KEYS = ("ops.a", "people.b", "people.c", "sales.d", "sales.e", "web.f")
TITLES = ("Pay of people", "Orders", "Customer orders", "Payroll ledger", "Store visits")
EMBARGO = "embargo"

SUBJECTS: Mapping[str, Subject] = {
    "anonymous": ANONYMOUS,
    **{word: Subject(f"reader-{word}", "service", ("analyst",), clearance=word) for word in CLASSIFICATIONS[:3]},
    "nobody": Subject("nobody", "service", clearance="internal"),
    "people": Subject("producer-people", "service", ("producer",), domains=("people",), clearance="internal"),
    "sales": Subject("producer-sales", "service", ("producer",), domains=("sales", "web"), clearance="public"),
    "member": Subject("member", "service", ("analyst",), teams=("people",), clearance="public"),
}
"""Those for whom something is hidden: stewards and auditors see all."""

_WHOLE_OR_NOT = dict.fromkeys(SUBJECTS, ("public", "internal", "restricted")) | {
    "anonymous": CLASSIFICATIONS,
    "confidential": CLASSIFICATIONS,
}
"""The classifications under which a product is wholly visible to a subject or wholly hidden from it."""

EMBARGO_POLICY = f"""package fairmesh.org.embargo

deny contains {{"id": id, "reason": "embargo"}} if {{
	some id, r in input.resources
	"{EMBARGO}" in r.tags
	not r.domain in input.subject.domains
}}
"""


def write_policies(folder: Path) -> Path:
    """The policies that ship and one of an organisation, which hides products by their tag."""
    for path, body in PolicySet.load().files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    (folder / "embargo.rego").write_text(EMBARGO_POLICY)
    return folder


# -- what is drawn ----------------------------------------------------------------------------------------------------

# Each trap is a piece of a document about product {k} in domain {d} that has to do with another product {o}.
TRAPS = (
    "<{k}> dct:relation <{o}> .",
    "<{k}> dct:relation <{o}/data> , <{k}/nowhere> , <ops.unknown/data> , <term/unused> .",
    "<{k}> dct:relation <{k}/data/column/pay> .",
    "<{k}> dcat:qualifiedRelation [ dct:relation <{o}/data> ] .",
    "<{k}> dct:relation <{k}/alone> . <{k}/alone> dct:relation <{k}/more> . <{k}/more> dct:relation <{o}/data> .",
    "<{k}> dct:relation <{k}/x> . <{k}/x> dct:relation <{k}/y> . <{k}/y> dct:relation <{k}/x> , <{o}/data> .",
    "<{k}> dct:subject <{o}/data> , <term/amount> . <term/amount> a skos:Concept ; skos:prefLabel 'Amount of {k}' .",
    "<{k}> dct:subject <{k}/data/column/pay> .",
    "<{k}/data> dct:license <{o}/data> .",
    "<{k}/data> a <{o}/Kind> . <team/{d}> a <{o}/Kind> .",
    "<{k}> dprod:inputDataset <{o}/data> , <https://ext.example/lake> .",
    "<{k}> prov:wasDerivedFrom <{o}> .",
    "<{k}/data/column/id> prov:wasDerivedFrom <{o}/data/column/pay> .",
    "<{k}/data/column/pay> prov:wasDerivedFrom <{o}/data/column/id> .",
    "<{k}/data/column/id> prov:wasDerivedFrom <{k}/data/column/pay> .",
    "<{k}/data/schema> csvw:column <{k}/data/column/inner> . "
    "<{k}/data/column/inner> a csvw:Column ; csvw:name 'inner' ; dct:isPartOf <{k}/data/column/pay> .",
    "<{k}/data/column/pay> dct:relation [ a dct:Note ; dct:title 'lowest pay' ] .",
    "<team/{d}> foaf:homepage <{o}/data> ; foaf:mbox <mailto:{k}@x.example> .",
    "<term/customer> a skos:Concept , <{o}/Kind> ; skos:prefLabel 'Kunde'@de , 'Patron'@en . <{k}> dct:subject "
    "<term/customer> .",
    "<domain/{d}> skos:prefLabel 'A {d} domain'@en ; skos:definition 'Said by {k}' . <team/people> foaf:name 'A team'"
    " ; a foaf:Agent .",
    "<{k}> dcat:contactPoint [ a foaf:Agent ; foaf:name '{k} desk' ; foaf:mbox <mailto:{k}@x.example> ] .",
    "<{k}> dct:hasPart <https://ext.example/lake> . <https://ext.example/lake> a dcat:Dataset ; dct:title 'Lake of {k}'"
    " ; dprod:informationSensitivityClassification c:public ; prov:wasDerivedFrom <{o}/data> .",
    "<{k}/data> prov:wasDerivedFrom <https://ext.example/lake> .",
    "<{k}/data> dcat:distribution <{k}/file> . <{k}/file> a dcat:Distribution ; "
    "dcat:mediaType <https://www.iana.org/assignments/media-types/text/csv> ; dcat:accessService <{k}/port> ; "
    "fm:physicalName '{k}.csv' . "
    "<{k}/port> a dcat:DataService ; dcat:endpointURL <https://api.example/{k}> ; fm:namespace 'lake' . "
    "<{k}> dprod:outputPort <{k}/port> .",
    "<{k}> dprod:inputPort <{k}/in> . <{k}/in> a dcat:DataService ; dcat:servesDataset <{o}/data> .",
    "<{k}> fm:tag '" + EMBARGO + "' .",
    "<{k}> fm:tag '{o}' . <{k}> dct:contributor <team/people> .",
    "<{k}> dct:issued '2025-02-03'^^xsd:date ; dct:extent 7 , 1.5e0 , true , '2025-02-03T04:05:06Z'^^xsd:dateTime .",
)  # fmt: skip


@dataclass(frozen=True)
class Doc:
    """A document to come: kept small, so that a failing mesh can be read. `pay` classifies a column."""

    key: str
    classification: str = "public"
    sources: tuple[str, ...] = ()
    pay: str | None = None
    traps: tuple[tuple[int, str], ...] = ()
    title: str = "Orders"
    status: str = "build"
    owner: str = "people"
    term: str | None = None
    calls: bool = False
    """Whether it has names of its own for its domain and team."""

    def text(self) -> bytes:
        domain = self.key.split(".")[0]
        extra = [TRAPS[number].format(k=self.key, o=other, d=domain) for number, other in self.traps]
        if self.calls:
            extra += [f"<domain/{domain}> skos:prefLabel 'A domain'@en . <team/{self.owner}> foaf:name 'A team' ."]
        if self.pay is not None:
            extra.append(f"<{self.key}/data/column/pay> fm:classification c:{self.pay} .")
        return product(
            self.key, title=self.title, classification=self.classification, status=self.status, owner=self.owner,
            sources=[f"{source}/data" for source in self.sources], columns=("id", "pay"), term=self.term,
            extra="\n".join(extra),
        )  # fmt: skip


Event = Doc | str
"""What is registered, or the key that is retired."""


def docs(words: Sequence[str]) -> st.SearchStrategy[Doc]:
    keys = st.sampled_from(KEYS)
    return st.builds(
        Doc, keys, st.sampled_from(words), st.lists(keys, max_size=2, unique=True).map(tuple),
        st.none() | st.sampled_from(CLASSIFICATIONS),
        st.lists(st.tuples(st.integers(0, len(TRAPS) - 1), keys), max_size=6, unique=True).map(tuple),
        st.sampled_from(TITLES), st.sampled_from(["build", "consume"]),
        st.sampled_from(["people", "ops"]), st.none() | st.sampled_from(["customer", "amount"]), st.booleans(),
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, name: str) -> list[Event]:
    """What happened in a mesh that `name` reads: a chain visible - hidden - visible, in any order of registration,
    and whatever else, hidden or not, before and after."""
    one = docs(_WHOLE_OR_NOT[name])
    events: list[Event] = draw(st.lists(one, max_size=3))
    first, middle, last = draw(st.permutations(KEYS))[:3]
    chain = [
        replace(draw(one), key=first, classification="public"),
        replace(draw(one), key=middle, classification="restricted", sources=(first,)),
        replace(draw(one), key=last, classification="public", sources=(middle,)),
    ]
    events += draw(st.permutations(chain))
    events += draw(st.lists(one | st.sampled_from([*KEYS, middle, middle]), max_size=4))
    return events


def entries_of(history: Sequence[Event]) -> list[Entry]:
    """The journal of this history."""
    entries: list[Entry] = []
    last: dict[str, Entry] = {}
    for number, event in enumerate(history, 1):
        key = event if isinstance(event, str) else event.key
        before = last.get(key)
        revision = 1 if before is None else before.draft.revision + 1
        created = NOW - timedelta(days=200, hours=-number)
        if isinstance(event, str):
            if before is None or before.draft.kind is EntryKind.RETIRE:
                continue
            entry = register_entry(number, b"", BASE + key, key, revision, created)
            detail = {"created": before.draft.detail["created"], "reason": "old", "replaced_by": BASE + "people.b"}
            entry = replace(entry, draft=replace(entry.draft, kind=EntryKind.RETIRE, detail=detail))
        else:
            document = parsed(event.text())
            entry = register_entry(number, document.nquads, document.product, key, revision, created)
            if before is not None:
                entry = replace(entry, draft=replace(entry.draft, detail={"created": before.draft.detail["created"]}))
        entries.append(entry)
        last[key] = entry
    return entries


# -- a mesh that also takes writes ------------------------------------------------------------------------------------


class RememberingValidator(Validator):
    """The real validator, which judges each document once."""

    def __init__(self, size: int) -> None:
        super().__init__(rules(), size)
        self._judged: dict[object, Report] = {}

    def validate(self, *args: Any, **kwargs: Any) -> Report:
        question = (*args, *sorted(kwargs.items()))
        if question not in self._judged:
            self._judged[question] = super().validate(*args, **kwargs)
        return self._judged[question]


class _Here:
    """Parses in this process: what these tests send is no danger to it."""

    def document(self, content: bytes, media_type: str | None) -> ProductDocument:
        return read(content, media_type, BASE)

    def graph(self, content: bytes, media_type: str | None) -> list[Triple]:
        return [quad.triple for quad in parse(content, media_type, BASE).quads]


class _Journal(History):
    """A journal in memory."""

    def head(self) -> tuple[int, str]:
        return len(self.all), ""

    def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        added = [Entry(len(self.all) + n, draft, "", "") for n, draft in enumerate(drafts, 1)]
        self.all += added
        return added


class Mesh(meshes.Mesh):
    """A mesh in memory which the whole service can run on: it also validates and registers."""

    retire = Catalog.retire  # type: ignore[assignment]

    def __init__(self, access: Access, entries: Iterable[Entry], validator: Validator) -> None:
        super().__init__(access)
        self.journal = _Journal()  # type: ignore[assignment]
        for entry in entries:
            self.add(entry)
        self.validator = validator
        self._intake = _Here()  # type: ignore[assignment]
        self._threads = _threads()
        self._writing = threading.Lock()
        self._applied = self.journal.head()[0]

    def documents(self) -> list[bytes]:
        """All there ever was."""
        return [entry.draft.document for entry in self.journal.all]  # type: ignore[attr-defined]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


# -- without what is hidden -------------------------------------------------------------------------------------------


def without(mesh: meshes.Mesh, entries: Sequence[Entry], subject: Subject) -> list[Entry]:
    """The entries of a mesh that never had what the subject may not see."""
    return list(_Reduction(mesh, entries, subject).entries())


class _Reduction:
    def __init__(self, mesh: meshes.Mesh, entries: Sequence[Entry], subject: Subject) -> None:
        self.mesh, self.all, self.subject = mesh, entries, subject
        grants = mesh.access.scope(subject, mesh.registry.keys, channel=CHANNEL, now=NOW).grants
        self.rows = {p.iri: grants[p.key_id] for p in mesh.registry.slots}
        assert all(row[Need.DISCOVER] == row[Need.READ] for row in self.rows.values()), "a product is seen in part"
        self.retired = {p.iri for p in mesh.registry.slots if p.retired}
        newest = {e.draft.product: e.draft.document for e in entries}
        self.masked = {iri: masked(load(newest[iri]), iri, row) for iri, row in self.rows.items()}

    def entries(self) -> Iterator[Entry]:
        shown: dict[str, Any] = {}
        for entry in self.all:
            iri = entry.draft.product
            if not self.rows[iri][Need.READ]:
                continue
            if entry.draft.kind is EntryKind.REGISTER:
                shown[iri] = self._row_then(entry)
            if shown[iri][Need.READ]:
                yield self._reduced(entry, shown[iri])

    def _row_then(self, entry: Entry) -> Any:
        """What today's policy grants on a product with the facts of that time."""
        key = remember(entry).access
        assert key is not None
        return self.mesh.access.scope(self.subject, [key], channel=CHANNEL, now=NOW).grants[0]

    def _reduced(self, entry: Entry, row: Any) -> Entry:
        iri, triples = entry.draft.product, load(entry.draft.document)
        gone = self.masked[iri] | masked(triples, iri, row) | masked(triples, iri, self.rows[iri])
        kept = canonical(
            t for t in triples
            if t.subject.value not in gone and not (
                isinstance(t.object, NamedNode) and (t.object.value in gone or self._hidden(t.object.value))
            )
        )  # fmt: skip
        return replace(entry, draft=replace(entry.draft, document=kept, submitted=kept))

    def _hidden(self, iri: str) -> bool:
        """Whether the node belongs to something the subject may not see. What was retired or never there, nobody may:
        the smaller mesh is to say so by itself."""
        if not iri.startswith(BASE) or iri.startswith(tuple(BASE + folder for folder in SHARED)):
            return False
        holder = BASE + iri[len(BASE) :].split("/")[0]
        if holder not in self.rows or holder in self.retired:
            return False
        return not self.rows[holder][Need.READ] or iri in self.masked[holder]


def masked(triples: Sequence[Triple], iri: str, row: Any) -> set[str]:
    """Columns with a word above what is granted, what is part of them, and what hangs below them."""
    found = {
        t.subject.value for t in triples
        if t.predicate.value == FM + "classification"
        and not row[column_need(t.object.value.removeprefix(CLASSIFICATION))]
    }  # fmt: skip
    size = -1
    while size < len(found):
        size = len(found)
        for t in triples:
            subject, target = t.subject.value, t.object.value
            if t.predicate.value == PART_OF and target in found:
                found.add(subject)
            if subject in found and target.startswith(iri + GENID):
                found.add(target)
            if any(subject.startswith(f"{column}/") for column in found):
                found.add(subject)
    return found


@dataclass(frozen=True)
class Pair:
    """A mesh, and the same without what the subject may not see."""

    history: tuple[Event, ...]
    whole: Mesh
    less: Mesh

    @property
    def differs(self) -> bool:
        """Whether anything at all was hidden."""
        return self.whole.documents() != self.less.documents()


def make_pair(access: Access, validator: Validator, history: Sequence[Event], subject: Subject) -> Pair:
    entries = entries_of(history)
    whole = Mesh(access, entries, validator)
    return Pair(tuple(history), whole, Mesh(access, without(whole, entries, subject), validator))
