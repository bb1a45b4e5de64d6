"""Rule sets for tests, with examples that fit, and a mesh whose clock a test moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samples import STEWARD

from fairmesh.catalog import Catalog, Settings, View
from fairmesh.catalog.model import Entry, EntryKind, Subject
from fairmesh.catalog.rulefiles import SHIPPED, read_rules
from fairmesh.catalog.ruling import RulesPublished

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_HEAD = """@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix dprod: <https://ekgf.github.io/dprod/> .
@prefix csvw: <http://www.w3.org/ns/csvw#> .
@prefix fm: <https://w3id.org/fairmesh/ns#> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
"""


@dataclass(frozen=True)
class Rule:
    """A rule on products. `met` states what meets it, `broken` what breaks it, of a product `{k}`."""

    name: str
    constraint: str
    met: str = ""
    broken: str = ""
    mode: str = "gate"
    then: tuple[str, str] | None = None
    """The next mode, and the day on which it begins."""

    def text(self, level: str) -> str:
        turn = f' ; fm:nextMode fm:{self.then[0]} ; fm:nextModeFrom "{self.then[1]}"^^xsd:date' if self.then else ""
        return f"""<https://w3id.org/fairmesh/rules/{level}/{self.name}> a sh:NodeShape ; fm:mode fm:{self.mode}{turn} ;
  rdfs:label "{self.name.title()}"@en ; rdfs:comment "To be governed by in tests."@en ;
  dct:creator "tests" ; dct:issued "2025-01-01"^^xsd:date ; sh:targetClass dprod:DataProduct ;
  {self.constraint} ; sh:message "Meet the rule {self.name}."@en .
"""


COST = Rule(
    "cost", "sh:property [ sh:path dct:accrualMethod ; sh:minCount 1 ]",
    met="<{k}> dct:accrualMethod <https://acme.example/cost/1> .",
)  # fmt: skip
SPATIAL = Rule(
    "spatial", "sh:property [ sh:path dct:coverage ; sh:maxCount 0 ]",
    broken="<{k}> dct:coverage <https://acme.example/place/1> .",
)  # fmt: skip
SHIPPED_FILES = {**read_rules(SHIPPED).files, **read_rules(SHIPPED).examples}


_EXAMPLE = (SHIPPED / "core" / "examples" / "ok-04-one-long-enough.ttl").read_text()


def rule_files(*rules: Rule, level: str = "org/acme") -> dict[str, bytes]:
    """The files of a level that has these rules, with examples. A domain's are of `mobility`."""
    key = "mobility.stops"
    met = {rule.name: rule.met.format(k=key) for rule in rules}

    def example(*extra: str) -> bytes:
        return "\n".join([_EXAMPLE, *extra]).encode()

    files = {
        f"{level}/shapes.ttl": (_HEAD + "".join(rule.text(level) for rule in rules)).encode(),
        f"{level}/examples/ok-all.ttl": example(*met.values()),
    }
    for rule in rules:
        others = [text for name, text in met.items() if name != rule.name]
        files[f"{level}/examples/bad-{rule.name}-so.ttl"] = example(*others, rule.broken.format(k=key))
    return files


def org(*rules: Rule) -> dict[str, bytes]:
    """The rules that ship, and these of an organisation."""
    return {**SHIPPED_FILES, **rule_files(*rules)}


def later(rule: Rule, day: str, mode: str = "gate") -> Rule:
    """The same rule, which warns until a day."""
    return replace(rule, mode="warn", then=(mode, day))


def until(done: Callable[[], object], seconds: float = 60) -> None:
    """Wait for what other threads or processes do; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.005)


@dataclass
class Governed:
    """A mesh on disk with a clock that the test moves."""

    folder: Path
    now: list[datetime] = field(default_factory=lambda: [START])
    options: Mapping[str, object] = field(default_factory=dict)

    def open(self) -> Catalog:
        asked = {"data": self.folder, "workers": 2, "decision_log": "off", **self.options}
        self.catalog = Catalog.open(Settings.read(asked, environment={}), clock=lambda: self.now[0])
        return self.catalog

    def again(self) -> Catalog:
        """Stop and start."""
        self.catalog.close()
        return self.open()

    def move(self, to: datetime | timedelta) -> None:
        self.now[0] = to if isinstance(to, datetime) else self.now[0] + to

    def publish(
        self, files: Mapping[str, bytes], subject: Subject = STEWARD, *, domain: str | None = None,
        dry_run: bool = False, allow_removing: bool = True,
    ) -> RulesPublished:  # fmt: skip
        return self.catalog.rule_publishing.publish(
            subject, files, self.catalog.access, channel="http", domain=domain, dry_run=dry_run,
            allow_removing=allow_removing,
        )  # fmt: skip

    def settle(self) -> None:
        """Wait until every product is judged by the rules and the day in force."""

        def settled() -> bool:
            with self.catalog.storage.reading.shared():
                live = list(self.catalog.registry.live())
                progress = self.catalog.judge.progress(live)
            return progress.done == progress.total and not self.catalog.judge.waiting

        until(settled)

    @contextmanager
    def view(self, subject: Subject = STEWARD) -> Iterator[View]:
        with self.catalog.view(subject, channel="http") as view:
            yield view

    def entries(self, *kinds: EntryKind) -> list[Entry]:
        return list(self.catalog.journal.entries(kinds=kinds))

    def conforms(self, key: str, subject: Subject = STEWARD) -> bool | None:
        """What facets say of a product: None when nothing is said to the subject."""
        with self.view(subject) as view:
            mark = int(view.sighted.columns.conforms[self.catalog.registry.by_key[key].slot])
        return None if mark < 0 else bool(mark)


@contextmanager
def governed(folder: Path, **options: object) -> Iterator[Governed]:
    made = Governed(folder, options=options)
    made.open()
    try:
        yield made
    finally:
        made.catalog.close()
