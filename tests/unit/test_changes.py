"""What a revision changes: the golden table, semantic versions, and laws that hold for any two documents."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from samples import BASE, PREFIXES, product

from fairmesh.catalog import document, retyping, semver
from fairmesh.catalog.changes import Comparison, Kind, compare
from fairmesh.catalog.projection import statement_changes
from fairmesh.catalog.rdf import PREFIXES as NAMES
from fairmesh.catalog.rdf import Literal, NamedNode, Triple, load
from fairmesh.catalog.retyping import Fit
from fairmesh.catalog.semver import Step

GOLDEN = sorted((ROOT / "tests" / "golden" / "changes").glob("*.yaml"))
PRODUCT = BASE + "sales.orders"
KEYS = {"why", "both", "before", "after", "status", "version", "expect", "required", "enough"}
HEAD = f"""{PREFIXES}
@prefix dqv: <http://www.w3.org/ns/dqv#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix : <{PRODUCT}/> .
@prefix col: <{PRODUCT}/data/column/> .
<sales.orders> a dprod:DataProduct ; dct:identifier "sales.orders" ; dprod:domain <domain/sales> ;
  dprod:outputDataset :data .
:data a dcat:Dataset ; dprod:informationSensitivityClassification c:internal ; dct:conformsTo :data\\/schema .
:data\\/schema a csvw:Schema .
"""


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}-{number}")
        for path in GOLDEN
        for number, case in enumerate(yaml.safe_load(path.read_text("utf-8")), 1)
    ]


def triples(text: str | bytes) -> list[Triple]:
    content = text if isinstance(text, bytes) else text.encode()
    return load(document.read(content, "text/turtle", BASE).nquads)


def revision(case: dict[str, Any], side: int) -> list[Triple]:
    status = case.get("status", "consume")
    version = case.get("version", ["1.0.0", "1.0.0"])[side]
    own = f"<sales.orders> dprod:lifecycleStatus s:{status if isinstance(status, str) else status[side]} .\n"
    if version is not None:
        own += f'<sales.orders> dcat:version "{version}" .\n'
    return triples(HEAD + own + case.get("both", "") + "\n" + case.get(("before", "after")[side], ""))


def between(before: list[Triple], after: list[Triple]) -> Comparison:
    return compare(before, after, product=PRODUCT, iri_base=BASE)


def named(found: Comparison) -> list[str]:
    """The changes as the golden files have them; nodes without an IRI of their own go by their label's last word."""
    lines = []
    for change in found.changes:
        node = change.node.removeprefix(PRODUCT).removeprefix("/") or "."
        if "genid" in node:
            node = change.label.rpartition(".")[2]
        elif change.node.startswith(BASE) and not change.node.startswith(PRODUCT):
            node = "/" + change.node.removeprefix(BASE)
        lines.append(f"{change.kind.value} {change.what} {node}")
    return lines


@pytest.mark.parametrize("case", cases())
def test_the_golden_table(case: dict[str, Any]) -> None:
    assert set(case) <= KEYS
    found = between(revision(case, 0), revision(case, 1))
    assert Counter(named(found)) == Counter(case["expect"]), case["why"]
    assert found.version.required.value == case.get("required", found.version.required.value), case["why"]
    assert found.version.enough is case.get("enough", found.version.enough), case["why"]


def test_every_golden_file_is_used() -> None:
    assert len(GOLDEN) >= 6
    assert all(path.read_text("utf-8").startswith("- ") for path in GOLDEN)


def test_every_code_is_explained_and_shown() -> None:
    source = (ROOT / "catalog" / "changes.py").read_text("utf-8")
    page = (ROOT / "docs" / "changes.md").read_text("utf-8")
    golden = "".join(path.read_text("utf-8") for path in GOLDEN)
    for code in codes(source):
        assert f"`{code}`" in page, code
        shown = f" {code} " in golden or code in ("product-added", "product-retired", "schema-added", "schema-removed")
        assert shown or code in ("column-name-added", "standard-added"), code


def codes(source: str) -> set[str]:
    """Every code a change may have, as the source states them."""
    nouns = (
        "column|dataset|product|port|schema|licence|access-rights|classification|primary-key|version|status|standard"
    )
    found = re.findall(
        rf'"((?:{nouns}|statement|node|spelling|address|description|lineage|date|record)-[a-z-]+)"', source
    )
    return set(found)


# -- a whole product --------------------------------------------------------------------------------------------------


def test_a_product_that_is_not_there_any_more_is_retired_with_all_it_offered() -> None:
    document = triples(product("sales.orders", status="consume"))
    found = between(document, [])
    assert [(c.kind, c.what) for c in found.changes] == [(Kind.BREAKING, "product-retired")]
    assert len(found.changes[0].statements) == len(document)
    assert found.broken == {PRODUCT + "/data": {PRODUCT + "/data"}}
    assert found.version.required is Step.NONE
    assert not found.unannounced


def test_a_product_that_is_new_breaks_nobody() -> None:
    found = between([], triples(product("sales.orders")))
    assert [(c.kind, c.what) for c in found.changes] == [(Kind.ADDITIVE, "product-added")]
    assert not found.broken
    assert not found.promised


def test_only_a_live_revision_has_promised_something() -> None:
    for status, promised in (("build", False), ("deploy", True), ("consume", True), ("deprecated", True)):
        before, after = (triples(product("sales.orders", status=status, columns=c)) for c in (("a", "b"), ("a",)))
        found = between(before, after)
        assert [change.what for change in found.breaking] == ["column-dropped"]
        assert found.unannounced is found.promised is promised
    assert not between(before, before).unannounced


def test_what_breaks_is_named_with_its_dataset() -> None:
    before, after = (triples(product("sales.orders", columns=columns)) for columns in (("a", "b"), ("a",)))
    data = PRODUCT + "/data"
    assert between(before, after).broken == {data + "/column/b": {data}}


def test_the_lowest_version_that_would_do_is_proposed() -> None:
    for old, new, proposed in (
        ("1.4.2", "1.5.0", "2.0.0"), ("0.4.2", "0.4.3", "0.5.0"), ("2.1.0-rc.1", "2.1.0", "3.0.0"),
        ("2.0.0-rc.1", "2.0.0-rc.1", "2.0.0"), ("1.4.2", "2.0.0", None),
    ):  # fmt: skip
        before = triples(product("sales.orders", version=old, columns=("a", "b")))
        after = triples(product("sales.orders", version=new, columns=("a",)))
        assert between(before, after).version.proposed == proposed


def test_a_version_that_cannot_be_compared_says_so() -> None:
    before, after = (triples(product("sales.orders", version="2024-05", columns=c)) for c in (("a", "b"), ("a",)))
    found = between(before, after).version
    assert (found.moved, found.enough) == (Step.UNKNOWN, True)
    assert found.note == "the version was '2024-05', which is no semantic version: nothing is asked of it"


def test_a_version_that_only_goes_back_takes_the_next_one_and_breaks_nobody() -> None:
    titled = [triples(product("sales.orders", title=title, version=version, status="consume"))
              for title, version in (("Orders", "1.6.1"), ("All orders", "0.1.0"), ("Orders", "0.1.0"))]  # fmt: skip
    found = between(titled[0], titled[1])
    assert [change.what for change in found.breaking] == ["version-lowered"]
    assert found.unannounced
    assert not found.broken
    assert (found.version.required, found.version.proposed) == (Step.PATCH, "1.6.2")
    assert between(titled[0], titled[2]).version.proposed == "1.6.1", "which was there: nothing else changed"


def test_two_new_versions_are_said_to_be_two() -> None:
    before, after = (triples(HEAD + f"<sales.orders> dcat:version {v} .") for v in ('"1.6.1"', '"1.6.1", "2.0.0"'))
    found = between(before, after).version
    assert (found.after, found.note, found.proposed) == (None, "the version is stated 2 times", "1.6.1")


def test_terms_that_two_datasets_share_are_those_of_one_that_stays() -> None:
    """The node that spells them out is told of with a dataset that is there on both sides."""
    text = HEAD + "<sales.orders> dprod:outputDataset :z . :z a dcat:Dataset ; dct:rights :terms . "
    gone = "<sales.orders> dprod:outputDataset :a . :a a dcat:Dataset ; dct:rights :terms . "
    before, after = (triples(text + f':terms rdfs:label "{word}" . ' + more)
                     for word, more in (("Free", gone), ("Not free", "")))  # fmt: skip
    assert {(c.what, c.node.rpartition("/")[2]) for c in between(before, after).breaking} == {
        ("dataset-removed", "a"), ("licence-changed", "z"),
    }  # fmt: skip


def test_terms_are_not_replaced_by_two_translations() -> None:
    free, internal = '"Free to use by all"@en', '"Nur intern"@de'
    terms = [triples(HEAD + f"<sales.orders> dct:rights {said} .") for said in (free, f"{free} , {internal}", internal)]
    assert [c.what for c in between(terms[0], terms[1]).changes] == ["licence-reworded"]
    assert [c.what for c in between(terms[1], terms[2]).breaking] == ["licence-changed"]


def test_other_terms_of_an_internal_dataset_need_no_major_version() -> None:
    text = HEAD + "<sales.orders> dct:hasPart :s ; dprod:lifecycleStatus s:consume ; dcat:version '1.0.%s' . "
    staging = ":s a dcat:Dataset ; dprod:informationSensitivityClassification c:internal ; dct:rights '%s'@en ."
    found = between(triples(text % 0 + staging % "Free"), triples(text % 1 + staging % "Ask us"))
    assert {c.what: c.label for c in found.changes if c.what != "version-changed"} == {
        "licence-changed": "s (internal)"
    }
    assert not found.unannounced
    assert found.broken == {PRODUCT + "/s": {PRODUCT + "/s"}}, "who reads it nevertheless is named"


def test_a_policy_nested_without_end_is_compared() -> None:
    chain = "".join(f":p{n} <http://www.w3.org/ns/odrl/2/duty> :p{n + 1} . " for n in range(3000))
    text = HEAD + f":data dct:rights :p0 . {chain} :p3000 <http://www.w3.org/ns/odrl/2/duty> :p0 . "
    assert not between(triples(text), triples(text)).changes
    found = between(triples(text), triples(text + ':p2999 rdfs:label "Pay" .'))
    assert [change.what for change in found.breaking] == ["licence-changed"]


def test_a_column_of_two_datasets_breaks_both() -> None:
    text = HEAD + (
        "<sales.orders> dprod:outputDataset :two . :two a dcat:Dataset ; dct:conformsTo :data\\/schema . "
        ":two dprod:informationSensitivityClassification c:internal . "
    )
    column = ':data\\/schema csvw:column col:a . col:a a csvw:Column ; csvw:name "a" .'
    found = between(triples(text + column), triples(text))
    assert [change.what for change in found.changes] == ["column-dropped"]
    assert found.broken == {PRODUCT + "/data/column/a": {PRODUCT + "/data", PRODUCT + "/two"}}


def test_a_shared_column_breaks_only_the_datasets_it_changes_for() -> None:
    text = HEAD + (
        "<sales.orders> dprod:outputDataset :two . :two a dcat:Dataset ; "
        "dprod:informationSensitivityClassification c:internal . "
        ':data\\/schema csvw:column col:a . col:a a csvw:Column ; csvw:name "a" ; csvw:datatype xsd:int .'
    )
    own = ':two dct:conformsTo :s . :s a csvw:Schema ; csvw:column :x . :x csvw:name "a" ; csvw:datatype xsd:date .'
    found = between(triples(text + ":two dct:conformsTo :data\\/schema ."), triples(text + own))
    assert [(change.what, change.label) for change in found.breaking] == [("column-retyped", "two.a")]
    assert found.broken == {PRODUCT + "/data/column/a": {PRODUCT + "/two"}}


def test_a_service_that_gives_one_dataset_less_breaks_that_dataset_alone() -> None:
    text = HEAD + (
        "<sales.orders> dprod:outputDataset :two ; dprod:outputPort :p . :two a dcat:Dataset . "
        ":p a dcat:DataService ; dcat:servesDataset :data . "
    )
    found = between(triples(text + ":p dcat:servesDataset :two ."), triples(text))
    assert found.broken == {PRODUCT + "/two": {PRODUCT + "/two"}}
    moved = [triples(text + f":p dcat:endpointURL <https://{host}.example.org/> .") for host in ("a", "b")]
    assert between(*moved).broken == {PRODUCT + "/data": {PRODUCT + "/data"}}


def test_several_old_versions_are_said_to_be_several() -> None:
    two = HEAD + '<sales.orders> dcat:version "1.0.0", "1.0.1" . '
    found = between(triples(two), triples(HEAD + '<sales.orders> dcat:version "1.0.2" .')).version
    assert (found.before, found.enough) == (None, True)
    assert found.note == "the version was stated 2 times: nothing is asked of it"


def test_a_schema_of_many_datasets_is_compared_once() -> None:
    """Column by column and dataset by dataset it would be a million comparisons."""
    shared = HEAD + "".join(
        f"<sales.orders> dprod:outputDataset :d{n} . :d{n} a dcat:Dataset ; dct:conformsTo :s . " for n in range(1000)
    )
    columns = "".join(f':s csvw:column :c{n} . :c{n} csvw:name "c{n}" ; csvw:datatype xsd:int . ' for n in range(1000))
    before = triples(shared + columns)
    after = [t for t in before if not t.subject.value.endswith("/d0") and t.object.value != PRODUCT + "/d0"]
    found = between(before, after)
    assert [change.what for change in found.changes] == ["dataset-removed"]
    assert len(found.changes[0].statements) == 3


def test_an_internal_dataset_is_said_to_be_one() -> None:
    text = HEAD + "<sales.orders> dct:hasPart :s . :s dprod:informationSensitivityClassification c:internal . "
    found = between(triples(text + ":s a dcat:Dataset ; dct:title 'S' ."), triples(HEAD))
    assert [change.label for change in found.changes] == ["S (internal)"]
    assert found.broken == {PRODUCT + "/s": {PRODUCT + "/s"}}


# -- laws -------------------------------------------------------------------------------------------------------------

_NODES = [
    PRODUCT + part for part in ("", "/data", "/data/schema", "/data/column/a", "/data/column/b", "/t", "/sql", "/x")
]
_NODES += [BASE + "team/sales", "https://elsewhere.example.org/thing", PRODUCT + "/.well-known/genid/1"]
_WORDS = [
    "dct:title", "dct:description", "dct:license", "dct:rights", "dct:accessRights", "dct:isPartOf", "dct:hasPart",
    "dct:conformsTo", "dprod:outputDataset", "dprod:outputPort", "dprod:lifecycleStatus", "dcat:version",
    "dcat:distribution", "dcat:accessService", "dcat:endpointURL", "dcat:mediaType", "csvw:column", "csvw:name",
    "csvw:datatype", "csvw:required", "csvw:primaryKey", "fm:classification", "fm:physicalType", "fm:physicalName",
    "fm:position", "dprod:informationSensitivityClassification", "prov:wasDerivedFrom", "dct:spatial",
]  # fmt: skip
_IRIS = [NAMES[word.split(":")[0]] + word.split(":")[1] for word in _WORDS]
_OBJECTS: list[NamedNode | Literal] = [
    *map(NamedNode, _NODES),
    NamedNode("https://w3id.org/fairmesh/status/consume"),
    NamedNode("https://w3id.org/fairmesh/status/build"),
    NamedNode("https://w3id.org/fairmesh/classification/public"),
    NamedNode("https://w3id.org/fairmesh/classification/restricted"),
    NamedNode("http://publications.europa.eu/resource/authority/access-right/PUBLIC"),
    NamedNode("http://publications.europa.eu/resource/authority/access-right/RESTRICTED"),
    NamedNode(NAMES["xsd"] + "int"), NamedNode(NAMES["xsd"] + "long"), NamedNode(NAMES["csvw"] + "Schema"),
    Literal("a"), Literal("b"), Literal("1.0.0"), Literal("2.0.0"), Literal(True), Literal("Orders", language="en"),
]  # fmt: skip
_TYPE = NamedNode(NAMES["rdf"] + "type")
_PRODUCT = Triple(NamedNode(PRODUCT), _TYPE, NamedNode(NAMES["dprod"] + "DataProduct"))


@cache
def _core() -> list[Triple]:
    return triples(HEAD + ':data\\/schema csvw:column col:a . col:a csvw:name "a" .')


statement = st.builds(
    Triple, st.sampled_from([NamedNode(n) for n in _NODES]), st.sampled_from([NamedNode(p) for p in _IRIS]),
    st.sampled_from(_OBJECTS),
)  # fmt: skip
documents = st.lists(statement, max_size=25).map(lambda said: [*_core(), *said])
bare = st.lists(statement, max_size=10).map(lambda said: [_PRODUCT, *said])
anything = st.one_of(documents, bare, st.lists(statement, max_size=6))


@given(anything)
def test_nothing_differs_from_itself(one: list[Triple]) -> None:
    found = between(one, one)
    assert found.changes == ()
    assert not found.broken
    assert found.version.required is Step.NONE


@given(anything, anything)
def test_every_changed_statement_belongs_to_exactly_one_change(one: list[Triple], two: list[Triple]) -> None:
    found = between(one, two)
    stated = Counter(statement for change in found.changes for statement in change.statements)
    assert stated == Counter(statement_changes(one, two))
    assert all(change.statements for change in found.changes)


@given(anything, anything)
def test_the_order_of_statements_does_not_matter(one: list[Triple], two: list[Triple]) -> None:
    assert between(one, two) == between(one[::-1], two[::-1])


@given(anything, anything)
def test_what_breaks_was_there_and_asks_for_a_major_version(one: list[Triple], two: list[Triple]) -> None:
    found = between(one, two)
    mentioned = {t.subject.value for t in one} | {t.object.value for t in one}
    assert found.broken.keys() <= mentioned
    data = {change.what for change in found.breaking} - {"version-lowered", "version-removed"}
    if data and found.version.required is not Step.NONE:
        assert found.version.required is Step.MAJOR
        assert (
            found.version.note == ""
            or not found.version.enough
            or "no semantic" in found.version.note
            or ("not stated" in found.version.note)
        )


@given(documents, st.lists(statement, max_size=10))
def test_what_only_adds_breaks_only_by_hiding_or_by_another_type(one: list[Triple], more: list[Triple]) -> None:
    found = between(one, [*one, *more])
    allowed = {
        "classification-raised", "column-retyped", "column-renamed", "column-dropped", "licence-changed",
        "primary-key-changed", "product-withdrawn", "version-removed", "access-rights-changed",
        "access-rights-narrowed",
    }  # fmt: skip
    assert {change.what for change in found.breaking} <= allowed


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef"), unique=True))
def test_columns_break_exactly_when_one_is_missing(one: list[str], two: list[str]) -> None:
    before, after = (triples(product("sales.orders", columns=columns)) for columns in (one, two))
    found = between(before, after)
    assert bool(found.breaking) is bool(set(one) - set(two))
    assert {c.label for c in found.breaking} == {f"data.{name}" for name in set(one) - set(two)}
    assert found.broken.keys() == {f"{PRODUCT}/data/column/{name}" for name in set(one) - set(two)}


# -- versions and types -----------------------------------------------------------------------------------------------

PRECEDENCE = [
    "0.0.1", "0.1.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0",
]  # fmt: skip
"""The examples of clause 11, in order, and some more."""


def test_versions_come_in_the_order_of_the_standard() -> None:
    read = [semver.read(text) for text in PRECEDENCE]
    orders = [version.order for version in read if version is not None]
    assert len(orders) == len(PRECEDENCE)
    assert sorted(orders) == orders  # type: ignore[type-var]


@pytest.mark.parametrize(
    "text", ["1", "1.0", "v1.0.0", "1.0.0-", "1.0.0-01", "01.0.0", "1.0.0+", "1.0.0-a..b", " 1.0.0", "1.0.0\n", ""]
)
def test_what_is_no_semantic_version(text: str) -> None:
    assert semver.read(text) is None


@given(st.sampled_from(PRECEDENCE), st.sampled_from([Step.PATCH, Step.MINOR, Step.MAJOR]))
def test_the_version_proposed_is_far_enough(text: str, step: Step) -> None:
    version = semver.read(text)
    assert version is not None
    assert semver.moved(version, semver.read(version.after(step))).reaches(step)


@given(st.sampled_from(PRECEDENCE), st.sampled_from(PRECEDENCE))
def test_a_version_moves_back_exactly_when_it_comes_before(one: str, two: str) -> None:
    before, after = PRECEDENCE.index(one), PRECEDENCE.index(two)
    moved = semver.moved(semver.read(one), semver.read(two))
    assert (moved is Step.BACK) is (after < before)
    assert (moved is Step.NONE) is (after == before)


TYPES = sorted({name for pair in retyping._WIDER.items() for name in " ".join(pair).split()})
PHYSICAL = [
    "int",
    "BIGINT",
    "smallint",
    "number(18,2)",
    "number(18, 4)",
    "numeric",
    "varchar(20)",
    "text",
    "jsonb",
    "date",
]


@given(st.sampled_from(TYPES), st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_wider_is_an_order(one: str, two: str, three: str) -> None:
    assert (retyping.logical(one, two) is Fit.SAME) is (one == two)
    if retyping.logical(one, two) is not Fit.OTHER and retyping.logical(two, three) is not Fit.OTHER:
        assert retyping.logical(one, three) is not Fit.OTHER
    if retyping.logical(one, two) is Fit.WIDER:
        assert retyping.logical(two, one) is Fit.OTHER


@given(st.sampled_from(PHYSICAL), st.sampled_from(PHYSICAL))
def test_no_physical_type_is_wider_both_ways(one: str, two: str) -> None:
    if retyping.physical(one, two) is Fit.WIDER:
        assert retyping.physical(two, one) is Fit.OTHER


def test_the_page_shows_the_table_of_wider_types() -> None:
    page = Path(ROOT / "docs" / "changes.md").read_text("utf-8")
    for narrow, wide in retyping._WIDER.items():
        assert f"| `{narrow}` | {', '.join(f'`{name}`' for name in wide.split())} |" in page
