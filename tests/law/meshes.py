"""Pairs of meshes: W, and W without what a subject may not see.

Histories are drawn from a list of traps: statements that tie what is visible to what is hidden. `without` knows the
rule, not how the catalog applies it: it works on the entries of a history, before any projection.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import meshes
from hypothesis import strategies as st
from meshes import CHANNEL, NOW, History, parsed, register_entry
from samples import BASE, product

from fairmesh.catalog.access import Access
from fairmesh.catalog.catalog import Catalog
from fairmesh.catalog.document import (
    CSVW,
    DCAT,
    DISCOVER_PREDICATES,
    DPROD,
    SENSITIVITY,
    SHARED,
    ProductDocument,
    read,
)
from fairmesh.catalog.governance import Case as Judging
from fairmesh.catalog.governance import Judgement, RuleSet, Stops
from fairmesh.catalog.model import (
    ANONYMOUS,
    CLASSIFICATION,
    CLASSIFICATIONS,
    FIELDS,
    FM,
    AccessKey,
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
from fairmesh.catalog.ruling import Ruling
from law.policies import EMBARGO, POOL

PART_OF = "http://purl.org/dc/terms/isPartOf"
KEYS = ("ops.a", "people.b", "people.c", "sales.d", "sales.e", "web.f")
TITLES = ("Pay of people", "Orders", "Customer orders", "Payroll ledger", "Store visits", "Warehouse", "Returns")

SUBJECTS: Mapping[str, Subject] = {
    "anonymous": ANONYMOUS,
    **{word: Subject(f"reader-{word}", "service", ("analyst",), clearance=word) for word in CLASSIFICATIONS[:3]},
    "nobody": Subject("nobody", "service", clearance="internal"),
    "people": Subject("producer-people", "service", ("producer",), domains=("people",), clearance="internal"),
    "sales": Subject("producer-sales", "service", ("producer",), domains=("sales", "web"), clearance="public"),
    "member": Subject("member", "service", ("analyst",), teams=("people",), clearance="public"),
}
"""Those for whom something is hidden: stewards and auditors see all."""

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
    "<{k}> dcat:keyword 'Visits of {k}' , 'payroll' ; dcat:theme <term/{d}> ; dcat:landingPage "
    "<https://www.example/{k}> . <term/{d}> a skos:Concept ; skos:prefLabel 'Theme of {k}' .",
    "<{k}> dcat:contactPoint <{k}/desk> , <contact/{d}> . <{k}/desk> a foaf:Agent ; foaf:name 'Desk of {k}' ; "
    "foaf:homepage <{o}/desk> . <contact/{d}> a foaf:Agent ; foaf:name 'Counter of {d}' .",
    "<{k}> dct:relation <{o}/desk> , <{k}/note> ; dct:subject <{k}/note> . <{k}/note> dct:title 'Visits note' ; "
    "dct:relation <{k}/data> , <{k}/note/more> . <{k}/note/more> dct:title 'Ledger of {k}' .",
    "<{k}/data/schema> csvw:primaryKey 'id,pay' . <{k}> dct:publisher <team/{d}> .",
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


@dataclass(frozen=True)
class Case:
    """A mesh with this history, and a subject who reads it under a policy of the pool. `late`: half a year later."""

    name: str
    policy: str
    late: bool
    history: tuple[Event, ...]

    def __str__(self) -> str:
        when = "later, " if self.late else ""
        return "\n".join(
            [f"{when}under the policy {self.policy!r}, hidden from {self.name!r}:", *map(str, self.history)]
        )


def docs(words: Sequence[str] = CLASSIFICATIONS, traps: Sequence[int] = ()) -> st.SearchStrategy[Doc]:
    """Documents. Each of `traps` is as likely as all others together."""
    keys = st.sampled_from(KEYS)
    trap = st.integers(0, len(TRAPS) - 1)
    return st.builds(
        Doc, keys, st.sampled_from(words), st.lists(keys, max_size=2, unique=True).map(tuple),
        st.none() | st.sampled_from(CLASSIFICATIONS),
        st.lists(st.tuples(trap | st.sampled_from(traps) if traps else trap, keys), max_size=5, unique=True).map(tuple),
        st.sampled_from(TITLES), st.sampled_from(["build", "consume"]),
        st.sampled_from(["people", "ops"]), st.none() | st.sampled_from(["customer", "amount"]), st.booleans(),
    )  # fmt: skip


@st.composite
def cases(
    draw: st.DrawFn, names: Sequence[str] = (*SUBJECTS, "people", "sales"), policies: Sequence[str] = tuple(POOL),
    traps: Sequence[int] = (),
) -> Case:  # fmt: skip
    """Meshes in which there is always: a chain visible - hidden - visible of lineage, relations and shared terms, whose
    hidden link owns names that the visible ones use; a visible product that was hidden once; one that those who signed
    in may only discover; a hidden one that was retired. In any order of registration, and whatever else before and
    after."""
    name, policy = draw(st.sampled_from(names)), draw(st.sampled_from(policies))
    one = docs(traps=traps)
    foreign = [key for key in KEYS if key.split(".")[0] not in SUBJECTS[name].domains]
    middle, aside, gone = draw(st.permutations(foreign))[:3]
    first, last = draw(st.permutations([key for key in KEYS if key not in (middle, aside, gone)]))[:2]

    def shown(doc: Doc, key: str, sources: tuple[str, ...]) -> Doc:
        traps = tuple(trap for trap in doc.traps if EMBARGO not in TRAPS[trap[0]])
        return replace(
            doc, key=key, classification="public", status="consume", term="customer", sources=sources, traps=traps
        )

    def hidden(doc: Doc, key: str, word: str) -> Doc:
        return replace(doc, key=key, classification=word, owner="ops", term="customer")

    def placed(event: Event) -> Event | None:
        """The event, if it leaves what there is always as it is."""
        if isinstance(event, str):
            return None if event in (first, middle, last, aside) else event
        if event.key in (first, last):
            return shown(event, event.key, () if event.key == first else (middle,))
        if event.key in (middle, gone):
            return hidden(replace(event, sources=(first,)), event.key, "restricted")
        return hidden(event, aside, "confidential") if event.key == aside else event

    chain = [
        replace(shown(draw(one), first, ()), owner="ops", calls=True),
        replace(hidden(draw(one), middle, "restricted"), sources=(first,), calls=False),
        shown(draw(one), last, (middle,)),
    ]
    chain[1] = replace(chain[1], traps=(*chain[1].traps, (0, first)))
    chain[2] = replace(chain[2], traps=(*chain[2].traps, (0, middle)))
    always = [*chain, hidden(draw(one), aside, "confidential"), hidden(draw(one), gone, "restricted")]
    past = hidden(draw(one), draw(st.sampled_from([first, last])), "restricted")
    events: list[Event | None] = [*draw(st.lists(one, max_size=1)), past, *draw(st.permutations(always))]
    events += [placed(event) for event in draw(st.lists(one | st.sampled_from(KEYS), max_size=2))]
    return Case(name, policy, draw(st.booleans()), (*filter(None, events), gone))


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


TURN = date(2026, 3, 1)
"""The day between the two clocks of a case on which the rules of `LAW` begin to gate."""
_RULES = (
    ("relations", "dprod:DataProduct", "sh:path dct:relation ; sh:maxCount 1"),
    ("columns", "csvw:Schema", "sh:path csvw:column ; sh:maxCount 1"),
    ("sources", "dcat:Dataset", "sh:path prov:wasDerivedFrom ; sh:class dcat:Dataset"),
    ("terms", "dprod:DataProduct", "sh:path dct:subject ; sh:class skos:Concept"),
    ("team", "dprod:DataProduct", "sh:path ( dprod:dataProductOwner foaf:name ) ; sh:maxCount 1"),
    ("domain", "dprod:DataProduct", "sh:path ( dprod:domain skos:prefLabel ) ; sh:maxCount 1"),
    ("mail", "dprod:DataProduct", "sh:path dcat:contactPoint ; sh:minCount 1"),
)
LAW_RULES = tuple(name for name, *_ in _RULES)
LAW = """
@prefix law: <https://w3id.org/fairmesh/rules/org/law/> .
@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
""" + "\n".join(
    f"""law:{name} a sh:NodeShape ; fm:mode fm:warn ; fm:nextMode fm:gate ; fm:nextModeFrom "{TURN}"^^xsd:date ;
  rdfs:label "{name}"@en ; rdfs:comment "To tell meshes apart."@en ; dct:creator "law" ;
  dct:issued "2025-01-01"^^xsd:date ; sh:targetClass {target} ; sh:property [ {constraint} ] ;
  sh:message "Say it in another way."@en ."""
    for name, target, constraint in _RULES
)
"""Rules whose verdict hangs on what may be hidden: statements, columns, other products, and names of shared nodes."""


@functools.cache
def governed() -> RuleSet:
    """The rules that ship, and those of `LAW`."""
    return RuleSet({**meshes.rules().files, "org/law/shapes.ttl": LAW.encode()})


class RememberingValidator(meshes.Here):
    """The real validator, which judges each document once."""

    def __init__(self, size: int) -> None:
        super().__init__(governed(), size)
        self._judged: dict[object, Judgement] = {}

    def validate(
        self, document: bytes, background: bytes, *, product: str, domain: str, own: frozenset[str], iri_base: str,
        now: datetime, offline: bool = False, timeout: float = 0,
    ) -> Report:  # fmt: skip
        case = Judging(document, background, product, domain, own)
        return self._one(case, iri_base, now, offline).report

    def judge_many(
        self, cases: Sequence[Judging], *, iri_base: str, now: datetime, offline: bool = False, timeout: float = 0,
        stops: Stops | None = None,
    ) -> list[Judgement]:  # fmt: skip
        return [self._one(case, iri_base, now, offline) for case in cases]

    def _one(self, case: Judging, iri_base: str, now: datetime, offline: bool) -> Judgement:
        question = (case, iri_base, now, offline)
        if question not in self._judged:
            self._judged[question] = super().judge_many([case], iri_base=iri_base, now=now, offline=offline)[0]
        return self._judged[question]


class _Here:
    """Parses in this process: what these tests send is no danger to it."""

    def document(self, content: bytes, media_type: str | None) -> ProductDocument:
        return read(content, media_type, BASE)

    def graph(self, content: bytes, media_type: str | None) -> list[Triple]:
        return [quad.triple for quad in parse(content, media_type, BASE).quads]


def _quiet(draft: Draft) -> Draft:
    """Without what makes a verdict an event: that it changed is told to those alone who see all of the product."""
    if draft.kind is not EntryKind.CONFORMANCE:
        return draft
    kept = {home: {**verdict, "did": None} for home, verdict in json.loads(draft.document).items()}
    return replace(draft, document=json.dumps(kept).encode())


class _Journal(History):
    """A journal in memory."""

    def head(self) -> tuple[int, str]:
        return len(self.all), ""

    def append(self, drafts: Sequence[Draft]) -> list[Entry]:
        added = [Entry(len(self.all) + n, _quiet(draft), "", "") for n, draft in enumerate(drafts, 1)]
        self.all += added
        return added


class Mesh(meshes.Mesh):
    """A mesh in memory which the whole service can run on: it also validates and registers."""

    retire = Catalog.retire  # type: ignore[assignment]

    def __init__(
        self, access: Access, entries: Iterable[Entry], validator: RememberingValidator, *, late: bool = False
    ) -> None:
        super().__init__(access)
        self.keep(_Journal())
        version = replace(meshes.ruling().version, digest=governed().digest, files=governed().files)
        self.rulings = meshes.OneRuling(Ruling(version, governed(), validator))
        self._intake = _Here()  # type: ignore[assignment]
        self._threads = _threads()
        for entry in entries:
            self._happen(entry)
        now = NOW + timedelta(days=200) if late else NOW
        self._pass(now)

    def _happen(self, entry: Entry) -> None:
        """Add an entry, and judge what there is, as of its time."""
        self.add(replace(entry, seq=self.journal.head()[0] + 1))
        self.storage.applied = self.journal.head()[0]
        self._pass(entry.draft.at)

    def _pass(self, now: datetime) -> None:
        self.clock = lambda: now
        self.judge.settle([], {iri for product in self.registry.live() for iri in product.references})
        while self.judge.step():
            pass

    def documents(self) -> list[bytes]:
        """All there ever was."""
        return [entry.draft.document for entry in self.journal.entries(kinds=[EntryKind.REGISTER])]

    def decide_by(self, access: Access) -> None:
        """Put another policy in force."""
        self.policies = meshes.Standing(access)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


# -- without what is hidden -------------------------------------------------------------------------------------------


def grants_of(mesh: meshes.Mesh, subject: Subject, keys: Sequence[AccessKey]) -> list[int]:
    """What today's policy grants the subject on products with these facts."""
    found: list[int] = mesh.access.scope(subject, keys, channel=CHANNEL, now=mesh.clock()).grants.tolist()
    return found


def without(mesh: meshes.Mesh, entries: Sequence[Entry], subject: Subject, reads: Collection[str] = ()) -> list[Entry]:
    """The entries of a mesh that never had what the subject may not see: hidden products; all but the heading of
    products that may only be discovered; past revisions that are hidden by today's policy; hidden fields; classified
    columns and what hangs below them; and every statement that names a hidden node.

    What the policy decides by stays what it was: the classification of a product that lost its datasets, and the
    statements that the policy `reads`.
    """
    return sorted(_Reduction(mesh, entries, subject, reads).entries(), key=lambda entry: entry.seq)


class _Reduction:
    def __init__(self, mesh: meshes.Mesh, entries: Sequence[Entry], subject: Subject, reads: Collection[str]) -> None:
        self.mesh, self.subject, self.reads = mesh, subject, reads
        self.all: dict[str, list[Entry]] = {}
        for entry in entries:
            self.all.setdefault(entry.draft.product, []).append(entry)
        grants = grants_of(mesh, subject, mesh.registry.keys)
        self.rows = {p.iri: grants[p.key_id] for p in mesh.registry.slots}
        self.retired = {p.iri for p in mesh.registry.slots if p.retired}
        newest = {iri: load(mine[-1].draft.document) for iri, mine in self.all.items()}
        self.gone = {iri: gone(said, iri, self.rows[iri]) for iri, said in newest.items()}
        self.named = {iri: _named(said, iri, self.rows[iri]) - self.gone[iri] for iri, said in newest.items()}

    def entries(self) -> Iterator[Entry]:
        for iri, mine in self.all.items():
            row = self.rows[iri]
            if row & Need.READ == Need.READ:
                yield from self._past(mine)
            elif row & Need.DISCOVER:
                last = max(n for n, entry in enumerate(mine) if entry.draft.kind is EntryKind.REGISTER)
                yield self._heading(mine[last])
                yield from mine[last + 1 :]

    def _past(self, mine: Sequence[Entry]) -> Iterator[Entry]:
        """The revisions that today's policy shows, by the facts of their time."""
        row = 0
        for entry in mine:
            if entry.draft.kind is EntryKind.REGISTER:
                key = remember(entry).access
                assert key is not None
                (row,) = grants_of(self.mesh, self.subject, [key])
            if row & Need.READ == Need.READ:
                yield self._open(entry, row)

    def _open(self, entry: Entry, row: int) -> Entry:
        """What is left of a revision for a reader: what was shown then and is shown now."""
        iri, said = entry.draft.product, load(entry.draft.document)
        now = self.rows[iri]
        hidden = self.gone[iri] | gone(said, iri, row) | gone(said, iri, now)
        names = {t.object.value for t in said if t.predicate.value == CSVW + "name" and t.subject.value in hidden}
        kept = [
            t for t in said
            if t.subject.value not in hidden and not self._names(t, hidden)
            and not (t.subject.value == iri and ~(row & now) & FIELDS.get(t.predicate.value, 0))
            and not (t.predicate.value == CSVW + "primaryKey" and names & set(t.object.value.split(",")))
        ]  # fmt: skip
        return _with(entry, kept + self._decided_by(said, iri))

    def _heading(self, entry: Entry) -> Entry:
        """What is left of a product for a reader who may discover it only."""
        iri, said = entry.draft.product, load(entry.draft.document)
        heading = [
            t for t in said
            if t.subject.value == iri and t.predicate.value in DISCOVER_PREDICATES
            and not ~self.rows[iri] & FIELDS.get(t.predicate.value, 0)
        ]  # fmt: skip
        kept = [
            t for t in [*heading, *(t for t in said if t.subject.value in self.named[iri])]
            if not self._names(t, self.gone[iri])
        ]  # fmt: skip
        word = self.mesh.registry.keys[self.mesh.registry.by_home[iri].key_id].classification
        kept.append(Triple(NamedNode(iri), NamedNode(SENSITIVITY), NamedNode(CLASSIFICATION + word)))
        return _with(entry, kept + self._decided_by(said, iri))

    def _decided_by(self, said: Sequence[Triple], iri: str) -> list[Triple]:
        return [t for t in said if t.subject.value == iri and t.predicate.value in self.reads]

    def _names(self, t: Triple, hidden: Collection[str]) -> bool:
        return isinstance(t.object, NamedNode) and (t.object.value in hidden or self._hidden(t.object.value))

    def _hidden(self, iri: str) -> bool:
        """Whether the node belongs to something the subject may not see. What was retired or never there, nobody may:
        the smaller mesh is to say so by itself."""
        if not iri.startswith(BASE) or iri.startswith(tuple(BASE + folder for folder in SHARED)):
            return False
        holder = BASE + iri[len(BASE) :].split("/")[0]
        if holder not in self.rows or holder in self.retired:
            return False
        need = Need.DISCOVER if iri == holder or iri in self.named[holder] else Need.READ
        return self.rows[holder] & need != need or iri in self.gone[holder]


def _with(entry: Entry, triples: Iterable[Triple]) -> Entry:
    """The same entry of a smaller document. There is no text of it: findings give no lines when a part is hidden."""
    document = canonical(triples)
    text = entry.draft.submitted if document == entry.draft.document else b""
    return replace(entry, draft=replace(entry.draft, document=document, submitted=text))


def _named(triples: Sequence[Triple], iri: str, row: int) -> set[str]:
    """The nodes that the heading of a product names: its domain, owner and, unless they are hidden, contacts."""
    heading = (DPROD + "domain", DPROD + "dataProductOwner", DCAT + "contactPoint")
    return {
        t.object.value for t in triples
        if t.subject.value == iri and t.predicate.value in heading and isinstance(t.object, NamedNode)
        and not ~row & FIELDS.get(t.predicate.value, 0)
    }  # fmt: skip


def gone(triples: Sequence[Triple], iri: str, row: int) -> set[str]:
    """The nodes of a document that a reader with these grants may not see, beside the document as a whole."""
    return masked(triples, iri, row) | _only_by_fields(triples, iri, row)


def _only_by_fields(triples: Sequence[Triple], iri: str, row: int) -> set[str]:
    """What a hidden field leads to, unless the product leads there by something that can never be hidden."""
    links: dict[str, set[str]] = {}
    starts: set[str] = set()
    for t in triples:
        if isinstance(t.object, NamedNode):
            bit = FIELDS.get(t.predicate.value, 0) if t.subject.value == iri else 0
            if not bit:
                links.setdefault(t.subject.value, set()).add(t.object.value)
            elif ~row & bit:
                starts.add(t.object.value)
    plain = _reached({iri}, links)
    return _reached(starts, links) - plain


def _reached(found: set[str], links: Mapping[str, set[str]]) -> set[str]:
    size = -1
    while size < len(found):
        size = len(found)
        found = found.union(*(links.get(node, ()) for node in found))
    return found


def masked(triples: Sequence[Triple], iri: str, row: int) -> set[str]:
    """Columns with a word above what is granted, what is part of them, and what hangs below them."""
    found = {
        t.subject.value for t in triples
        if t.predicate.value == FM + "classification"
        and ~row & column_need(t.object.value.removeprefix(CLASSIFICATION))
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

    case: Case
    whole: Mesh
    less: Mesh

    @property
    def differs(self) -> bool:
        """Whether anything at all was hidden."""
        return self.whole.documents() != self.less.documents()


def make_pair(access: Access, validator: RememberingValidator, case: Case) -> Pair:
    entries = entries_of(case.history)
    whole = Mesh(access, entries, validator, late=case.late)
    less = without(whole, entries, SUBJECTS[case.name], POOL[case.policy].reads)
    return Pair(case, whole, Mesh(access, less, validator, late=case.late))
