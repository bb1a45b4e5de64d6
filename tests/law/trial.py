"""Asks both meshes of a pair the same, until their answers differ; then finds the least that tells them apart."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random

from fairmesh.catalog.access import Access, EmbeddedEngine, Engine, PolicySet
from law.asking import ANYTHING, Focus, Known, Request, Walker, Writer
from law.meshes import SUBJECTS, Case, Doc, Event, RememberingValidator, make_pair
from law.policies import POOL
from law.serving import BYSTANDER, Answer, Court, open_court, shrunk

KINDS = ("query",) * 13 + ("read",) * 6 + ("validate",)
"""Requests that change nothing, which a pair of meshes is asked in any order: GraphQL queries, HTTP requests, and
validations, of which who owns a domain makes one more. Three more follow, two of them writes."""
LEFT_OUT = ("proposePolicies", "publishPolicies")
"""Mutations that a mesh in memory cannot make: see tests/e2e/test_policies.py."""
FOCUSED = 12
"""How many more when there is a focus on some kinds."""


@dataclass(frozen=True)
class Difference:
    """Two answers that ought to be one."""

    case: Case
    requests: tuple[Request, ...]
    """The last one is answered differently; those before it changed the mesh."""
    whole: Answer
    less: Answer

    def __str__(self) -> str:
        lines = [str(self.case)]
        for request in self.requests:
            operation = request.operation
            lines.append(f"{request.method} {request.path} {dict(request.headers)}")
            lines.append(f"{operation['query']}\n{operation['variables']}" if operation else request.body.decode())
        place = next((n for n, (a, b) in enumerate(zip(self.whole.body, self.less.body, strict=False)) if a != b), 0)
        for word, answer in (("with it", self.whole), ("without it", self.less)):
            lines.append(f"{word}: {answer.status} ...{answer.body[max(0, place - 300) : place + 300].decode()!r}...")
        lines += [f"only one has {name!r}: {value!r}" for name, value in {*self.whole.headers} ^ {*self.less.headers}]
        return "\n".join(lines)


@dataclass
class Trial:
    """Pairs of meshes under one policy engine, and what was asked of them."""

    court: Court
    access: Callable[[str], Access]
    """For each policy of the pool."""
    validator: RememberingValidator
    writer: Writer
    pairs: int = 0
    unequal: int = 0
    """Pairs in which something was hidden."""
    comparisons: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    """Pairs by subject, and by policy."""
    faults: list[str] = field(default_factory=list)
    record: list[str] = field(default_factory=list)
    """A digest of each request and its answer."""

    def hear(self, case: Case, seed: int, focus: Focus = ANYTHING) -> Difference | None:
        """Draw requests of the case's subject and compare the answers; None when all are equal."""
        pair = make_pair(self.access(case.policy), self.validator, case)
        self.court.open(pair)
        self.pairs += 1
        self.unequal += pair.differs
        self.drawn.update((case.name, case.policy))
        known = Known.of(pair, SUBJECTS[case.name])
        written: list[Request] = []
        random = Random(seed)
        for request in self._drawn(random, known, focus):
            if random.random() < 0.1 and not _writes(request):
                self.court.answers(request, BYSTANDER)  # what somebody else was told is nothing to this one
            whole, less = self.court.answers(request, case.name)
            self._note(request, whole, known)
            if whole != less:
                return Difference(case, (*written, request), whole, less)
            if _writes(request):
                written.append(request)
        return None

    def _drawn(self, random: Random, known: Known, focus: Focus) -> Iterator[Request]:
        walker = Walker(random, known)
        kinds = [*KINDS, *["validate"] * bool(known.own)]
        kinds += random.choices(focus.kinds, k=FOCUSED) if focus.kinds else []
        random.shuffle(kinds)
        for kind in kinds:
            if kind == "query":
                anything = focus is ANYTHING and random.random() < 0.5
                yield self.writer.query(random, known, self.writer.any_field(random) if anything else focus)
            else:
                yield walker.read(kind) if kind != "validate" else self.writer.mutation(random, known, kind)
        yield self.writer.mutation(
            random, known, random.choice([m for m in self.writer.mutations if m not in (*LEFT_OUT, "validate")])
        )
        yield walker.write()
        yield self.writer.query(random, known, focus)

    def _note(self, request: Request, answer: Answer, known: Known) -> None:
        self.comparisons += 1
        self.statuses[answer.status] += 1
        self.record.append(hashlib.sha256(repr((request, answer)).encode()).hexdigest())
        if answer.status >= 500 or b'"INTERNAL"' in answer.body:
            self.faults.append(f"{request}\n{answer}")
        if request.operation is not None:
            known.learn(json.loads(answer.body))
        if request.template is not None:
            request.template.note(answer.body)
        if answer.tag is not None:
            known.tags.append(answer.tag)

    def least(self, found: Difference) -> Difference:
        """The same with fewer products, statements, fields and arguments, as far as the answers still differ."""
        smaller: Difference | None = found
        while smaller is not None:
            found = smaller
            smaller = next(filter(None, map(self._again, _smaller(found))), None)
        return found

    def _again(self, one: Difference) -> Difference | None:
        self.court.open(make_pair(self.access(one.case.policy), self.validator, one.case))
        whole, less = [self.court.answers(request, one.case.name) for request in one.requests][-1]
        if whole == less or {whole.status, less.status} == {400}:
            return None
        return replace(one, whole=whole, less=less)


def _writes(request: Request) -> bool:
    operation = request.operation
    if operation is not None:
        return bool(operation["query"].startswith("mutation"))
    return request.method != "GET" and "dry_run" not in request.path


def _smaller(found: Difference) -> Iterator[Difference]:
    *before, request = found.requests
    for place in range(len(before)):
        yield replace(found, requests=(*before[:place], *before[place + 1 :], request))
    for history in _shorter(found.case.history):
        yield replace(found, case=replace(found.case, history=history))
    for less in shrunk(request):
        yield replace(found, requests=(*before, less))


def _shorter(history: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    for place, event in enumerate(history):
        head, tail = history[:place], history[place + 1 :]
        yield (*head, *tail)
        if isinstance(event, Doc):
            for doc in _simpler(event):
                yield (*head, doc, *tail)


def _simpler(doc: Doc) -> Iterator[Doc]:
    plain = Doc(doc.key, doc.classification)
    for name in ("sources", "pay", "title", "status", "owner", "term", "calls"):
        if getattr(doc, name) != getattr(plain, name):
            yield replace(doc, **{name: getattr(plain, name)})
    for place in range(len(doc.traps)):
        yield replace(doc, traps=doc.traps[:place] + doc.traps[place + 1 :])


EngineOf = Callable[[ExitStack, Path, PolicySet], Engine]
"""Makes an engine for the policies in a folder; what has to end with it goes on the stack."""


def embedded(opened: ExitStack, folder: Path, policies: PolicySet) -> Engine:
    return EmbeddedEngine(policies)


@contextmanager
def open_trial(engine: EngineOf, folder: Path) -> Iterator[Trial]:
    """A trial of the pool's policies, each opened when it is first asked for; `folder` is for files."""
    with ExitStack() as opened:

        @cache
        def access(name: str) -> Access:
            place = folder / "policies" / name
            policies = POOL[name].write(place)
            return opened.enter_context(closing(Access(engine(opened, place, policies), policies)))

        validator = opened.enter_context(closing(RememberingValidator(2)))
        court = opened.enter_context(open_court(folder))
        court.open(make_pair(access("default"), validator, Case("anonymous", "default", False, ())))
        yield Trial(court, access, validator, Writer(court.schema()))
