"""Rule sets: load, lint, compose (core + organisation + domain), validate one document -> `model.Report`.

Rules are SHACL (W3C Recommendation of 2017-07-20), Core and SPARQL. A rule is one targeted `sh:NodeShape` with
`fm:mode`; a rule set is a folder with `core/`, and where wanted `org/<org>/` and `domains/<domain>/`, each with
`shapes.ttl` and `vocabulary.ttl`. What SHACL cannot say well (the tail of an IRI, the order of two dates, duplicates)
is computed and stated with `fm:computed...` terms before the rules run. Rules run on one of two engines: see `ENGINES`.
"""

from __future__ import annotations

import functools
import gc
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from fairmesh.catalog import computed, rdf
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
    refusal,
    rules_of,
    schedule_of,
)
from fairmesh.catalog.rulelint import checked_rules
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.paths import Graph, Shapes, compile_path
from fairmesh.catalog.shacl.results import Engine, Node, Result, Term, Unsupported
from fairmesh.catalog.shacl.syntax import PARAMETERS, TARGETS, name_of, references
from fairmesh.catalog.triples import Index
from fairmesh.catalog.workers import Pool

ENGINES = ("compiled", "pyshacl")
"""The engines that rules can run on: ours, and the reference. Both find the same."""
TIMEOUT = 20.0
"""Seconds a validation may take before its process is stopped."""

_SH = rdf.PREFIXES["sh"]
_XSD = rdf.PREFIXES["xsd"]
_TYPE = rdf.PREFIXES["rdf"] + "type"
_SUBCLASS = rdf.PREFIXES["rdfs"] + "subClassOf"
_LIFECYCLE = rdf.PREFIXES["dprod"] + "lifecycleStatus"


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


@dataclass(frozen=True, slots=True)
class Part:
    """What findings of a rule come from: the rule's own shape or a property shape of it. `path` is that of its
    findings, as in `Result.path`, None for the node that is looked at; `messages`, as in `Rule`, are what they say, in
    which queries may have left `{$name}` to fill in."""

    path: str | None
    schedule: Schedule
    messages: tuple[tuple[str, str], ...]


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

    def terms(self) -> set[tuple[str, str]]:
        """What its vocabularies describe: each a level, such as `domains/sales`, and the IRI of a term."""
        every = ((level.name, triple.subject) for level in self._levels for triple in level.vocabulary)
        return {(level, term.value) for level, term in every if isinstance(term, NamedNode)}

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

    def parts(self, rule: Rule) -> list[Part]:
        """What findings of a rule come from, in the order its shapes are stated."""
        return list(dict.fromkeys(_parts(self._shapes, self._paths, NamedNode(rule.iri), _said_by(rule))))

    @functools.cached_property
    def _paths(self) -> Shapes:
        return Shapes(self._shapes)

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


def engine_that_runs(
    name: str, shapes: Sequence[Triple], background: Sequence[Triple], ignored: Collection[str] = ()
) -> tuple[Engine, Unsupported | None]:
    """As `engine_for`, but pyshacl for shapes that `name` does not implement, and what of them that is.

    Raises `InputError` for ill-formed shapes, and for those that no engine implements.
    """
    lacking: Unsupported | None = None
    for each in dict.fromkeys((name, "pyshacl")):
        try:
            return engine_for(each, shapes, background, ignored), lacking
        except Unsupported as error:
            lacking = error
    assert lacking is not None
    raise InputError(
        f"{lacking.construct} in {name_of(lacking.shape)} is not implemented", remedy="Say it in another way",
        iri=rdf.iri_of(lacking.shape), code="rule-set",
    ) from lacking  # fmt: skip


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
            for shape, attribution in _attributions(index, root, _said_by(rule))
        }
        self.turns = {a.schedule.next_from for a in self.attribution.values() if a.schedule.next_from is not None}
        self.risky = _risky(index, self.attribution, self.rules)
        self.lock = threading.Lock()
        """Held while the engine runs: it serves one thread at a time."""
        vocabulary = [triple for level in levels for triple in level.vocabulary]
        try:
            self.engine, lacking = engine_that_runs(ruleset.engine, shapes, vocabulary, computed.PREDICATES)
        except InputError as error:
            raise self._unusable(error, levels) from error
        self.uncompiled: Uncompiled | None = None
        if lacking is not None:
            self.uncompiled = Uncompiled(domain, lacking.construct, str(lacking.shape), self.rule_of(lacking.shape))

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


def _said_by(rule: Rule) -> _Attribution:
    return _Attribution(rule.schedule, rule.messages)


def _attributions(index: Index, shape: Term, inherited: _Attribution) -> Iterator[tuple[Term, _Attribution]]:
    here = _attribution(index, shape, inherited)
    yield shape, here
    for _, inner in references(index, shape):
        yield from _attributions(index, inner, here)


def _attribution(index: Index, shape: Term, inherited: _Attribution) -> _Attribution:
    return _Attribution(
        schedule_of(index, shape) or inherited.schedule, messages_of(index, shape) or inherited.messages
    )


def _parts(index: Index, shapes: Shapes, shape: Node, inherited: _Attribution) -> Iterator[Part]:
    """The shapes that results come from: this one where it checks something, and those in its `sh:property`."""
    facts, here = index.subjects.get(shape, {}), _attribution(index, shape, inherited)
    components = _components(index)
    if any(name in components or (name in PARAMETERS and name not in _SILENT) for name in facts):
        queries = [*index.objects(shape, _SH + "sparql")]
        queries += [node for name in facts for node in components.get(name, ())]
        asked = [text for query in queries for text in messages_of(index, query)]
        texts = here.messages if messages_of(index, shape) else (*asked, *here.messages)
        path = next(iter(facts.get(_SH + "path", ())), None)
        text = None if path is None else compile_path(shapes, Graph(Index()), shape, path).text
        yield Part(text, here.schedule, tuple(dict.fromkeys(texts)))
    for inner in facts.get(_SH + "property", ()):
        if not isinstance(inner, Literal):
            yield from _parts(index, shapes, inner, here)


_SILENT = frozenset(
    _SH + name
    for name in (*TARGETS, "property", "path", "message", "name", "description", "order", "group", "defaultValue")
)
"""What a shape may state without checking anything by it."""


def _components(index: Index) -> dict[str, list[Term]]:
    """The components of SHACL-SPARQL with their validators, by the predicates of their parameters."""
    found: dict[str, list[Term]] = {}
    for component, parameter in index.pairs[_SH + "parameter"]:
        for path in index.objects(parameter, _SH + "path"):
            nodes = found.setdefault(path.value, [])
            for name in ("validator", "nodeValidator", "propertyValidator"):
                nodes += index.objects(component, _SH + name)
            nodes.append(component)
    return found


def _risky(index: Index, attribution: Iterable[tuple[Node, Term]], rules: Mapping[Node, Rule]) -> frozenset[str]:
    """Ids of the rules that may take for ever on some data: those with a pattern or a query."""
    slow = {*_components(index), _SH + "pattern", _SH + "sparql"}
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
    """On what terms cases are judged. Rules in `without` are left out; `only`, when given, is the one rule to run.

    `scored`: FAIR scores are wanted too.
    """

    iri_base: str
    now: datetime
    offline: bool
    scored: bool = False
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
    return _judge(rules, case, _Terms(iri_base, now, offline)).report


class Judgement(NamedTuple):
    """The report of the rules on one product, and how FAIR its document is; None where that was not asked."""

    report: Report
    scores: Scores | None


def judge(rules: RuleSet, case: Case, *, iri_base: str, now: datetime, offline: bool = False) -> Judgement:
    """As `validate`, with scores; the document is read once for both."""
    return _judge(rules, case, _Terms(iri_base, now, offline, scored=True))


def _judge(rules: RuleSet, case: Case, terms: _Terms) -> Judgement:
    """One index serves all: first it holds the document alone, in the end all that rules look at."""
    composed = rules.composed(case.domain)
    chosen, skipped = composed.chosen(terms)
    stated = rdf.load(case.document)
    names = own_nodes(stated, case.product, terms.iri_base) if case.own is None else case.own
    index = Index(stated)
    index.drop(_is_forged)
    scores = None
    if terms.scored:
        scores = score(index, product=case.product, iri_base=terms.iri_base, register=rules.register, at=terms.now)
    product = NamedNode(case.product)
    live = any((rdf.iri_of(s) or "").removeprefix(STATUS) in LIVE_STATUSES for s in index.objects(product, _LIFECYCLE))
    statements = computed.compute(computed.Facts(index, product, names, terms.iri_base, terms.now))
    if case.background:
        index.add(rdf.load(case.background))
        index.drop(_is_forged)
    index.add(statement.triple for statement in statements)
    own = {NamedNode(iri) for iri in names}
    with composed.lock:
        outcome = composed.engine.run(index, own=own.__contains__, roots=chosen)
    findings: set[Finding] = set()
    if outcome.results:
        sources, day = computed.Sources(statements), _day(terms.now)
        findings = {f for result in outcome.results for f in composed.findings(result, day, live, sources)}
    failed = tuple(sorted((composed.rules[failure.root].id, failure.reason) for failure in outcome.failed))
    return Judgement(Report(rules.digest, tuple(sorted(findings, key=_order)), skipped, failed), scores)


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()


def _is_forged(predicate: str) -> bool:
    """Whether statements with this predicate are not looked at."""
    return predicate == _SUBCLASS or predicate.startswith(computed.PREFIX)


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


def _judge_in_worker(cases: Sequence[Case], terms: _Terms) -> list[Judgement]:
    return [_judge(_in_worker[0], case, terms) for case in cases]


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
_ENOUGH = 3
"""On so many products of one pass a rule may be stopped; it is not run on those that are left."""
_FIRST = 8.0
"""Seconds for one document under rules of which one may be to blame: less than whoever waits for the answer does."""
_EACH = 0.15
"""Seconds for each document more that is judged with it."""
MEMORY = 4 << 30
"""Bytes of address space for one process."""


class Stops:
    """How often rules were stopped, on the products of one pass or in the life of a validator. Threads may share it.

    With `seconds`, a pass has so many from now on: when they are over, no rule that is run alone is run any more.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() > self._end

    def add(self, rule: str) -> None:
        with self._lock:
            self._times[rule] += 1

    def reached(self, times: int) -> frozenset[str]:
        """The rules that were stopped at least so many times."""
        with self._lock:
            return frozenset(rule for rule, count in self._times.items() if count >= times)

    def enough(self, rule: str) -> str:
        """Why a rule is not to be run any more; empty when it is."""
        if rule in self.reached(_ENOUGH):
            return f"it was not run: it was stopped on {_ENOUGH} other products"
        return "it was not run: the time for all products was used up" if self.over else ""


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
        self._stopped = Stops()

    def start(self) -> None:
        """Start all processes now and wait until they are warm, so that no validation waits for one."""
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
        return self._decided([case], _Terms(iri_base, now, offline), timeout, Stops())[0].report

    def judge_many(
        self, cases: Sequence[Case], *, iri_base: str, now: datetime, offline: bool = False, timeout: float = TIMEOUT,
        stops: Stops | None = None,
    ) -> list[Judgement]:  # fmt: skip
        """Report and scores of each case, in order, from one process; for all processors call it from as many threads.

        `timeout` is for all cases together. Takes longer, and raises, as `validate`. `stops` belongs to the pass that
        the cases are part of; without it they are one of their own.
        """
        if not cases:
            return []
        return self._decided(cases, _Terms(iri_base, now, offline, scored=True), timeout, stops or Stops())

    def close(self) -> None:
        self.processes.close()

    def _decided(self, cases: Sequence[Case], terms: _Terms, timeout: float, stops: Stops) -> list[Judgement]:
        """First all rules together, but for those that were stopped before; should that not end, each rule that may be
        to blame alone; and should that not, either, document by document."""
        if len(cases) == 1:
            timeout = min(timeout, TIMEOUT)
        risky = frozenset[str]().union(*(self.rules.composed(case.domain).risky for case in cases))
        known = risky & self._stopped.reached(_PATIENCE)
        first = timeout if known == risky else min(timeout, _FIRST + (len(cases) - 1) * _EACH)
        for apart, limit in dict.fromkeys(((known, first), (risky, timeout))):
            try:
                return self._judged(cases, terms, apart, limit, stops)
            except WorkerFailed as error:
                if error.code not in STOPPED:
                    raise
                late = error
        if len(cases) == 1:
            raise late
        return [judgement for case in cases for judgement in self._decided([case], terms, timeout, stops)]

    def _judged(
        self, cases: Sequence[Case], terms: _Terms, apart: frozenset[str], timeout: float, stops: Stops
    ) -> list[Judgement]:
        """The rules in `apart` each alone, all others together in `timeout` seconds."""
        found = self.processes.retried(_judge_in_worker, cases, replace(terms, without=apart), timeout=timeout)
        for rule in sorted(apart):
            held = [n for n, case in enumerate(cases) if rule in self.rules.composed(case.domain).risky]
            for number, report in zip(held, self._alone(rule, [cases[n] for n in held], terms, stops), strict=True):
                found[number] = _merged(found[number], report)
        return found

    def _alone(self, rule: str, cases: Sequence[Case], terms: _Terms, stops: Stops) -> list[Report]:
        if reason := stops.enough(rule):
            return [self._failed(rule, reason)] * len(cases)
        limit = _ALONE + (len(cases) - 1) / 50
        try:
            found = self.processes.retried(
                _judge_in_worker, cases, replace(terms, only=rule, scored=False), timeout=limit
            )
            return [judgement.report for judgement in found]
        except WorkerFailed as error:
            if error.code not in STOPPED:
                raise
            reason = STOPPED[error.code].format(limit=limit)
        if len(cases) > 1:
            return [report for case in cases for report in self._alone(rule, [case], terms, stops)]
        for count in (self._stopped, stops):
            count.add(rule)
        return [self._failed(rule, reason)]

    def _failed(self, rule: str, reason: str) -> Report:
        return Report(self.rules.digest, failed=((rule, reason),))


def _merged(one: Judgement, other: Report) -> Judgement:
    findings = tuple(sorted({*one.report.findings, *other.findings}, key=_order))
    failed = tuple(sorted({*one.report.failed, *other.failed}))
    return Judgement(replace(one.report, findings=findings, failed=failed), one.scores)
