"""Judging stored products: whatever happens, how each stands for a reader is what judging from scratch gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import governing
import pytest
from governing import COST, DAY, START, Governed, Rule, governed, later, org, until
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from law.meshes import SUBJECTS
from samples import ANALYST, BASE, DOMAINS, STEWARD, producer, product, register

from fairmesh.catalog import View, fair, judging, rdf
from fairmesh.catalog.asking import Bench, Question
from fairmesh.catalog.document import own_nodes, references
from fairmesh.catalog.errors import StorageUnavailable, WorkerFailed
from fairmesh.catalog.events import EventKind, events
from fairmesh.catalog.governance import RuleSet, validate
from fairmesh.catalog.model import Draft, Entry, EntryKind, Subject, Submission
from fairmesh.catalog.standing import Standing
from fairmesh.catalog.storage import Storage

READERS = (*SUBJECTS.values(), STEWARD)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Governed]:
    with governed(tmp_path / "data") as made:
        yield made


def scratch(view: View, rules: RuleSet, mesh: Governed) -> dict[str, tuple[object, ...]]:
    """How every product that may be read stands, judged here and now, with nothing remembered."""
    found = {}
    for held in view.readable:
        if held.retired:
            continue
        triples = view.statements(held.home)
        own = frozenset(own_nodes(triples, held.iri, BASE))
        background = rdf.canonical(view.background(references(triples, own, BASE)))
        report = validate(
            rules, rdf.canonical(triples), background, product=held.iri, domain=held.key.split(".")[0], own=own,
            iri_base=BASE, now=mesh.now[0],
        )  # fmt: skip
        register = fair.Register.of(rules.vocabulary())
        scores = fair.score(triples, product=held.iri, iri_base=BASE, register=register, at=mesh.now[0])
        standing = Standing.of("", report, scores, held.iri).seen(view.sight.grants(held))
        waived = mesh.catalog.waivers.by_key(mesh.now[0]).get(held.key, frozenset())
        found[held.key] = (standing.broken, standing.failed, standing.fair, standing.conforms(waived))
    return found


def kept(view: View, mesh: Governed) -> dict[str, tuple[object, ...]]:
    """The same as the mesh has it."""
    sighted = view.sighted
    slots = mesh.catalog.registry.slots
    return {
        slots[slot].key: (each.broken, each.failed, each.fair, bool(sighted.columns.conforms[slot]))
        for slot, each in sighted.standings.items()
    }


def insist(mesh: Governed, readers: Sequence[Subject] = READERS) -> None:
    """For every reader what is kept is what judging from scratch gives."""
    for reader in readers:
        with mesh.view(reader) as view:
            assert kept(view, mesh) == scratch(view, view.ruling.rules, mesh), reader


# -- the law of judging -----------------------------------------------------------------------------------------------

KEYS = ("ops.a", "people.b", "sales.d", "web.f")
RULES = tuple(
    later(Rule(name, f"sh:property [ {constraint} ]", broken=broken), "2026-03-01")
    for name, constraint, broken in (
        ("relations", "sh:path dct:relation ; sh:class dcat:Dataset", "<{k}> dct:relation <https://a.example/> ."),
        ("terms", "sh:path dct:subject ; sh:class skos:Concept", "<{k}> dct:subject <https://a.example/> ."),
        ("team", "sh:path ( dprod:dataProductOwner foaf:name ) ; sh:maxCount 1", "<team/network> foaf:name 'Other' ."),
        ("few", "sh:path ( dct:relation dct:title ) ; sh:maxCount 0", "<{k}> dct:relation <{k}/data> ."),
    )
)  # fmt: skip
"""Rules whose verdict hangs on other products, on what they say of shared nodes, and on what may be hidden."""
PIECES = (
    "<{k}> dct:relation <{o}/data> , <{k}/x> . <{k}/x> dct:relation <{o}/data> .",
    "<{k}> dct:relation <{o}> .",
    "<{k}> dct:subject <{o}/data> .",
    "<{k}> dprod:inputDataset <{o}/data> .",
    "<{k}> dct:subject <term/shared> .",
    "<{k}> dct:subject <term/shared> . <term/shared> a skos:Concept ; skos:prefLabel 'Said by {k}'@en .",
    "<{k}> dct:relation <https://ext.example/lake> .",
    "<{k}> dct:hasPart <https://ext.example/lake> . <https://ext.example/lake> a dcat:Dataset ; dct:title 'Lake'@en ;"
    " dct:description 'What all there is to know of the lake.'@en .",
    "<team/ops> foaf:name 'Ops of {k}' .",
    "<domain/sales> skos:prefLabel 'Sales of {k}'@en .",
)  # fmt: skip


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    key, other = draw(st.sampled_from(KEYS)), draw(st.sampled_from(KEYS))
    pieces = draw(st.lists(st.sampled_from(PIECES), max_size=3, unique=True))
    return product(
        key, classification=draw(st.sampled_from(["public", "internal", "confidential", "restricted"])),
        owner=draw(st.sampled_from(["ops", key.split(".")[0]])),
        sources=draw(st.sampled_from([(), (f"{other}/data",)])),
        masked=draw(st.sampled_from([(), ("pay",)])), extra="\n".join(p.format(k=key, o=other) for p in pieces),
    )  # fmt: skip


STEPS = st.lists(
    _documents() | st.sampled_from(KEYS) | st.sampled_from(["turn", "rules", "fewer"]), min_size=4, max_size=10
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    count = iter(range(10_000))
    top = tmp_path_factory.mktemp("meshes")
    return lambda: top / str(next(count))


@settings(
    max_examples=3, deadline=None, database=None, derandomize=True, phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(steps=STEPS)
def test_after_any_writes_products_stand_as_judging_from_scratch_has_it(
    folders: Callable[[], Path], steps: Sequence[bytes | str]
) -> None:
    """Registered, updated, retired, rules published and modes changed by date, in any order; and after a restart."""
    writer = Subject("writer", "service", ("producer",), domains=(*DOMAINS,), clearance="restricted")
    everything = governing.SHIPPED_FILES
    with governed(folders(), workers=1) as mesh:
        sets = {"rules": org(*RULES), "fewer": everything}
        for step in steps:
            if isinstance(step, bytes):
                mesh.catalog.register(writer, [Submission(step)], channel="http")
            elif step == "turn":
                mesh.move(90 * DAY)
            elif step in sets:
                mesh.publish(sets[step])
            elif step in mesh.catalog.registry.by_key and not mesh.catalog.registry.by_key[step].retired:
                mesh.catalog.retire(writer, BASE + step, channel="http", force=True)
            mesh.settle()
            insist(mesh, (STEWARD, SUBJECTS["public"]))
        insist(mesh)
        mesh.again()
        mesh.settle()
        insist(mesh)


# -- what brings a product to be judged again -------------------------------------------------------------------------

CLASS = Rule(
    "class", "sh:property [ sh:path dct:relation ; sh:class dcat:Dataset ]",
    broken="<{k}> dct:relation <https://a.example/> .",
)  # fmt: skip
ALL = producer(*DOMAINS)


def relating(key: str, other: str, **more: str) -> bytes:
    return product(key, extra=f"<{key}> dct:relation <{other}> .", **more)  # type: ignore[arg-type]


def test_a_product_is_judged_again_when_what_it_refers_to_appears_changes_or_is_retired(mesh: Governed) -> None:
    register(mesh.catalog, relating("sales.d", "ops.a/data"))
    mesh.publish(org(CLASS))
    mesh.settle()
    assert mesh.conforms("sales.d") is True, "what is not there is not named"
    plain = product("ops.a", extra="<ops.a/odd> dct:title 'Odd' . <ops.a> dct:relation <ops.a/data> .")
    register(mesh.catalog, plain)
    insist(mesh, (STEWARD, ANALYST))
    odd = relating("web.f", "ops.a/odd")
    outcome = mesh.catalog.register(ALL, [Submission(odd)], channel="http")[0]
    assert outcome.report is not None
    assert not outcome.report.conforms
    typed = (
        plain
        + b"\n<ops.a/odd> a dcat:Dataset ; dct:description 'Odd, and a data set by now.'@en ; \
dprod:informationSensitivityClassification c:internal ; dct:conformsTo <ops.a/data/schema> . \
<ops.a> dprod:outputDataset <ops.a/odd> ."
    )
    register(mesh.catalog, typed)
    register(mesh.catalog, odd)
    assert mesh.conforms("web.f") is True
    register(mesh.catalog, plain)
    assert mesh.conforms("web.f") is False, "what it refers to is a data set no more"
    mesh.catalog.retire(ALL, BASE + "ops.a", channel="http", force=True)
    assert mesh.conforms("web.f") is True
    insist(mesh)


NAMED = Rule(
    "named", "sh:property [ sh:path ( dct:subject skos:prefLabel ) ; sh:maxCount 1 ]",
    broken="<{k}> dct:subject <term/x> . <term/x> a skos:Concept ; skos:prefLabel 'A'@en , 'B'@fr .".replace(
        "skos:", "<http://www.w3.org/2004/02/skos/core#"
    ).replace("core#Concept", "core#Concept>").replace("core#prefLabel", "core#prefLabel>"),
)  # fmt: skip


def test_names_that_hidden_products_give_to_shared_nodes_do_not_tell_of_them(mesh: Governed) -> None:
    mesh.publish(org(NAMED))
    register(mesh.catalog, product("sales.d", term="shared"))
    assert mesh.conforms("sales.d", ANALYST) is True
    secret = product("ops.a", classification="restricted") + (
        b"\n<ops.a> dct:subject <term/shared> . <term/shared> a skos:Concept ; skos:prefLabel 'Other'@fr ."
    )
    broken = mesh.catalog.register(ALL, [Submission(secret)], channel="http")[0]
    assert not isinstance(broken.error, StorageUnavailable)
    mesh.publish(governing.SHIPPED_FILES)
    register(mesh.catalog, secret)
    mesh.publish(org(NAMED))
    mesh.settle()
    assert mesh.conforms("sales.d", STEWARD) is False
    assert mesh.conforms("sales.d", ANALYST) is True, "the other name is hidden"
    insist(mesh)


def test_more_dependents_than_are_judged_at_once_are_left_to_the_background(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "AT_ONCE", 3)
    monkeypatch.setattr(judging, "CHUNK", 2)
    many = [f"web.p{n}" for n in range(7)]
    register(mesh.catalog, product("ops.a", extra="<ops.a> dct:relation <ops.a/data> ."))
    register(mesh.catalog, *(relating(key, "ops.a/data") for key in many))
    mesh.publish(org(CLASS))
    mesh.settle()
    assert all(mesh.conforms(key) for key in many)
    mesh.catalog.retire(ALL, BASE + "ops.a", channel="http", force=True)
    mesh.settle()
    insist(mesh, (STEWARD, ANALYST))


def judged_in(mesh: Governed) -> list[tuple[str, str]]:
    """The digest and `upto` of each chunk of a pass, in order."""
    details = [entry.draft.detail for entry in mesh.entries(EntryKind.CONFORMANCE)]
    return [(detail["edition"].partition("/")[0], detail["upto"]) for detail in details if "upto" in detail]


def test_a_pass_goes_on_after_a_restart_where_it_was(mesh: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHUNK", 2)
    keys = [f"web.p{n}" for n in range(7)]
    register(mesh.catalog, *map(product, keys))
    honest, gate, asked = Bench.judge, threading.Event(), list[str]()

    def judge(self: Bench, ruling: object, questions: Sequence[Question], *rest: object) -> object:
        names = [question.product.key for question in questions]
        if not gate.is_set() and len(asked) >= 4:
            raise WorkerFailed("it is to stop here", remedy="")
        asked.extend(names)
        return honest(self, ruling, questions, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Bench, "judge", judge)
    mesh.publish(org(COST))
    digest = mesh.catalog.ruleset_digest
    until(lambda: len(judged_in(mesh)) == 2)
    assert judged_in(mesh) == [(digest, BASE + "web.p1"), (digest, BASE + "web.p3")]
    with mesh.view() as view:
        assert [bool(view.sighted.columns.conforms[mesh.catalog.registry.by_key[key].slot]) for key in keys] == [
            False
        ] * 4 + [True] * 3
    mesh.catalog.close()
    gate.set()
    asked.clear()
    mesh.open()
    mesh.settle()
    assert sorted(asked) == keys[4:], "those that were judged are not judged again"
    assert not any(mesh.conforms(key) for key in keys)
    insist(mesh, (STEWARD, ANALYST))


def test_a_product_registered_anew_while_a_pass_judges_it_keeps_its_newer_verdict(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(mesh.catalog, product("sales.d"))
    honest, inside, go = Bench.judge, threading.Event(), threading.Event()

    def judge(self: Bench, ruling: object, questions: Sequence[Question], *rest: object) -> object:
        found = honest(self, ruling, questions, *rest)  # type: ignore[arg-type]
        if not inside.is_set():
            inside.set()
            assert go.wait(60)
        return found

    monkeypatch.setattr(Bench, "judge", judge)
    mesh.publish(org(COST))
    assert inside.wait(60)
    register(mesh.catalog, product("sales.d", title="Again", extra=COST.met.format(k="sales.d")))
    go.set()
    mesh.settle()
    assert mesh.conforms("sales.d") is True
    insist(mesh, (STEWARD, ANALYST))


# -- time -------------------------------------------------------------------------------------------------------------


def changes_of(mesh: Governed) -> list[tuple[datetime, bool | None]]:
    """To the second: what is written while the clock stands still is a microsecond apart."""
    with mesh.view() as view:
        page = events(view, mesh.catalog, kinds=[EventKind.CONFORMANCE_CHANGED], domain=None, home=None, first=200,
                       after=None)  # fmt: skip
    return [(change.at.replace(microsecond=0), change.conforms) for change in page.items]


def test_a_rule_that_begins_to_gate_by_date_changes_who_conforms_on_that_day(mesh: Governed) -> None:
    mesh.publish(org(later(COST, "2026-02-01")))
    register(mesh.catalog, product("sales.d"))
    turn = START.replace(month=2, day=1, hour=0)
    mesh.move(turn - timedelta(microseconds=1))
    mesh.settle()
    assert mesh.conforms("sales.d") is True
    assert changes_of(mesh) == []
    mesh.move(turn)
    mesh.settle()
    assert mesh.conforms("sales.d") is False
    assert changes_of(mesh) == [(turn, False)]
    again = mesh.catalog.register(ALL, [Submission(product("sales.d", title="Other"))], channel="http")[0]
    assert again.error is not None


def test_a_waiver_counts_from_its_moment_to_its_end_and_the_feed_says_so(mesh: Governed) -> None:
    register(mesh.catalog, product("sales.d"))
    mesh.publish(org(COST))
    mesh.settle()
    waivers, access, rule = mesh.catalog.waivers, mesh.catalog.access, "org/acme/cost"

    def grant(end: timedelta) -> str:
        return waivers.grant(
            STEWARD, access, "sales.d", rule, reason="it is being mended", expires=START + end, channel="http"
        ).id

    mesh.move(DAY)
    grant(10 * DAY)
    assert mesh.conforms("sales.d") is True
    until(lambda: len(changes_of(mesh)) == 2)
    mesh.move(START + 10 * DAY - timedelta(microseconds=1))
    assert mesh.conforms("sales.d") is True
    mesh.move(START + 10 * DAY)
    assert mesh.conforms("sales.d") is False
    until(lambda: len(changes_of(mesh)) == 3)
    mesh.move(DAY)
    withdrawn = grant(20 * DAY)
    until(lambda: len(changes_of(mesh)) == 4)
    mesh.move(timedelta(hours=1))
    waivers.withdraw(STEWARD, mesh.catalog.access, withdrawn, channel="http")
    assert mesh.conforms("sales.d") is False
    until(lambda: len(changes_of(mesh)) == 5)
    days = [timedelta(), DAY, 10 * DAY, 11 * DAY, 11 * DAY + timedelta(hours=1)]
    told = [(START + day, conforms) for day, conforms in zip(days, [False, True] * 2 + [False], strict=True)]
    assert changes_of(mesh) == told


def test_a_waiver_that_ends_while_the_service_is_down_is_in_the_feed_when_it_is_back(mesh: Governed) -> None:
    register(mesh.catalog, product("sales.d"))
    mesh.publish(org(COST))
    mesh.settle()
    mesh.catalog.waivers.grant(
        STEWARD, mesh.catalog.access, "sales.d", "org/acme/cost", reason="it is being mended", expires=START + DAY,
        channel="http",
    )  # fmt: skip
    until(lambda: len(changes_of(mesh)) == 2)
    mesh.catalog.close()
    mesh.move(2 * DAY)
    mesh.open()
    until(lambda: len(changes_of(mesh)) == 3)
    assert changes_of(mesh)[-1] == (START + 2 * DAY, False)


class Disk:
    """Refuses, while `full`, every verdict of the journal, before it is stored or before it is shown."""

    def __init__(self, patch: pytest.MonkeyPatch, *, stores: bool) -> None:
        self.full, self.refused = False, threading.Event()
        record, apply = Storage.record, Storage._apply

        def refuse(kind: EntryKind) -> None:
            if self.full and kind is EntryKind.CONFORMANCE:
                self.refused.set()
                raise StorageUnavailable("the disk is full", remedy="")

        def recorded(storage: Storage, draft: Draft, then: Callable[[Entry], None]) -> None:
            refuse(draft.kind)
            record(storage, draft, then)

        def applied(storage: Storage, entry: Entry) -> None:
            refuse(entry.draft.kind)
            apply(storage, entry)

        if stores:
            patch.setattr(Storage, "_apply", applied)
        else:
            patch.setattr(Storage, "record", recorded)


@pytest.mark.parametrize("stores", [False, True], ids=["not stored", "stored but not shown"])
def test_what_a_waiver_changed_is_told_once_although_the_disk_refused_it_at_first(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch, stores: bool
) -> None:
    register(mesh.catalog, product("sales.d"))
    mesh.publish(org(COST))
    mesh.settle()
    mesh.catalog.waivers.grant(
        STEWARD, mesh.catalog.access, "sales.d", "org/acme/cost", reason="it is being mended", expires=START + DAY,
        channel="http",
    )  # fmt: skip
    disk = Disk(monkeypatch, stores=stores)
    disk.full = True
    mesh.move(2 * DAY)
    assert disk.refused.wait(60)
    disk.full = False
    register(mesh.catalog, product("web.f", extra=COST.met.format(k="web.f")))  # shows what is stored
    until(lambda: len(changes_of(mesh)) == 3)
    mesh.again()
    mesh.catalog.judge.note_waivers()
    assert changes_of(mesh)[2:] == [(START + 2 * DAY, False)]


def test_no_verdict_is_journaled_before_what_a_waiver_changed_until_then(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start takes all that was changed by waivers until the last verdict for told."""
    register(mesh.catalog, product("sales.d"), product("web.f"))
    mesh.publish(org(COST))
    mesh.settle()
    mesh.catalog.waivers.grant(
        STEWARD, mesh.catalog.access, "sales.d", "org/acme/cost", reason="it is being mended", expires=START + DAY,
        channel="http",
    )  # fmt: skip
    monkeypatch.setattr(judging.Judge, "note_waivers", lambda self: None)  # the background does not come to it
    mesh.move(2 * DAY)
    mesh.publish(governing.SHIPPED_FILES)
    mesh.settle()
    assert [conforms for _, conforms in changes_of(mesh)][3:] == [False, True, True]


def test_a_verdict_that_is_stored_but_could_not_be_shown_is_told_once(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(mesh.catalog, product("sales.d"))
    disk = Disk(monkeypatch, stores=True)
    disk.full = True
    mesh.publish(org(COST))
    assert disk.refused.wait(60)
    disk.full = False
    mesh.settle()
    mesh.catalog.judge.step()  # waits for the step that is under way
    assert [conforms for _, conforms in changes_of(mesh)] == [False]
