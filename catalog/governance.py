"""Rule sets: load, lint, compose (core + organisation + domain), validate one document -> `model.Report`.

Rules are SHACL (W3C Recommendation of 2017-07-20), Core and SPARQL. A rule is one targeted `sh:NodeShape` with
`fm:mode`; a rule set is a folder with `core/`, and where wanted `org/<org>/` and `domains/<domain>/`, each with
`shapes.ttl` and `vocabulary.ttl`. What SHACL cannot say well (the tail of an IRI, the order of two dates, duplicates)
is computed and stated with `fm:computed...` terms before the rules run. Rules run on one of two engines: see `ENGINES`.
"""

from __future__ import annotations

import functools
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fairmesh.catalog import computed, rdf
from fairmesh.catalog.computed import Index
from fairmesh.catalog.document import own_nodes
from fairmesh.catalog.errors import ConfigError, InputError, WorkerFailed
from fairmesh.catalog.fair import Register, Scores, score
from fairmesh.catalog.model import LIVE_STATUSES, STATUS, Finding, Report, Severity
from fairmesh.catalog.rdf import Literal, NamedNode, Triple
from fairmesh.catalog.rulefiles import (
    SHIPPED,
    Level,
    Rule,
    Schedule,
    digest_of,
    messages_of,
    read_levels,
    read_rules,
    references,
    refusal,
    rules_of,
    schedule_of,
)
from fairmesh.catalog.rulelint import checked_rules
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.results import Engine, Node, Result, Term, Unsupported
from fairmesh.catalog.workers import Pool

ENGINES = ("compiled", "pyshacl")
"""The engines that rules can run on: ours, and the reference. Both find the same."""
TIMEOUT = 20.0
"""Seconds a validation may take before its process is stopped."""

_SH = rdf.PREFIXES["sh"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_SUBCLASS = rdf.PREFIXES["rdfs"] + "subClassOf"


# -- rule sets --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Uncompiled:
    """A construct that the compiled engine does not implement: all rules in force for `domain` run on pyshacl.

    `domain` is None for the domains without rules of their own. `rule` is None when no rule leads to the shape.
    """

    domain: str | None
    construct: str
    shape: str
    rule: Rule | None

    def __str__(self) -> str:
        place = self.shape if self.rule is None else f"rule {self.rule.id} ({self.rule.file}:{self.rule.line})"
        whose = "domains without rules of their own" if self.domain is None else f"the domain {self.domain}"
        return f"{self.construct} in {place} is not compiled: the rules of {whose} run on pyshacl, which is slower"


class RuleSet:
    """An immutable rule set that passed the lint: here, or before where `linted` says so.

    `digest` is a SHA-256 over the paths and bytes of its `.ttl` files. `files` maps paths such as `core/shapes.ttl` to
    their bytes: all that is needed to build it again. `engine` is one of `ENGINES`. `unsupported` says where `compiled`
    was asked for and pyshacl runs. `turns` are the days, in order, on which the mode of a rule or of a part of one
    changes.
    """

    def __init__(self, files: Mapping[str, bytes], engine: str = "compiled", *, linted: bool = False) -> None:
        """Raises `InputError` (code `rule-set`) with file, line where known, and remedy; `ConfigError` for `engine`.

        `linted`: the files passed the lint before, that of their day, and are not linted again.
        """
        if engine not in ENGINES:
            raise ConfigError(f"there is no engine {engine}", remedy=f"Use {' or '.join(ENGINES)}")
        self.files: Mapping[str, bytes] = dict(sorted(files.items()))
        self.engine = engine
        self.digest = digest_of(self.files)
        self._levels = read_levels(self.files)
        if linted:
            self.rules = tuple(rule for level in self._levels for rule in rules_of(level, self.files))
        else:
            self.rules = tuple(checked_rules(self._levels, self.files))
        domains = dict.fromkeys([None, *(level.domain for level in self._levels)])
        self._composed = {domain: _Composed(self, domain) for domain in domains}
        self.turns = tuple(sorted({day for composed in self._composed.values() for day in composed.turns}))
        self.unsupported = tuple(c.uncompiled for c in self._composed.values() if c.uncompiled is not None)

    @classmethod
    def load(cls, place: Path = SHIPPED, engine: str = "compiled") -> RuleSet:
        """Read a folder or a bundle, see `read_rules`. Raises as the constructor."""
        return cls(read_rules(place).files, engine)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(RuleSet, linted=True), (dict(self.files), self.engine)

    def levels(self, domain: str | None) -> list[Level]:
        """The levels in force for a domain: core, every organisation level, the domain's own."""
        return [level for level in self._levels if level.domain is None or level.domain == domain]

    def vocabulary(self, domain: str | None = None) -> list[Triple]:
        """The vocabulary statements in force for a domain; those of all levels when None."""
        levels = self._levels if domain is None else self.levels(domain)
        return [triple for level in levels for triple in level.vocabulary]

    def rule(self, iri: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.iri == iri), None)

    def rdf(self, rule_iri: str, media_type: str) -> bytes:
        """The statements of `triples`, written."""
        return rdf.serialize(self.triples(rule_iri), media_type)

    @functools.cached_property
    def register(self) -> Register:
        """The vocabularies that count as FAIR ones."""
        return Register.of(self.vocabulary())

    @functools.cached_property
    def _shapes(self) -> Index:
        return Index(triple for level in self._levels for triple in level.shapes)

    def triples(self, rule_iri: str) -> list[Triple]:
        """The rule's own statements: its node shape and what only its shapes lead to. Empty for an unknown rule."""
        index = self._shapes
        found: list[Triple] = []
        others = {rule.iri for rule in self.rules} - {rule_iri}
        waiting: list[Term] = [NamedNode(rule_iri)]
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            for predicate, values in index.subjects.get(node, {}).items():
                for value in values:
                    found.append(Triple(node, NamedNode(predicate), value))  # type: ignore[arg-type]
                    if not isinstance(value, Literal) and value not in seen and rdf.iri_of(value) not in others:
                        seen.add(value)
                        waiting.append(value)
        return found

    def composed(self, domain: str | None) -> _Composed:
        """The rules in force for a domain, ready to run. A domain without rules of its own shares core's."""
        return self._composed.get(domain) or self._composed[None]


# -- running ----------------------------------------------------------------------------------------------------------


def engine_for(
    name: str, shapes: Sequence[Triple], background: Sequence[Triple], ignored: Collection[str] = ()
) -> Engine:
    """An engine of `ENGINES`, ready for these shapes; see `Engine` for the arguments.

    Raises `InputError` for ill-formed shapes, `Unsupported` when the engine does not implement them.
    """
    if name == "compiled":
        return Compiled(shapes, background, ignored)
    from fairmesh.catalog.shacl.reference import Reference  # takes longer to load than all the rest

    return Reference(shapes, background, ignored)


def conformance(data: Sequence[Triple], shapes: Sequence[Triple], engine: str = "compiled") -> tuple[Result, ...]:
    """All results of plain SHACL validation, for conformance suites: no lint, no modes, every focus node.

    Raises `InputError` for shapes that the engine calls ill-formed or fails on, and `Unsupported`.
    """
    outcome = engine_for(engine, shapes, ()).run(data)
    if outcome.failed:
        raise InputError(
            f"the shapes cannot be used: {outcome.failed[0].reason}", remedy="Correct them", code="rule-set"
        )
    return outcome.results


@dataclass(frozen=True, slots=True)
class _Attribution:
    """What a finding takes from the shape it came from, or from the nearest shape above it that says it."""

    schedule: Schedule
    messages: tuple[tuple[str, str], ...]


class _Composed:
    """The rules in force for one domain, with an engine that is made ready for them."""

    def __init__(self, ruleset: RuleSet, domain: str | None) -> None:
        levels = ruleset.levels(domain)
        shapes = [triple for level in levels for triple in level.shapes]
        index = Index(shapes)
        self.rules: dict[Node, Rule] = {NamedNode(r.iri): r for r in ruleset.rules if r.domain in (None, domain)}
        self.attribution: dict[tuple[Node, Term], _Attribution] = {
            (root, shape): attribution
            for root, rule in self.rules.items()
            for shape, attribution in _attributions(index, root, _Attribution(rule.schedule, rule.messages))
        }
        self.turns = {a.schedule.next_from for a in self.attribution.values() if a.schedule.next_from is not None}
        self.risky = _risky(index, self.attribution, self.rules)
        self.lock = threading.Lock()
        """Held while the engine runs: it serves one thread at a time."""
        self.uncompiled: Uncompiled | None = None
        vocabulary = [triple for level in levels for triple in level.vocabulary]
        try:
            try:
                self.engine = engine_for(ruleset.engine, shapes, vocabulary, computed.PREDICATES)
            except Unsupported as error:
                if ruleset.engine != "compiled":
                    raise InputError(
                        f"{error.construct} is not implemented",
                        remedy="Say it in another way",
                        iri=rdf.iri_of(error.shape),
                    ) from error
                self.uncompiled = Uncompiled(domain, error.construct, str(error.shape), self.rule_of(error.shape))
                self.engine = engine_for("pyshacl", shapes, vocabulary, computed.PREDICATES)
        except InputError as error:
            raise self._unusable(error, levels) from error

    def chosen(self, terms: _Terms) -> tuple[Collection[Node], tuple[str, ...]]:
        """The rules to run, and the ids of those that are not checked without the mesh."""
        if not terms.offline and not terms.without and terms.only is None:
            return self.rules.keys(), ()
        skipped = {rule.id for rule in self.rules.values() if terms.offline and rule.needs_mesh}
        left_out = skipped | terms.without
        roots = [root for root, rule in self.rules.items() if rule.id not in left_out and terms.only in (None, rule.id)]
        return roots, tuple(sorted(skipped))

    def _unusable(self, error: InputError, levels: Sequence[Level]) -> InputError:
        """The refusal of an engine, with the file and the rule it is about."""
        rule = None if error.iri is None else self.rule_of(NamedNode(error.iri))
        place = levels[-1].name + "/shapes.ttl" if rule is None else f"{rule.file}: rule {rule.id}"
        what = f"SHACL refuses it: {error.message.rstrip('.')}"
        return refusal(place, what, error.remedy, line=rule.line if rule else None, iri=error.iri)

    def rule_of(self, shape: Node) -> Rule | None:
        """A rule whose shape this is, or a part of one."""
        roots = [root for root, part in self.attribution if part == shape]
        return self.rules.get(shape) or (self.rules[roots[0]] if roots else None)

    def findings(self, result: Result, day: date, live: bool, sources: computed.Sources) -> Iterator[Finding]:
        """One finding; for a result about computed statements one for each statement they came from."""
        rule, attribution = self.rules[result.root], self.attribution[result.root, result.shape]
        own = tuple(sorted((m.language or "", m.value) for m in result.messages))
        focus = rdf.iri_of(result.focus) or str(result.focus)
        value = None if result.value is None else str(result.value)
        places = [(result.path, value)]
        if result.path is not None and computed.PREFIX in result.path:
            places = list(sources.behind(result.path, value, focus)) or places
        for path, value in places:
            yield Finding(
                rule.id, rule.iri, attribution.schedule.at(day).severity(live=live), own or attribution.messages,
                focus, path, value, result.component,
            )  # fmt: skip


def _attributions(index: Index, shape: Term, inherited: _Attribution) -> Iterator[tuple[Term, _Attribution]]:
    here = _Attribution(
        schedule_of(index, shape) or inherited.schedule, messages_of(index, shape) or inherited.messages
    )
    yield shape, here
    for _, inner in references(index, shape):
        yield from _attributions(index, inner, here)


def _risky(index: Index, attribution: Iterable[tuple[Node, Term]], rules: Mapping[Node, Rule]) -> frozenset[str]:
    """Ids of the rules that may take for ever on some data: those with a pattern or a query."""
    parameters = {
        path.value for _, parameter in index.pairs[_SH + "parameter"] for path in index.objects(parameter, _SH + "path")
    }
    slow = parameters | {_SH + "pattern", _SH + "sparql"}
    return frozenset(rules[root].id for root, shape in attribution if slow & index.subjects.get(shape, {}).keys())


# -- validation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """One product to judge: the arguments of `validate` that differ from product to product."""

    document: bytes
    background: bytes
    product: str
    domain: str
    own: frozenset[str] | None
    """None: those that the document says it may describe, see `document.own_nodes`."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms cases are judged. Rules in `without` are left out; `only`, when given, is the one rule to run."""

    iri_base: str
    now: datetime
    offline: bool
    without: frozenset[str] = frozenset()
    only: str | None = None


def validate(
    rules: RuleSet,
    document: bytes,
    background: bytes,
    *,
    product: str,
    domain: str,
    own: frozenset[str],
    iri_base: str,
    now: datetime,
    offline: bool = False,
) -> Report:
    """The findings of the rules in force for `domain` about the nodes in `own`; a pure function of its arguments.

    `document` and `background` are `rdf.canonical` bytes: the submission, and what the mesh knows of the things it
    refers to. Class axioms (`rdfs:subClassOf`) and `fm:computed...` statements in either are not looked at: they come
    from the rule set and are computed. `now` (aware) decides which modes hold. `offline` leaves out rules that need
    the mesh and names them in `not_checked`. Findings are ordered by severity, rule, focus, path, value and carry no
    lines. A rule that cannot be evaluated is in `failed`, with the reason, and none of its findings are reported.
    """
    case = Case(document, background, product, domain, own)
    return _judge(rules, case, _Terms(iri_base, now, offline))


def _judge(rules: RuleSet, case: Case, terms: _Terms) -> Report:
    composed = rules.composed(case.domain)
    chosen, skipped = composed.chosen(terms)
    stated = rdf.load(case.document)
    names = own_nodes(stated, case.product, terms.iri_base) if case.own is None else case.own
    stated = _admissible(stated, case.document)
    facts = computed.Facts(Index(stated), NamedNode(case.product), names, terms.iri_base, terms.now)
    statements = computed.compute(facts)
    background = _admissible(rdf.load(case.background), case.background)
    data = [*stated, *background, *(s.triple for s in statements)]
    own = {NamedNode(iri) for iri in names}
    with composed.lock:
        outcome = composed.engine.run(data, own=own.__contains__, roots=chosen)
    findings: set[Finding] = set()
    if outcome.results:
        statuses = facts.index.objects(facts.product, rdf.PREFIXES["dprod"] + "lifecycleStatus")
        live = any((rdf.iri_of(status) or "").removeprefix(STATUS) in LIVE_STATUSES for status in statuses)
        sources, day = computed.Sources(statements), _day(terms.now)
        findings = {f for result in outcome.results for f in composed.findings(result, day, live, sources)}
    failed = tuple(sorted((composed.rules[failure.root].id, failure.reason) for failure in outcome.failed))
    return Report(rules.digest, tuple(sorted(findings, key=_order)), skipped, failed)


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()


def _admissible(triples: list[Triple], nquads: bytes) -> list[Triple]:
    """The triples of these bytes that are looked at."""
    if not any(word in nquads for word in _FORGED):
        return triples
    return [
        triple
        for triple in triples
        if (predicate := triple.predicate.value) != _SUBCLASS and not predicate.startswith(computed.PREFIX)
    ]


_FORGED = (b"subClassOf", b"#computed", b"\\u", b"\\U")
"""One of these is in all bytes that state what is not looked at; an escape may hide it."""


def _order(finding: Finding) -> tuple[object, ...]:
    return (
        list(Severity).index(finding.severity), finding.rule, finding.focus, finding.path or "", finding.value or "",
        finding.component, finding.messages,
    )  # fmt: skip


# -- in worker processes ----------------------------------------------------------------------------------------------

_in_worker: list[RuleSet] = []
"""The rule set of this worker process, once warmed up."""


def _warm_up(files: Mapping[str, bytes], engine: str) -> None:
    _in_worker[:] = [RuleSet(files, engine, linted=True)]
    gc.freeze()  # what stays for good need not be looked through again and again
    gc.set_threshold(50_000)  # nor the statements of one product, which make no cycles


def _judge_in_worker(cases: Sequence[Case], terms: _Terms) -> list[Report]:
    return [_judge(_in_worker[0], case, terms) for case in cases]


def _score_in_worker(cases: Sequence[Case], iri_base: str) -> list[Scores]:
    register = _in_worker[0].register
    return [score(rdf.load(c.document), product=c.product, iri_base=iri_base, register=register) for c in cases]


STOPPED = {
    "worker-late": "it took longer than {limit:g} s and was stopped",
    "worker-died": "it brought its process down",
    "worker-memory": "it took too much memory",
}
"""How a call ends that a rule may be to blame for, by the code of its `WorkerFailed`, and the reason to report."""
_ALONE = 2.0
"""Seconds for a rule that is run alone because it may be to blame."""
_PATIENCE = 1
"""On so many documents a rule may be stopped; from then on it is always run alone."""
_FIRST = 8.0
"""Seconds for one document under rules of which one may be to blame: less than whoever waits for the answer does."""
MEMORY = 4 << 30
"""Bytes of address space for one process."""


class Validator:
    """Validates under one rule set in killable processes; any number of threads may call it at the same time.

    A rule with a pattern or a query that does not end, or brings its process down, is stopped and reported in
    `Report.failed`; all other rules are still decided on. A rule that was stopped once is run alone and for at
    most two seconds from then on, so that other documents do not wait for it.
    """

    def __init__(self, rules: RuleSet, size: int | None = None) -> None:
        """`size` is the number of processes, by default one per processor and at most four."""
        self.rules = rules
        warm_up = functools.partial(_warm_up, dict(rules.files), rules.engine)
        self.processes = Pool(size or min(4, os.cpu_count() or 1), warm_up=warm_up, memory=MEMORY)
        self._stopped: Counter[str] = Counter()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start all processes now, so that the first validations do not wait for one."""
        self.processes.start()

    def validate(
        self,
        document: bytes,
        background: bytes,
        *,
        product: str,
        domain: str,
        own: frozenset[str],
        iri_base: str,
        now: datetime,
        offline: bool = False,
        timeout: float = TIMEOUT,
    ) -> Report:
        """As the function `validate`. Takes longer than `timeout` seconds only where rules have to be stopped.

        Raises `WorkerFailed` when the process is late or dies and no rule can be singled out for it.
        """
        case = Case(document, background, product, domain, own)
        return self._one(case, _Terms(iri_base, now, offline), timeout)

    def validate_many(
        self, cases: Sequence[Case], *, iri_base: str, now: datetime, offline: bool = False, timeout: float = TIMEOUT
    ) -> list[Report]:
        """A report for each case, in order, from one process; for all processors call it from as many threads.

        `timeout` is for all cases together. Takes longer, and raises, as `validate`; a rule that is always run alone
        gets `timeout` seconds in all, and is reported as failed on the cases that are left then.
        """
        terms = _Terms(iri_base, now, offline)
        if len(cases) == 1:
            return [self._one(cases[0], terms, min(timeout, TIMEOUT))]
        try:
            return self._judged(cases, terms, timeout)
        except WorkerFailed as error:
            if error.code not in STOPPED:
                raise
        reports = []
        for number, case in enumerate(cases, 1):
            apart = self._apart()
            reports.append(self._one(case, terms, min(timeout, TIMEOUT)))
            if self._apart() != apart:  # who was to blame is known now: the rest need not go one by one
                rest = cases[number:]
                return reports + self.validate_many(rest, iri_base=iri_base, now=now, offline=offline, timeout=timeout)
        return reports

    def scores(self, cases: Sequence[Case], *, iri_base: str, timeout: float = TIMEOUT) -> list[Scores]:
        """The FAIR scores of each document, in order, from one process. Raises `WorkerFailed`."""
        return self.processes.call(_score_in_worker, cases, iri_base, timeout=timeout)

    def close(self) -> None:
        self.processes.close()

    def _call(self, cases: Sequence[Case], terms: _Terms, timeout: float) -> list[Report]:
        try:
            return self.processes.call(_judge_in_worker, cases, terms, timeout=timeout)
        except WorkerFailed as error:
            if error.code != "worker-died":
                raise
        return self.processes.call(_judge_in_worker, cases, terms, timeout=timeout)  # it may have been ended by chance

    def _apart(self) -> frozenset[str]:
        """The rules that are always run alone."""
        with self._lock:
            return frozenset(rule for rule, times in self._stopped.items() if times >= _PATIENCE)

    def _judged(self, cases: Sequence[Case], terms: _Terms, timeout: float) -> list[Report]:
        apart = self._apart()
        reports = self._call(cases, replace(terms, without=apart), timeout)
        for rule in sorted(apart):
            reports = self._with(rule, reports, cases, terms, timeout)
        return reports

    def _one(self, case: Case, terms: _Terms, timeout: float) -> Report:
        risky = self.rules.composed(case.domain).risky
        suspects = not risky <= self._apart()
        try:
            return self._judged([case], terms, min(timeout, _FIRST) if suspects else timeout)[0]
        except WorkerFailed as error:
            if error.code not in STOPPED or not suspects:
                raise
        reports = self._call([case], replace(terms, without=risky), timeout)
        for rule in sorted(risky):
            reports = self._with(rule, reports, [case], terms, timeout)
        return reports[0]

    def _with(
        self, rule: str, reports: Sequence[Report], cases: Sequence[Case], terms: _Terms, timeout: float
    ) -> list[Report]:
        """The reports with what one rule, run alone, has to say."""
        return [_merged(*pair) for pair in zip(reports, self._alone(rule, cases, terms, timeout), strict=True)]

    def _alone(self, rule: str, cases: Sequence[Case], terms: _Terms, timeout: float) -> list[Report]:
        limit = _ALONE + (len(cases) - 1) / 50
        try:
            return self._call(cases, replace(terms, only=rule), limit)
        except WorkerFailed as error:
            if error.code not in STOPPED:
                raise
            reason = STOPPED[error.code].format(limit=limit)
        if len(cases) == 1:
            with self._lock:
                self._stopped[rule] += 1
            return [self._failed(rule, reason)]
        reports: list[Report] = []
        end = time.monotonic() + timeout
        for case in cases:
            if time.monotonic() < end:
                reports += self._alone(rule, [case], terms, timeout)
            else:
                reports.append(self._failed(rule, "it was not run: it had used up its time on other products"))
        return reports

    def _failed(self, rule: str, reason: str) -> Report:
        return Report(self.rules.digest, failed=((rule, reason),))


def _merged(one: Report, other: Report) -> Report:
    findings = tuple(sorted({*one.findings, *other.findings}, key=_order))
    return replace(one, findings=findings, failed=tuple(sorted({*one.failed, *other.failed})))
