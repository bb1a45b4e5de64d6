"""What policy hides is absent: the answer equals the answer of a mesh that never had it.

A mesh W is drawn, and for a drawn subject and policy the mesh W- is built from W's documents with everything taken out
that the subject may not see: see `law.meshes.without`. Then both meshes are asked the same questions. This goes to the
view itself, node by node; the law over the whole service is in test_law.py.

Revision numbers and times are those of W in both. Conformance is not compared here: the law over the service does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from law.meshes import without
from law.policies import POOL
from meshes import NOW, Mesh, parsed, register_entry
from samples import BASE, product

from fairmesh.catalog import View
from fairmesh.catalog.access import Access, EmbeddedEngine
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.model import (
    ANONYMOUS,
    CLASSIFICATION,
    CLASSIFICATIONS,
    Action,
    Direction,
    Entry,
    EntryKind,
    FacetField,
    IriFilter,
    LineageDirection,
    PageRequest,
    ProductFilter,
    PropertyTest,
    SearchOrder,
    StringFilter,
    Subject,
    WalkStep,
)
from fairmesh.catalog.rdf import NamedNode, load

DCT = "http://purl.org/dc/terms/"
DCAT = "http://www.w3.org/ns/dcat#"
DPROD = "https://ekgf.github.io/dprod/"
PROV = "http://www.w3.org/ns/prov#"
CSVW = "http://www.w3.org/ns/csvw#"
SENSITIVITY = DPROD + "informationSensitivityClassification"
EXT = "https://ext.example/"


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Access]:
    """By the name of a policy of the pool."""
    loaded = {name: policy.write(tmp_path_factory.mktemp(name)) for name, policy in POOL.items()}
    return {name: Access(EmbeddedEngine(policies), policies) for name, policies in loaded.items()}


# -- meshes -----------------------------------------------------------------------------------------------------------

KEYS = ("ops.a", "people.b", "people.c", "sales.d", "sales.e", "web.f")
OUTSIDE = "web.f"
"""This product's IRI, and those below it, lie outside the mesh's base."""
TERMS = ("customer", "amount")
SUBJECTS = st.sampled_from([
    ANONYMOUS,
    *(Subject("reader", "user", ("analyst",), clearance=word) for word in CLASSIFICATIONS),
    Subject("nobody", "user", clearance="internal"),
    Subject("producer", "service", ("producer",), domains=("people",), clearance="internal"),
    Subject("member", "user", ("analyst",), teams=("people",), clearance="public"),
    Subject("steward", "user", ("steward",), clearance="internal"),
    Subject("auditor", "user", ("auditor",), clearance="public"),
    Subject("odd", "user", ("king",), clearance="restricted"),
])  # fmt: skip
policies = st.sampled_from(list(POOL))
words = st.sampled_from(CLASSIFICATIONS)
keys = st.sampled_from(KEYS)


# Each trap is a piece of a document about product {k} that has to do with another product {o}.
TRAPS = (
    "<{k}> dct:relation <{o}> .",
    "<{k}> dct:relation <{o}/data> .",
    "<{k}> dct:relation <{k}/data/column/pay> .",
    "<{k}> dcat:qualifiedRelation [ dct:relation <{o}/data> ] .",
    "<{k}> dct:relation <{k}/alone> . <{k}/alone> dct:relation <{k}/more> . <{k}/more> dct:relation <{o}/data> .",
    "<{k}> dct:relation <{k}/x> . <{k}/x> dct:relation <{k}/y> . <{k}/y> dct:relation <{k}/x> , <{o}/data> .",
    "<{k}> dct:subject <{o}/data> .",
    "<{k}> dct:subject <{k}/data/column/pay> .",
    "<{k}/data> dct:license <{o}/data> .",
    "<{k}/data> a <{o}/Kind> .",
    "<{k}> dprod:inputDataset <{o}/data> .",
    "<{k}> dprod:inputDataset <https://ext.example/lake> .",
    "<{k}> prov:wasDerivedFrom <{o}> .",
    "<{k}/data/column/id> prov:wasDerivedFrom <{o}/data/column/pay> .",
    "<{k}/data/column/pay> prov:wasDerivedFrom <{o}/data/column/id> .",
    "<{k}/data/column/id> prov:wasDerivedFrom <{k}/data/column/pay> .",
    "<{k}/data/column/inner> a csvw:Column ; csvw:name 'inner' ; dct:isPartOf <{k}/data/column/pay> .",
    "<{k}/data/schema> csvw:column <{k}/data/column/inner> . "
    "<{k}/data/column/inner> a csvw:Column ; csvw:name 'inner' ; dct:isPartOf <{k}/data/column/pay> .",
    "<{k}/data/column/pay> dct:relation [ a dct:Note ; dct:title 'lowest pay' ] .",
    "<{k}/data/column/pay> dct:relation <{k}/data/column/pay/note> . <{k}/data/column/pay/note> dct:title 'top pay' .",
    "<team/{d}> foaf:homepage <{o}/data> .",
    "<team/{d}> a <{o}/Kind> .",
    "<team/{d}> foaf:mbox <{o}/mail> .",
    "<term/customer> a skos:Concept , <{o}/Kind> ; skos:prefLabel 'Kunde'@de , 'Patron'@en .",
    "<{k}> dct:subject <term/customer> . <term/customer> skos:prefLabel 'Client'@en ; a skos:Concept .",
    "<domain/{d}> skos:prefLabel 'The {d} domain'@en ; skos:definition 'Said by {k}' .",
    "<{k}> dcat:contactPoint [ a foaf:Agent ; foaf:name '{k} desk' ; foaf:mbox <mailto:{k}@x.example> ] .",
    "<{k}> dct:hasPart <https://ext.example/lake> . <https://ext.example/lake> a dcat:Dataset ; dct:title 'Lake of {k}'"
    " ; dprod:informationSensitivityClassification c:public ; prov:wasDerivedFrom <{o}/data> .",
    "<{k}> dct:hasPart <https://ext.example/lake> . <https://ext.example/lake> a dcat:Dataset ; "
    "dprod:informationSensitivityClassification c:public ; dct:conformsTo <https://ext.example/schema> . "
    "<https://ext.example/schema> csvw:column <https://ext.example/pay> , <https://ext.example/id> . "
    "<https://ext.example/pay> a csvw:Column ; csvw:name 'pay' ; fm:classification c:restricted . "
    "<https://ext.example/id> a csvw:Column ; csvw:name 'id' ; prov:wasDerivedFrom <https://ext.example/pay> . "
    "<{k}> dct:relation <https://ext.example/pay> .",
    "<{k}/data> prov:wasDerivedFrom <https://ext.example/lake> .",
    "<{k}/data/column/id> prov:wasDerivedFrom <https://ext.example/pay> .",
    "<{k}/data> dct:relation <https://ext.example/pay> .",
    "<{k}/data> dcat:distribution <{k}/file> . <{k}/file> a dcat:Distribution ; dct:conformsTo <{k}/file/schema> ; "
    "dcat:mediaType <https://www.iana.org/assignments/media-types/text/csv> ; dcat:accessService <{k}/port> . "
    "<{k}/port> a dcat:DataService ; dcat:endpointURL <https://api.example/{k}> . <{k}> dprod:outputPort <{k}/port> . "
    "<{k}/file/schema> csvw:column <{k}/file/pin> . "
    "<{k}/file/pin> a csvw:Column ; csvw:name 'pin' ; fm:classification c:restricted .",
    "<{k}> dprod:inputPort <{k}/in> . <{k}/in> a dcat:DataService ; dcat:servesDataset <{o}/data> .",
    "<{k}> dct:relation <{k}/nowhere> , <ops.unknown/data> , <term/unused> .",
    "<{k}> fm:tag '{o}' . <{k}> dct:contributor <team/people> .",
    "<{k}> dprod:inputPort <{o}> .",
    "<{k}> dprod:inputPort <web.f> . <web.f> dct:title 'Taken by {k}' ; dprod:dataProductOwner <team/{d}> .",
    "<{k}> dprod:inputPort <web.f/data/column/pay> .",
    "<{k}> dcat:keyword 'pay of {k}' ; dcat:theme <term/{d}> . <term/{d}> a skos:Concept ; skos:prefLabel 'Of {k}' .",
    "<{k}> dcat:contactPoint <{k}/desk> , <contact/{d}> . <{k}/desk> a foaf:Agent ; foaf:name 'Desk of {k}' ; "
    "foaf:homepage <{o}/desk> . <contact/{d}> a foaf:Agent ; foaf:name 'Counter of {d}' .",
    "<{k}> dct:relation <{o}/desk> , <{k}/note> ; dct:subject <{k}/note> . <{k}/note> dct:title 'A note' ; "
    "dct:relation <{k}/data> , <{k}/note/more> . <{k}/note/more> dct:title 'More of {k}' .",
)  # fmt: skip


@dataclass(frozen=True)
class Doc:
    """A document to come: kept small, so that a failing example can be read. `pay` classifies a column."""

    key: str
    classification: str = "public"
    sources: tuple[str, ...] = ()
    pay: str | None = None
    traps: tuple[tuple[int, str], ...] = ()
    title: str = "Orders"
    status: str = "build"
    owner: str = "people"
    term: str | None = None

    def text(self) -> bytes:
        domain = self.key.split(".")[0]
        extra = [TRAPS[number].format(k=self.key, o=other, d=domain) for number, other in self.traps]
        if self.pay is not None:
            extra.append(f"<{self.key}/data/column/pay> fm:classification c:{self.pay} .")
        text = product(
            self.key, title=self.title, classification=self.classification, status=self.status, owner=self.owner,
            sources=[f"{source}/data" for source in self.sources], columns=("id", "pay"), term=self.term,
            extra="\n".join(extra),
        )  # fmt: skip
        return text.replace(f"<{OUTSIDE}".encode(), f"<{EXT}{OUTSIDE}".encode())


Event = Doc | str
"""What is registered, or the key that is retired."""

docs = st.builds(
    Doc, keys, words, st.lists(keys, max_size=2, unique=True).map(tuple), st.none() | words,
    st.lists(st.tuples(st.integers(0, len(TRAPS) - 1), keys), max_size=5, unique=True).map(tuple),
    st.sampled_from(["Pay of people", "Orders", "Customer orders"]), st.sampled_from(["build", "consume"]),
    st.sampled_from(["people", "ops"]), st.none() | st.sampled_from(TERMS),
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A chain visible - hidden - visible in any order of registration, and whatever else, before and after."""
    events: list[Event] = draw(st.lists(docs, max_size=3))
    one, two, three = draw(st.permutations(KEYS))[:3]
    middle = draw(st.sampled_from(["restricted", "confidential"]))
    chain = [
        draw(docs.map(lambda d: replace(d, key=one, classification="public"))),
        draw(docs.map(lambda d: replace(d, key=two, classification=middle, sources=(one,)))),
        draw(docs.map(lambda d: replace(d, key=three, classification="public", sources=(two,)))),
    ]
    events += draw(st.permutations(chain))
    events += draw(st.lists(docs | keys, max_size=3))
    return events


def entries_of(history: list[Event]) -> list[Entry]:
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
            entry = register_entry(number, b"", before.draft.product, key, revision, created)
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


# -- questions --------------------------------------------------------------------------------------------------------

ALL = PageRequest(first=200)
PREDICATES = (DCT + "subject", DCT + "relation", PROV + "wasDerivedFrom", DPROD + "domain", DPROD + "outputDataset")
TYPES = (DPROD + "DataProduct", DCAT + "Dataset", CSVW + "Column", "http://www.w3.org/2004/02/skos/core#Concept")
iri_sets = st.none() | st.frozensets(st.sampled_from(PREDICATES), min_size=1)
type_sets = st.none() | st.frozensets(st.sampled_from(TYPES), min_size=1)
property_tests = st.one_of(
    st.booleans().map(lambda b: PropertyTest(exists=b)),
    st.sampled_from(["Orders", "pay", "1.0.0"]).map(lambda t: PropertyTest(contains=t)),
    keys.map(lambda k: PropertyTest(iri=f"{BASE}{k}/data")),
    st.just(PropertyTest(at_least=1.0)),
)
filters = st.deferred(
    lambda: st.builds(
        ProductFilter,
        domain=st.none() | st.just(IriFilter((BASE + "domain/people",))),
        owner=st.none() | st.sampled_from([StringFilter(contains="people"), StringFilter(prefix="S")]),
        classification=st.none() | words.map(lambda w: IriFilter((CLASSIFICATION + w,))),
        term=st.none() | st.just(IriFilter(None, BASE + "term/customer")),
        property=st.lists(
            st.tuples(st.sampled_from([*PREDICATES, DCT + "title", DCAT + "version"]), property_tests), max_size=1
        ).map(tuple),
        any_of=st.just(()) | st.lists(filters, max_size=2).map(tuple),
    )
)
steps = st.lists(
    st.builds(
        WalkStep,
        iri_sets,
        st.sampled_from(Direction),
        type_sets,
        min_hops=st.integers(0, 1),
        max_hops=st.integers(1, 2),
    ),
    min_size=1,
    max_size=2,
)


def outcome(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except FairmeshError as error:
        return type(error).__name__, error.message, error.remedy, getattr(error, "iri", None)


def about(view: View, iri: str) -> Iterator[tuple[str, Any]]:
    """Everything a view says of one node, whatever it is."""
    yield "resource", view.resource(iri)
    yield "types", view.types(iri)
    yield "label", (view.label(iri), view.label(iri, ["de", "fr"]))
    yield "description", view.description(iri)
    yield "properties", view.properties(iri, predicates=None, langs=None, page=ALL)
    yield "properties in German", view.properties(iri, predicates=None, langs=["de"], page=ALL)
    yield "relations", view.relations(iri, predicates=None, direction=Direction.BOTH, target_types=None, page=ALL)
    yield "summary", view.relation_summary(iri, Direction.BOTH)
    yield "can", view.viewer_can(iri, list(Action))
    yield "term", (view.label(iri), view.description(iri))
    yield "product", view.product(iri=iri)
    yield "gone", outcome(lambda: view.raise_if_retired(iri))
    yield "of term", view.products(None, ALL, term=iri)
    yield "of domain", view.products(None, ALL, domain=iri)
    yield "ports", (view.ports(iri, None), view.port(iri))
    yield "datasets", (view.datasets(iri, None), view.dataset(iri))
    yield "columns", (view.columns(iri, ALL), view.column(iri))
    yield "concept", view.concept(iri)
    yield "email", view.email(iri)
    yield "domains", view.domains(iri, ALL)
    yield "revisions", view.revisions(iri, ALL)
    yield "turtle", view.rdf(iri, "text/turtle") + view.rdf(iri, "application/ld+json")
    yield "node", view.node_rdf(iri, "text/turtle")
    yield "etag", view.etag(iri, "text/turtle") if view.product(iri=iri) else None
    yield "background", set(view.background([iri]))
    for way in LineageDirection:
        yield (
            f"lineage {way}",
            outcome(lambda way=way: view.lineage(iri, direction=way, depth=9, max_nodes=50, types=None)),
        )


def searched(view: View, text: str | None, types: Any, order: SearchOrder, chosen: Any, first: int) -> list[Any]:
    """All pages of a search, facets and suggestions."""
    found, after = [], None
    for _ in range(4):
        result = view.search(
            text, types=types, filter=chosen, order=order, langs=["en"], page=PageRequest(first=first, after=after)
        )
        found.append([
            result.page,
            result.facets(list(FacetField), 20), result.facets(list(FacetField), 1), result.suggestions(),
        ])  # fmt: skip
        if not result.page.has_next or not result.page.cursors:
            break
        after = result.page.cursors[-1]
    return found


def nodes_of(entries: list[Entry]) -> list[str]:
    found = {BASE + "nowhere.x", BASE + "nowhere.x/data", BASE + "term/never", EXT + "never", BASE, "not an iri"}
    for entry in entries:
        found.add(entry.draft.product)
        for t in load(entry.draft.document):
            found.update(term.value for term in (t.subject, t.predicate, t.object) if isinstance(term, NamedNode))
    return sorted(
        i
        for i in found
        if i.startswith((BASE, EXT, "https://creativecommons", CLASSIFICATION)) or " " in i or i == DCT + "title"
    )


def lists(view: View) -> Iterator[tuple[str, Any]]:
    yield "products", view.products(None, ALL)
    yield "pages", view.products(None, PageRequest(first=2))
    yield "domains", view.domains(None, ALL)
    yield "terms", view.glossary_terms(None, ALL)
    yield "terms by text", view.glossary_terms("c", ALL)
    yield "vocabulary", len(view.vocabulary(None))
    yield "everything", searched(view, None, frozenset(TYPES), SearchOrder.LABEL, None, 50)
    for key in KEYS:
        yield f"key {key}", view.product(key=key)


def pair(
    access: Mapping[str, Access], history: list[Event], subject: Subject, policy: str = "default"
) -> tuple[Mesh, Mesh, list[Entry]]:
    entries = entries_of(history)
    whole = Mesh(access[policy], entries)
    return whole, Mesh(access[policy], without(whole, entries, subject, POOL[policy].reads)), entries


def same(left: Iterator[tuple[str, Any]], right: Iterator[tuple[str, Any]], of: str = "") -> None:
    for (name, one), (_, other) in zip(left, right, strict=True):
        assert one == other, f"{name} {of}"


quick = settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


READER = Subject("reader", "user", ("analyst",), clearance="internal")


def grid() -> Iterator[Any]:
    """Each trap by itself: stated by what is hidden and by what is shown, about the other, in either order."""
    for number in range(len(TRAPS)):
        for word in ("restricted", "confidential"):
            for setter in ("people.b", "sales.d"):
                traps = {"people.b": ((number, "ops.a"),), "sales.d": ((number, "people.b"),)}
                history = [
                    Doc("ops.a"),
                    Doc("people.b", word, ("ops.a",), traps=traps["people.b"] if setter == "people.b" else ()),
                    Doc(
                        "sales.d",
                        "public",
                        ("people.b",),
                        "restricted",
                        traps["sales.d"] if setter == "sales.d" else (),
                    ),
                    Doc("web.f", "public", traps=((27, "ops.a"), (29, "ops.a"))),
                ]
                forward = (number + (word == "restricted")) % 2
                yield pytest.param(history if forward else history[::-1], id=f"{number}-{word}-{setter}")


@pytest.mark.parametrize("history", list(grid()))
def test_no_trap_shows_what_is_hidden(access: Mapping[str, Access], history: list[Event]) -> None:
    whole, less, entries = pair(access, history, READER)
    with whole.reading(READER) as one, less.reading(READER) as other:
        same(lists(one), lists(other))
        for iri in nodes_of(entries):
            same(about(one, iri), about(other, iri), iri)


@quick
@given(history=histories(), subject=SUBJECTS, policy=policies)
def test_what_is_hidden_shows_in_no_answer_about_a_node_or_a_list(
    access: Mapping[str, Access], history: Any, subject: Any, policy: str
) -> None:
    whole, less, entries = pair(access, history, subject, policy)
    with whole.reading(subject) as one, less.reading(subject) as other:
        same(lists(one), lists(other))
        for iri in nodes_of(entries):
            same(about(one, iri), about(other, iri), iri)


@quick
@given(
    history=histories(), subject=SUBJECTS, policy=policies,
    text=st.sampled_from(["pay", "orders", "custmer", "people team", "o", "pin"]), types=type_sets,
    order=st.sampled_from(SearchOrder), chosen=st.none() | filters, first=st.integers(0, 3),
)  # fmt: skip
def test_what_is_hidden_shows_in_no_search(
    access: Mapping[str, Access],
    history: Any,
    subject: Any,
    policy: str,
    text: str,
    types: Any,
    order: Any,
    chosen: Any,
    first: int,
) -> None:
    whole, less, _ = pair(access, history, subject, policy)
    with whole.reading(subject) as one, less.reading(subject) as other:
        question = (text, types, order, chosen, first)
        assert searched(one, *question) == searched(other, *question)
        assert one.products(chosen, ALL) == other.products(chosen, ALL)


@quick
@given(data=st.data(), history=histories(), subject=SUBJECTS, policy=policies)
def test_what_is_hidden_shows_in_no_walk(
    access: Mapping[str, Access], data: Any, history: Any, subject: Any, policy: str
) -> None:
    whole, less, entries = pair(access, history, subject, policy)
    nodes = st.sampled_from(nodes_of(entries))
    start, end, legs, chosen = data.draw(nodes), data.draw(nodes), data.draw(steps), data.draw(st.none() | filters)
    predicates, way = data.draw(iri_sets), data.draw(st.sampled_from(Direction))
    with whole.reading(subject) as one, less.reading(subject) as other:
        for distinct in (True, False):
            left, right = (
                v.traverse([start, end], legs, filter=chosen, distinct=distinct, page=ALL) for v in (one, other)
            )
            assert left == right
            for walked in left[0].items:
                assert one.crosses_domains(walked) == other.crosses_domains(walked)
        left_paths, right_paths = (
            v.paths(start, end, predicates=predicates, direction=way, max_length=4, k=3) for v in (one, other)
        )
        assert left_paths == right_paths
        question: dict[str, Any] = {
            "direction": data.draw(st.sampled_from(LineageDirection)), "depth": data.draw(st.integers(0, 3)),
            "max_nodes": data.draw(st.integers(1, 4)), "types": data.draw(type_sets),
        }  # fmt: skip
        assert outcome(lambda: one.lineage(start, **question)) == outcome(lambda: other.lineage(start, **question))
