"""The registration path and what views show: as a caller of the domain sees them."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from samples import ANALYST, BASE, STEWARD, producer, product, register

from fairmesh.catalog import Catalog, Settings, StillUsed, opening, rebuild
from fairmesh.catalog.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    InputError,
    InvalidDocument,
    NotConforming,
    NotFound,
    ParseError,
    Retired,
    StaleRevision,
    StorageUnavailable,
)
from fairmesh.catalog.graph import OxigraphGraph
from fairmesh.catalog.model import (
    ANONYMOUS,
    Direction,
    Draft,
    EntryKind,
    LineageDirection,
    Outcome,
    PageRequest,
    SearchOrder,
    Subject,
    Submission,
    WalkStep,
)
from fairmesh.catalog.policyfiles import POLICIES

SALES = producer("sales")


def submit(catalog: Catalog, data: bytes, subject: Subject = SALES, **more: int) -> Outcome:
    return catalog.register(subject, [Submission(data, **more)], channel="http")[0]


def found(catalog: Catalog, text: str | None, subject: Subject = STEWARD) -> list[str]:
    with catalog.view(subject, channel="http") as view:
        page = view.search(
            text, types=None, filter=None, order=SearchOrder.RELEVANCE, langs=None, page=PageRequest()
        ).page
    return [hit.iri.removeprefix(BASE) for hit in page.items]


def upstream(catalog: Catalog, iri: str, subject: Subject = STEWARD) -> set[tuple[str, str]]:
    with catalog.view(subject, channel="http") as view:
        walk = view.lineage(BASE + iri, direction=LineageDirection.UPSTREAM, depth=100, max_nodes=1000, types=None)
    return {(e.source.removeprefix(BASE), e.target.removeprefix(BASE)) for e in walk.edges}


def test_created_updated_unchanged(catalog: Catalog) -> None:
    first = submit(catalog, product("sales.orders"))
    assert (first.change, first.revision, first.key) == ("created", 1, "sales.orders")
    assert submit(catalog, product("sales.orders")).change == "unchanged"
    second = submit(catalog, product("sales.orders", title="New orders"))
    assert (second.change, second.revision) == ("updated", 2)
    assert {(c.added, c.object) for c in second.changes} >= {(False, '"Orders"@en'), (True, '"New orders"@en')}


def test_a_dry_run_says_the_same_and_writes_nothing(catalog: Catalog) -> None:
    head = catalog.journal.head()
    outcome = catalog.register(SALES, [Submission(product("sales.orders"))], channel="http", dry_run=True)[0]
    assert (outcome.change, outcome.error) == ("created", None)
    assert catalog.journal.head() == head
    assert found(catalog, "orders") == []


def test_a_dry_run_of_what_is_stored_says_unchanged(catalog: Catalog) -> None:
    register(catalog, product("sales.orders"))
    again = Submission(product("sales.orders"))
    assert catalog.register(SALES, [again], channel="http", dry_run=True)[0].change == "unchanged"
    assert catalog.validate(SALES, again, channel="http").change == "unchanged"


def test_each_document_stands_or_falls_alone(catalog: Catalog) -> None:
    bad_rule = product("sales.bad").replace(b'dcat:version "1.0.0"', b'dcat:version "one"')
    outcomes = catalog.register(
        SALES,
        [Submission(d) for d in (product("sales.good"), b"<a> <b", bad_rule, product("finance.x"), b"<a> a <b> .")],
        channel="http",
    )
    assert [type(o.error) for o in outcomes] == [type(None), ParseError, NotConforming, Forbidden, InvalidDocument]
    assert found(catalog, None) == ["sales.good"]
    report = outcomes[2].report
    assert report is not None
    line = bad_rule[: bad_rule.index(b'"one"')].count(b"\n") + 1
    assert [f.line for f in report.findings if f.rule == "core/25"] == [line]


def test_documents_of_one_call_may_depend_on_each_other_in_a_circle(catalog: Catalog) -> None:
    outcomes = register(
        catalog, product("sales.a", sources=["sales.b/data"]), product("sales.b", sources=["sales.a/data"])
    )
    for outcome in outcomes:
        assert outcome.report is not None
        assert not [f for f in outcome.report.findings if f.rule == "core/29"]


def test_the_same_product_twice_in_one_call(catalog: Catalog) -> None:
    outcomes = register(
        catalog, product("sales.a"), product("sales.a", title="Later"), product("sales.a", title="Later")
    )
    assert [o.change for o in outcomes] == ["created", "updated", "unchanged"]


def test_optimistic_lock(catalog: Catalog) -> None:
    assert isinstance(submit(catalog, product("sales.a"), if_revision=3).error, StaleRevision)
    assert submit(catalog, product("sales.a"), if_revision=0).revision == 1
    assert isinstance(submit(catalog, product("sales.a", title="X y"), if_revision=0).error, StaleRevision)
    assert submit(catalog, product("sales.a", title="X y"), if_revision=1).revision == 2


def test_writers_at_the_same_time_lose_nothing(catalog: Catalog) -> None:
    outcomes: list[Outcome] = []

    def write(number: int) -> None:
        outcomes.append(submit(catalog, product("sales.a", title=f"Title {number}")))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o.revision or 0 for o in outcomes) == [1, 2, 3, 4, 5, 6]
    assert [o.error for o in outcomes] == [None] * 6


def test_nobody_takes_a_product_over_by_claiming_another_domain(catalog: Catalog) -> None:
    register(catalog, product("finance.ledger"))
    claimed = product("finance.ledger").replace(b"<domain/finance>", b"<domain/sales>")
    assert isinstance(submit(catalog, claimed).error, Forbidden)
    mine = product("sales.mine").replace(b"<domain/sales>", b"<domain/finance>")
    assert isinstance(submit(catalog, mine).error, Forbidden)


def test_decisions_about_writes_are_logged(catalog: Catalog, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="fairmesh.decisions"):
        submit(catalog, product("finance.x"))
        submit(catalog, product("sales.x"))
    denied, allowed = (record.getMessage() for record in caplog.records if record.name == "fairmesh.decisions")
    assert denied.startswith("actor=producer action=register product=finance.x allowed=False reasons=")
    assert "product=sales.x allowed=True" in allowed
    assert catalog.policy_digest in allowed


def test_a_key_whose_first_part_is_not_its_domain(catalog: Catalog) -> None:
    both = producer("sales", "finance")
    outcome = submit(catalog, product("sales.mine").replace(b"<domain/sales>", b"<domain/finance>"), both)
    assert isinstance(outcome.error, NotConforming)
    assert {g.rule for g in outcome.error.report.groups()} >= {"core/02"}


def test_what_policy_hides_is_absent(catalog: Catalog) -> None:
    register(
        catalog,
        product("web.clicks", classification="public"),
        product("people.salaries", classification="restricted", sources=["web.clicks/data"]),
        product("finance.costs", classification="internal", sources=["people.salaries/data"]),
    )
    assert set(found(catalog, None)) == {"web.clicks", "people.salaries", "finance.costs"}
    assert set(found(catalog, None, ANALYST)) == {"web.clicks", "finance.costs"}
    assert found(catalog, None, ANONYMOUS) == ["web.clicks"]
    assert upstream(catalog, "finance.costs/data") == {
        ("people.salaries/data", "finance.costs/data"), ("web.clicks/data", "people.salaries/data")
    }  # fmt: skip
    assert upstream(catalog, "finance.costs/data", ANALYST) == set()
    with catalog.view(ANALYST, channel="http") as view:
        assert view.resource(BASE + "people.salaries") is None
        assert view.product(key="people.salaries") is None
        assert b"salaries" not in view.rdf(BASE + "finance.costs", "text/turtle")
        assert view.relations(
            BASE + "web.clicks/data", predicates=None, direction=Direction.IN, target_types=None, page=PageRequest()
        ).total == 1  # fmt: skip
        assert view.paths(
            BASE + "finance.costs/data", BASE + "web.clicks/data", predicates=frozenset({
                "http://www.w3.org/ns/prov#wasDerivedFrom"}), direction=Direction.BOTH, max_length=6, k=1,
        ) == []  # fmt: skip


def test_confidential_products_are_found_but_not_read(catalog: Catalog) -> None:
    register(catalog, product("people.reviews", classification="confidential", columns=["score"], term="review"))
    assert found(catalog, "reviews", ANALYST) == ["people.reviews"]
    assert found(catalog, "score", ANALYST) == []
    assert found(catalog, "score", STEWARD) == ["people.reviews"]
    with catalog.view(ANALYST, channel="http") as view:
        info = view.product(key="people.reviews")
        assert info is not None
        assert (info.terms, info.license, info.owner) == ((), None, BASE + "team/people")
        assert view.datasets(info.iri, None) == ()
        assert view.label(info.iri) == "Reviews"
        assert view.description(info.iri) is None
        assert view.label(BASE + "team/people") == "People team"
        assert view.revisions(info.iri, PageRequest()).total == 0


def test_classified_columns_are_masked(catalog: Catalog) -> None:
    register(catalog, product("people.staff", columns=["id"], masked=["salary"]))
    dataset = BASE + "people.staff/data"
    for subject, names in ((STEWARD, ["id", "salary"]), (ANALYST, ["id"])):
        with catalog.view(subject, channel="http") as view:
            page = view.columns(dataset, PageRequest(first=10))
            assert [c.name for c in page.items] == names
            assert page.total == len(names)
            assert (b"salary" in view.rdf(BASE + "people.staff", "text/turtle")) is ("salary" in names)
    assert found(catalog, "salary", ANALYST) == []
    assert found(catalog, "salary", STEWARD) == ["people.staff"]


def test_a_changed_fact_counts_at_once(catalog: Catalog) -> None:
    register(catalog, product("web.clicks"))
    assert found(catalog, None, ANALYST) == ["web.clicks"]
    register(catalog, product("web.clicks", classification="restricted"))
    assert found(catalog, None, ANALYST) == []


def test_retiring(catalog: Catalog) -> None:
    register(catalog, product("web.clicks"), product("sales.leads", sources=["web.clicks/data"]))
    web = producer("web")
    iri = BASE + "web.clicks"
    with pytest.raises(Forbidden):
        catalog.retire(SALES, iri, channel="http")
    with pytest.raises(StaleRevision):
        catalog.retire(web, iri, channel="http", if_revision=9)
    with pytest.raises(StillUsed) as used:
        catalog.retire(web, iri, channel="http")
    assert [n.iri for n in used.value.still_used_by] == [BASE + "sales.leads"]
    assert used.value.message == "web.clicks is still read by 1 product"
    gone = catalog.retire(web, iri, channel="http", reason="replaced", force=True, at=datetime(2026, 1, 1, tzinfo=UTC))
    assert gone.revision == 2
    assert found(catalog, None) == ["sales.leads"]
    assert upstream(catalog, "sales.leads/data") == set()
    with catalog.view(STEWARD, channel="http") as view:
        assert b"web.clicks" not in view.rdf(BASE + "sales.leads", "text/turtle")
        with pytest.raises(Retired, match="replaced"):
            view.raise_if_retired(iri)
    with pytest.raises(Retired):
        catalog.retire(web, iri, channel="http")
    again = submit(catalog, product("web.clicks"), web)
    assert (again.change, again.revision) == ("created", 3)


def test_what_a_retirement_may_say(catalog: Catalog) -> None:
    register(catalog, product("sales.a"), product("people.secret", classification="restricted"))
    iri, later = BASE + "sales.a", datetime.now(UTC) + timedelta(days=1)
    for bad in ({"at": later}, {"reason": "x" * 501}, {"replaced_by": BASE + "sales.none"}, {"replaced_by": iri},
                {"replaced_by": BASE + "people.secret"}):  # fmt: skip
        with pytest.raises(InputError):
            catalog.retire(SALES, iri, channel="http", **bad)  # type: ignore[arg-type]
    assert found(catalog, None, SALES) == ["sales.a"]


def test_retiring_what_is_hidden_and_what_is_absent_reads_alike(catalog: Catalog) -> None:
    register(catalog, product("people.salaries", classification="restricted"))
    messages = []
    for key in ("people.salaries", "people.nothing"):
        with pytest.raises(NotFound) as caught:
            catalog.retire(ANALYST, BASE + key, channel="http")
        messages.append(str(caught.value).replace(key, "KEY"))
    assert messages[0] == messages[1]


def test_lineage_targets_missing_and_hidden_get_the_same_warning(catalog: Catalog) -> None:
    register(catalog, product("people.salaries", classification="restricted"))
    warnings = []
    for target in ("people.salaries/data", "people.nowhere/data"):
        outcome = catalog.register(
            SALES, [Submission(product("sales.a", sources=[target]))], channel="http", dry_run=True
        )[0]
        assert outcome.error is None
        assert outcome.report is not None
        warnings.append([(f.rule, f.message, f.severity) for f in outcome.report.findings if f.rule == "core/29"])
    assert warnings[0] == warnings[1] != []


def test_history(catalog: Catalog) -> None:
    register(catalog, product("sales.a"))
    register(catalog, product("sales.a", columns=["id", "extra"]))
    with catalog.view(STEWARD, channel="http") as view:
        newest, oldest = view.revisions(BASE + "sales.a", PageRequest()).items
    assert (newest.number, oldest.number, newest.by, newest.version) == (2, 1, "producer", "1.0.0")
    assert any(c.added and c.object == '"extra"' for c in newest.changes)
    assert all(c.added for c in oldest.changes)
    assert newest.digest != oldest.digest


def test_history_shows_no_revision_that_was_more_sensitive(catalog: Catalog) -> None:
    register(catalog, product("people.a", classification="restricted", columns=["secret"]))
    register(catalog, product("people.a", classification="internal", columns=["open"]))
    with catalog.view(ANALYST, channel="http") as view:
        revisions = view.revisions(BASE + "people.a", PageRequest()).items
    assert [r.number for r in revisions] == [2]
    assert not any("secret" in c.subject + c.object for c in revisions[0].changes)


def test_walks_cross_products_by_what_they_share(catalog: Catalog) -> None:
    register(catalog, product("sales.a", term="customer"), product("finance.b", term="customer"), product("ops.c"))
    subject = frozenset({"http://purl.org/dc/terms/subject"})
    steps = [WalkStep(subject), WalkStep(subject, Direction.IN)]
    with catalog.view(STEWARD, channel="http") as view:
        page, truncated = view.traverse([BASE + "sales.a"], steps, filter=None, distinct=True, page=PageRequest())
        assert [w.node for w in page.items] == [BASE + "finance.b"]
        assert view.crosses_domains(page.items[0]) == (BASE + "domain/sales", BASE + "domain/finance")
        assert not truncated


def test_the_key_belongs_to_one_product(catalog: Catalog) -> None:
    register(catalog, product("sales.a"))
    other = product("sales.a").replace(b"<sales.a", b"<https://sales.example/a")
    assert isinstance(submit(catalog, other).error, Conflict)


def test_everything_is_there_after_a_restart(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Catalog.open(settings)
    register(first, product("web.clicks"), product("sales.leads", sources=["web.clicks/data"]))
    first.retire(producer("web"), BASE + "web.clicks", channel="http", force=True)
    digests = (first.graph.digest(), first.search.digest(), first.lineage.digest())
    with first.view(STEWARD, channel="http") as view:
        before = view.product(key="sales.leads")
    first.close()

    again = Catalog.open(settings)
    assert (again.graph.digest(), again.search.digest(), again.lineage.digest()) == digests
    with again.view(STEWARD, channel="http") as view:
        assert view.product(key="sales.leads") == before
        with pytest.raises(Retired):
            view.raise_if_retired(BASE + "web.clicks")
    again.close()
    for size in (1, 5_000, opening._BATCH):  # bytes that are brought in together
        monkeypatch.setattr(opening, "_BATCH", size)
        assert rebuild(settings).same


def test_a_disk_that_is_full_while_the_graph_is_made_anew_leaves_the_old_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog.open(settings)
    register(catalog, product("web.clicks"))
    digest = catalog.graph.digest()
    catalog.close()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(OxigraphGraph, "load", full)
        with pytest.raises(StorageUnavailable, match="No space left") as refused:
            rebuild(settings)
    assert refused.value.remedy
    again = Catalog.open(settings)
    assert again.graph.digest() == digest
    again.close()
    assert rebuild(settings).same


def test_a_damaged_graph_is_made_anew(settings: Settings) -> None:
    catalog = Catalog.open(settings)
    register(catalog, product("web.clicks"))
    digest = catalog.graph.digest()
    catalog.close()
    (settings.data / "graph" / "CURRENT").write_text("garbage")
    with pytest.raises(ConfigError, match="rebuild"):
        Catalog.open(settings)
    rebuilt = rebuild(settings)
    assert (rebuilt.before, rebuilt.after) == ("", digest)
    again = Catalog.open(settings)
    assert found(again, None) == ["web.clicks"]
    again.close()


def test_pages_go_on_among_equal_labels(catalog: Catalog) -> None:
    register(catalog, *(product(f"sales.x{n}", title="Same") for n in range(4)))
    seen, after = [], None
    with catalog.view(STEWARD, channel="http") as view:
        while True:
            page = view.search(
                None,
                types=None,
                filter=None,
                order=SearchOrder.LABEL,
                langs=None,
                page=PageRequest(first=1, after=after),
            ).page
            seen += [hit.iri.removeprefix(BASE) for hit in page.items]
            if not page.has_next:
                break
            after = page.cursors[-1]
    assert seen == [f"sales.x{n}" for n in range(4)]


def test_a_graph_that_fell_behind_is_caught_up(settings: Settings) -> None:
    catalog = Catalog.open(settings)
    register(catalog, product("web.clicks"))
    digest, entry = catalog.graph.digest(), catalog.journal.head()[0]
    catalog.graph.replace(BASE + "web.clicks", b"", entry - 1)  # as if the last write had not reached the disk
    catalog.close()
    again = Catalog.open(settings)
    assert again.graph.digest() == digest
    again.close()


def test_rules_of_long_ago_need_not_pass_todays_lint(settings: Settings) -> None:
    catalog = Catalog.open(settings)
    shapes = "@prefix sh: <http://www.w3.org/ns/shacl#> . <urn:rule> a sh:NodeShape ; sh:targetClass <urn:Class> ."
    vocabulary = '<urn:term> <http://www.w3.org/2000/01/rdf-schema#label> "Old"@en .'
    files = json.dumps({"core/shapes.ttl": shapes, "core/vocabulary.ttl": vocabulary}).encode()
    catalog.journal.append([
        Draft(EntryKind.RULES, "", "", 0, files, "application/json", b"", "fairmesh", datetime.now(UTC), "old", "old",
              {"digest": "old"})
    ])  # fmt: skip
    catalog.close()
    again = Catalog.open(settings)  # applies the old entry, then notes the rules that ship as the ones in force
    assert next(again.graph.match("urn:term"), None) is None
    assert again.journal.last(EntryKind.RULES).draft.detail["digest"] == again.ruleset_digest  # type: ignore[union-attr]
    again.close()
    assert rebuild(settings).same


def test_one_process_and_one_base_to_a_directory(settings: Settings, catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="in use"):
        Catalog.open(settings)
    catalog.close()
    other = Settings.read({"data": settings.data, "iri_base": "https://other.example/"}, environment={})
    with pytest.raises(ConfigError, match="iri_base"):
        Catalog.open(other)
    assert Catalog.open(settings).close() is None


STEWARD_PRODUCER = Subject("both", "service", ("producer", "steward"), domains=("sales",), clearance="restricted")
OUTSIDE = "https://elsewhere.example/figures"


def outside(key: str, **facts: Any) -> bytes:
    """A product whose IRI lies outside the mesh."""
    return product(key, **facts).replace(f"<{key}".encode(), f"<{OUTSIDE}".encode())


def test_whether_an_outside_iri_is_taken_by_a_hidden_product_does_not_show(catalog: Catalog) -> None:
    (free,) = register(catalog, outside("web.figures", title="Visits"), subject=producer("web"))
    assert (free.change, free.product) == ("created", OUTSIDE)
    catalog.retire(producer("web"), OUTSIDE, channel="http")
    register(catalog, outside("people.figures", title="Salaries", classification="restricted"))
    (taken,) = register(catalog, outside("sales.figures", title="Orders"), subject=producer("sales"))
    assert (taken.change, taken.revision, taken.changes) == (free.change, free.revision, taken.changes)
    for subject, titles in (
        (producer("sales"), {"sales.figures": "Orders"}),
        (producer("people"), {"people.figures": "Salaries", "sales.figures": "Orders"}),
    ):
        with catalog.view(subject, channel="http") as view:
            assert {key: view.product(key=key) is not None for key in ("people.figures", "sales.figures")} == {
                "people.figures": "people.figures" in titles, "sales.figures": True
            }  # fmt: skip
            for key, title in titles.items():
                info = view.product(key=key)
                assert info is not None
                text = view.rdf(info.home, "text/turtle").decode()
                assert [word for word in ("Orders", "Salaries", "Visits") if f'"{word}"@en' in text] == [title]
                assert len(view.revisions(info.home, PageRequest()).items) == 1


def test_an_outside_iri_of_a_product_one_sees_is_taken(catalog: Catalog) -> None:
    register(catalog, outside("sales.figures"))
    (outcome,) = catalog.register(producer("web"), [Submission(outside("web.figures"))], channel="http")
    assert isinstance(outcome.error, Conflict)
    assert f"<{OUTSIDE}> is the IRI of sales.figures" in str(outcome.error)
    (again,) = register(catalog, outside("sales.figures", title="Better"))
    assert (again.change, again.revision) == ("updated", 2)


def test_products_of_one_iri_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings.read({"data": tmp_path, "workers": 1}, environment={})
    with closing(Catalog.open(settings)) as catalog:
        register(catalog, outside("people.figures", classification="restricted"))
        register(catalog, outside("sales.figures"), subject=producer("sales"))
    with closing(Catalog.open(settings)) as catalog:
        assert [p.key for p in catalog.registry.at(OUTSIDE)] == ["people.figures", "sales.figures"]
        with catalog.view(producer("sales"), channel="http") as view:
            seen = view.product(iri=OUTSIDE)
            assert seen is not None
            assert seen.key == "sales.figures"


def test_lines_of_findings_do_not_count_what_is_hidden(catalog: Catalog) -> None:
    register(catalog, product("web.plain"), product("web.masked", masked=("salary",)))
    for key, subject, have_lines in (
        ("web.plain", ANALYST, True), ("web.masked", ANALYST, False), ("web.masked", STEWARD, True)
    ):  # fmt: skip
        with catalog.view(subject, channel="http") as view:
            found = view.conformance(BASE + key)
            assert found is not None
            lines = [finding.line for finding in found.findings]
        assert lines, "these documents lack what a rule asks for"
        assert any(line is not None for line in lines) is have_lines


HOLD = b"""package fairmesh.org.acme

deny contains {"id": id, "reason": "legal-hold"} if {
	not "steward" in input.subject.roles
	input.action != "register"
	some id, resource in input.resources
	"legal-hold" in resource.tags
}
"""


def test_a_hidden_product_of_the_own_domain_is_not_found_by_trying_its_key(tmp_path: Path) -> None:
    shutil.copytree(POLICIES / "fairmesh", tmp_path / "policies" / "fairmesh")
    (tmp_path / "policies" / "org" / "acme").mkdir(parents=True)
    (tmp_path / "policies" / "org" / "acme" / "rules.rego").write_bytes(HOLD)
    settings = Settings.read(
        {"data": tmp_path / "data", "policies": tmp_path / "policies", "workers": 1}, environment={}
    )
    with closing(Catalog.open(settings)) as catalog:
        register(catalog, product("sales.held", extra='<sales.held> fm:tag "legal-hold" .'))
        for change in ("register", "retire"):
            if change == "retire":
                catalog.retire(STEWARD_PRODUCER, BASE + "sales.held", channel="http")
            tried, free = (
                catalog.register(producer("sales"), [Submission(product(key))], channel="http", dry_run=True)[0]
                for key in ("sales.held", "sales.free")
            )
            assert (tried.error, tried.change, len(tried.changes)) == (free.error, "created", len(free.changes))
            (stored,) = catalog.register(producer("sales"), [Submission(product("sales.held"))], channel="http")
            assert isinstance(stored.error, Forbidden)
            assert stored.decision is not None
            assert stored.decision.reasons == ("key-not-available",)
            assert "legal-hold" not in str(stored.error)
