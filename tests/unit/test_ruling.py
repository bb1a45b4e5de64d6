"""Rule sets while a mesh runs: what is refused and what stays, what takes effect when, and which was in force when."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from governing import COST, DAY, SHIPPED_FILES, SPATIAL, START, Governed, Rule, governed, later, org, rule_files
from samples import ANALYST, BASE, STEWARD, producer, product, register

from fairmesh.catalog.errors import Forbidden, InputError, NotConforming, StorageUnavailable, TooLarge
from fairmesh.catalog.governance import Validator
from fairmesh.catalog.journal import Journal
from fairmesh.catalog.model import EntryKind, PageRequest, SearchOrder, Submission
from fairmesh.catalog.rdf import TURTLE, Triple, parse
from fairmesh.catalog.ruling import RULE_FILES, RefusedRules, RemovedTerms, RemovesRules, RulesPublished, Ruling

SALES = producer("sales")
MOBILITY = producer("mobility")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Governed]:
    with governed(tmp_path / "data") as made:
        yield made


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    """A mesh whose rules nobody replaces."""
    with governed(tmp_path_factory.mktemp("kept") / "data") as made:
        yield made


def digest(mesh: Governed) -> str:
    return mesh.catalog.ruleset_digest


def test_a_set_that_is_published_takes_effect_at_once_and_is_journaled_with_author_and_time(mesh: Governed) -> None:
    before = digest(mesh)
    mesh.move(DAY)
    done = mesh.publish(org(COST))
    assert (done.change, done.digest) == ("published", digest(mesh))
    entry = mesh.entries(EntryKind.RULES)[-1].draft
    assert (entry.actor, entry.at, entry.ruleset) == (STEWARD.id, START + DAY, before)
    assert (entry.detail["digest"], entry.detail["source"]) == (digest(mesh), "published")
    (refused,) = mesh.catalog.register(SALES, [Submission(product("sales.d"))], channel="http")
    assert isinstance(refused.error, NotConforming)
    register(mesh.catalog, product("sales.d", extra=COST.met.format(k="sales.d")))


def test_who_may_publish_is_for_policy_to_say(kept: Governed) -> None:
    for subject in (ANALYST, SALES):
        with pytest.raises(Forbidden, match="publishing rules needs the govern action on the whole rule set") as denied:
            kept.publish(org(COST), subject)
        assert "name the domain" in denied.value.remedy
    with pytest.raises(Forbidden, match="needs the govern action on those of the domain ops") as denied:
        kept.publish({}, SALES, domain="ops")
    assert denied.value.remedy == "Ask the mesh's stewards"
    assert len(kept.entries(EntryKind.RULES)) == 1, "the folder's"


def test_with_a_domain_its_files_alone_are_replaced(mesh: Governed) -> None:
    files = rule_files(COST, level="domains/mobility")
    with pytest.raises(InputError, match="not a file of the domain"):
        mesh.publish({**files, **rule_files(COST)}, domain="mobility")
    done = mesh.publish(files, domain="mobility")
    assert done.change == "published"
    there = mesh.catalog.rulings.current.version
    assert there.domain == "mobility"
    assert {**SHIPPED_FILES, **files} == dict(there.files)
    register(mesh.catalog, product("sales.d"))
    mesh.publish({}, domain="mobility")
    assert dict(mesh.catalog.rulings.current.version.files) == SHIPPED_FILES


def test_an_organisation_publishes_its_own_rules_and_keeps_the_core(mesh: Governed) -> None:
    mesh.publish(rule_files(COST))
    files = mesh.catalog.rulings.current.version.files
    assert files["core/shapes.ttl"] == SHIPPED_FILES["core/shapes.ttl"]
    assert "domains/sales/shapes.ttl" not in files


def test_a_set_without_rules_in_force_is_refused_and_names_them_unless_that_is_meant(mesh: Governed) -> None:
    mesh.publish(rule_files(COST, level="domains/mobility"), domain="mobility")
    before = digest(mesh)
    for dry_run in (False, True):
        with pytest.raises(RemovesRules, match="domains/mobility/cost") as refused:
            mesh.publish(org(COST), dry_run=dry_run, allow_removing=False)
        assert [(c.rule, c.before, c.after) for c in refused.value.changes] == [
            ("domains/mobility/cost", "gate", None), ("org/acme/cost", None, "gate"),
        ]  # fmt: skip
    with pytest.raises(RemovesRules, match="1 rule in force: domains/mobility/cost"):
        mesh.publish({}, domain="mobility", allow_removing=False)
    assert digest(mesh) == before
    done = mesh.publish(org(COST), allow_removing=True)
    assert (done.change, done.changes) == ("published", refused.value.changes)


def test_a_set_without_vocabulary_in_force_is_refused_and_names_its_terms_unless_that_is_meant(mesh: Governed) -> None:
    place, terms = "domains/mobility/vocabulary.ttl", ("https://mobility.example/line", "https://mobility.example/stop")

    def words(*names: str) -> dict[str, bytes]:
        text = "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .\n"
        labels = (f'<https://mobility.example/{n.lower()}> rdfs:label "{n}"@en .\n' for n in names)
        return {place: "".join([text, *labels]).encode()}

    rules = rule_files(COST, level="domains/mobility")
    mesh.publish({**rules, **words("Line", "Stop")}, domain="mobility")
    before = digest(mesh)
    for files, domain, lost in (
        (rules, "mobility", terms), ({**rules, **words("Stop")}, "mobility", terms[:1]),
        ({**SHIPPED_FILES, **rules}, None, terms),
    ):  # fmt: skip
        for dry_run in (False, True):
            with pytest.raises(RemovesRules) as refused:
                mesh.publish(files, domain=domain, dry_run=dry_run, allow_removing=False)
            assert refused.value.changes == ()
            assert refused.value.removed_terms == (RemovedTerms("domains/mobility", lost),)
            assert f"<{lost[0]}> (domains/mobility)" in refused.value.message
    with pytest.raises(RemovesRules, match="1 rule in force: domains/mobility/cost; and 2 vocabulary terms in"):
        mesh.publish({}, domain="mobility", allow_removing=False)
    assert digest(mesh) == before
    reworded = {place: words("Line", "Stop")[place].replace(b'"Stop"', b'"Halt"')}
    assert mesh.publish({**rules, **reworded}, domain="mobility", allow_removing=False).removed_terms == ()
    done = mesh.publish(rules, domain="mobility", allow_removing=True)
    assert (done.change, done.removed_terms) == ("published", (RemovedTerms("domains/mobility", terms),))


def test_what_changes_is_told_rule_by_rule_however_the_file_is_written(mesh: Governed) -> None:
    def becomes(*rules: Rule, head: bytes = b"") -> list[tuple[str, str | None, str | None]]:
        files = org(*rules)
        files["org/acme/shapes.ttl"] = head + files["org/acme/shapes.ttl"]
        done = mesh.publish(files, allow_removing=False)
        return [(change.rule.removeprefix("org/acme/"), change.before, change.after) for change in done.changes]

    assert becomes(SPATIAL) == [("spatial", None, "gate")]
    assert becomes(COST, SPATIAL) == [("cost", None, "gate")], "blank nodes of the other rule are counted on"
    assert becomes(COST, SPATIAL, head=b"# a remark\n") == []
    assert becomes(later(COST, "2027-01-01"), SPATIAL) == [("cost", "gate", "warn, gate from 2027-01-01")]
    stricter = replace(SPATIAL, constraint=SPATIAL.constraint.replace("]", "; sh:nodeKind sh:IRI ]"))
    assert becomes(later(COST, "2027-01-01"), stricter) == [("spatial", "gate", "gate")]


def broken_sets() -> dict[str, dict[str, bytes]]:
    good = rule_files(COST)
    shapes = good["org/acme/shapes.ttl"]
    return {
        "no Turtle": {**good, "org/acme/shapes.ttl": b"acme:cost a"},
        "does not lint": {**good, "org/acme/shapes.ttl": shapes.replace(b"sh:minCount 1", b"sh:minCount 'one'")},
        "no bad example": {k: v for k, v in good.items() if "bad-" not in k},
        "ok example breaks": {**good, "org/acme/examples/ok-all.ttl": good["org/acme/examples/bad-cost-so.ttl"]},
        "bad example passes": {**good, "org/acme/examples/bad-cost-so.ttl": good["org/acme/examples/ok-all.ttl"]},
        "foreign file": {**good, "org/acme/run.sh": b"true"},
        "no UTF-8": {**good, "org/acme/vocabulary.ttl": b"\xff"},
    }


@pytest.mark.parametrize("what", broken_sets())
def test_a_set_that_cannot_be_used_is_refused_and_the_one_in_force_stays(kept: Governed, what: str) -> None:
    before, count = digest(kept), len(kept.entries(EntryKind.RULES))
    with pytest.raises(InputError) as refused:
        kept.publish({**SHIPPED_FILES, **broken_sets()[what]})
    assert refused.value.remedy
    assert (digest(kept), len(kept.entries(EntryKind.RULES))) == (before, count)
    register(kept.catalog, product("sales.d"))


def test_too_many_files_are_refused(kept: Governed) -> None:
    with pytest.raises(TooLarge):
        kept.publish({f"core/examples/ok-{n}.ttl": b"" for n in range(RULE_FILES.max_files + 1)})


def test_a_refusal_names_every_problem(kept: Governed) -> None:
    files = rule_files(COST, SPATIAL)
    files = {k: v for k, v in files.items() if "bad-" not in k}
    with pytest.raises(RefusedRules) as refused:
        kept.publish({**SHIPPED_FILES, **files})
    told = " ".join(f"{problem.what} {problem.iri}" for problem in refused.value.problems if problem.error)
    assert "cost" in told
    assert "spatial" in told


def test_the_same_set_changes_nothing_and_a_dry_run_neither(mesh: Governed) -> None:
    assert mesh.publish(SHIPPED_FILES).change == "unchanged"
    trial = mesh.publish(org(COST), dry_run=True)
    assert (trial.change, len(mesh.entries(EntryKind.RULES))) == ("publishable", 1)
    assert mesh.publish(org(COST)).digest == trial.digest


def stated(turtle: bytes) -> list[Triple]:
    return [quad.triple for quad in parse(turtle, TURTLE, iri_base=BASE).quads]


def test_shapes_take_the_place_of_those_of_the_level_that_they_name_rules_of(mesh: Governed) -> None:
    publishing = mesh.catalog.rule_publishing
    mesh.publish(org(COST))
    files = publishing.with_shapes(stated(rule_files(SPATIAL)["org/acme/shapes.ttl"]))
    assert b"coverage" in files["org/acme/shapes.ttl"]
    assert b"accrualMethod" not in files["org/acme/shapes.ttl"]
    assert files["core/shapes.ttl"] == SHIPPED_FILES["core/shapes.ttl"]
    both = rule_files(SPATIAL)["org/acme/shapes.ttl"] + SPATIAL.text("org/other").encode()
    for shapes, message in ((b"", "no level"), (both, "several levels")):
        with pytest.raises(InputError, match=message):
            publishing.with_shapes(stated(shapes))


def test_what_is_published_stays_after_a_restart_until_the_folder_changes(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    for path, body in SHIPPED_FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    with governed(tmp_path / "data", governance=folder) as mesh:
        mesh.publish(org(COST))
        published = digest(mesh)
        mesh.again()
        assert (digest(mesh), mesh.catalog.rulings.current.version.source) == (published, "published")
        for path, body in rule_files(SPATIAL).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
        mesh.again()
        assert mesh.catalog.rulings.current.version.source == "folder"
        taken = digest(mesh)
        assert taken not in (published, mesh.entries(EntryKind.RULES)[0].draft.detail["digest"])
        mesh.publish(org(COST))
        mesh.again()
        assert digest(mesh) == published, "the folder is what it was"


def test_which_set_was_in_force_when_is_known_for_good(mesh: Governed) -> None:
    first = digest(mesh)
    mesh.move(DAY)
    second = mesh.publish(org(COST)).digest
    mesh.move(DAY)
    third = mesh.publish(org(SPATIAL)).digest
    for _ in range(2):
        rulings = mesh.catalog.rulings
        assert rulings.versions.in_force(START - DAY) is None
        at = [START + DAY * n + DAY / 1000 for n in (0, 0.5, 1, 1.5, 2, 3)]
        found = [rulings.versions.in_force(each) for each in at]
        assert [each and each.digest for each in found] == [first, first, second, second, third, third]
        known = [rulings.known(each) for each in (first, second, third)]
        assert [each and each.digest for each in known] == [first, second, third]
        assert rulings.known("0" * 64) is None
        mesh.again()


def test_a_set_of_the_past_is_one_for_all_who_judge_by_it_at_a_time(mesh: Governed) -> None:
    first = digest(mesh)
    second = mesh.publish(org(COST)).digest
    mesh.publish(org(SPATIAL))
    rulings, together = mesh.catalog.rulings, threading.Barrier(4)

    def ask(number: int) -> Ruling | None:
        together.wait(60)
        return rulings.known((first, second)[number % 2])

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(ask, range(4)))
    assert len({id(ruling) for ruling in found}) == 2
    held = rulings.known(first)
    assert held is not None
    held.validator.start()
    del found
    assert rulings.known(second) is not None, "it is held now in the place of the first"
    assert rulings.known(first) is held
    assert held.validator.judge_many([], iri_base=BASE, now=mesh.now[0]) == []


def test_what_was_judged_by_a_set_that_is_replaced_is_judged_again_before_it_is_stored(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, judged, go = Validator.validate, threading.Event(), threading.Event()

    def validate(self: Validator, *args: object, **kwargs: object) -> object:
        report = honest(self, *args, **kwargs)  # type: ignore[arg-type]
        if not judged.is_set():
            judged.set()
            assert go.wait(60)
        return report

    monkeypatch.setattr(Validator, "validate", validate)
    found = []
    writer = threading.Thread(
        target=lambda: found.extend(mesh.catalog.register(SALES, [Submission(product("sales.d"))], channel="http"))
    )
    writer.start()
    assert judged.wait(60)
    mesh.publish(org(COST))
    go.set()
    writer.join(60)
    (outcome,) = found
    assert isinstance(outcome.error, NotConforming)
    assert outcome.report is not None
    assert outcome.report.ruleset == digest(mesh)
    assert mesh.entries(EntryKind.REGISTER) == []


def test_what_was_judged_on_the_day_before_a_rule_gates_is_judged_again_before_it_is_stored(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh.publish(org(replace(COST, mode="warn", then=("gate", "2026-01-02"))))
    honest = Validator.validate

    def validate(self: Validator, *args: object, **kwargs: object) -> object:
        report = honest(self, *args, **kwargs)  # type: ignore[arg-type]
        mesh.move(START + DAY)
        return report

    monkeypatch.setattr(Validator, "validate", validate)
    (outcome,) = mesh.catalog.register(SALES, [Submission(product("sales.d"))], channel="http")
    assert isinstance(outcome.error, NotConforming)


def test_a_disk_that_refuses_leaves_the_rules_as_they_are(mesh: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(mesh)

    def refuse(*_: object) -> None:
        raise StorageUnavailable("disk full", remedy="")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        with pytest.raises(StorageUnavailable):
            mesh.publish(org(COST))
    assert digest(mesh) == before
    register(mesh.catalog, product("sales.d"))
    assert mesh.publish(org(COST)).change == "published"


def test_who_publishes_meanwhile_waits_and_replaces_what_is_in_force_then(
    mesh: Governed, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go = threading.Event(), threading.Event()
    honest = Validator.start

    def start(self: Validator) -> None:
        inside.set()
        assert go.wait(120)
        honest(self)

    monkeypatch.setattr(Validator, "start", start)
    first = threading.Thread(target=lambda: mesh.publish(org(COST)))
    first.start()
    assert inside.wait(60)
    another = replace(STEWARD, id="another-steward")
    found: list[RulesPublished] = []
    second = threading.Thread(target=lambda: found.append(mesh.publish(org(SPATIAL), another)))
    second.start()
    with pytest.raises(Forbidden):
        mesh.publish(org(SPATIAL), ANALYST)
    assert mesh.publish(org(SPATIAL), replace(STEWARD, id="a-third"), dry_run=True).change == "publishable"
    assert len(mesh.entries(EntryKind.RULES)) == 1
    go.set()
    for thread in (first, second):
        thread.join(120)
    assert [entry.draft.actor for entry in mesh.entries(EntryKind.RULES)][1:] == [STEWARD.id, another.id]
    (published,) = found
    assert [(change.rule, change.after) for change in published.changes if change.before] == [("org/acme/cost", None)]


def vocabulary(label: str) -> dict[str, bytes]:
    """An organisation's words for a domain."""
    text = f"""@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<{BASE}domain/sales> a skos:Concept ; skos:prefLabel "{label}"@en .
"""
    return {**org(COST), "org/acme/vocabulary.ttl": text.encode()}


def test_a_vocabulary_that_names_a_domain_anew_is_searched_by_at_once(mesh: Governed) -> None:
    register(mesh.catalog, product("sales.d"), product("ops.a"))

    def hits(text: str) -> list[str]:
        with mesh.view() as view:
            found = view.search(
                text, types=None, filter=None, order=SearchOrder.RELEVANCE, langs=None, page=PageRequest(first=9)
            )
            return [hit.iri.removeprefix(BASE) for hit in found.page.items]

    assert hits("marketplace") == []
    mesh.publish(vocabulary("Marketplace"))
    assert hits("marketplace") == ["sales.d"]
    mesh.publish(vocabulary("Bazaar"))
    assert (hits("marketplace"), hits("bazaar")) == ([], ["sales.d"])
    mesh.settle()
    running = mesh.catalog.search.digest(), mesh.catalog.graph.digest()
    mesh.again()
    assert (mesh.catalog.search.digest(), mesh.catalog.graph.digest()) == running
    assert hits("bazaar") == ["sales.d"]
