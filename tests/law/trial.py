"""Asks both meshes of a pair the same, until their answers differ; then finds the least that tells them apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from fairmesh.catalog.access import Access
from law.asking import Known, Request, Walker, Writer
from law.meshes import SUBJECTS, Doc, Event, Pair, RememberingValidator, make_pair
from law.serving import Answer, Court, open_court, shrunk

QUERIES, READS = 25, 8
"""GraphQL queries, and other requests that change nothing, which a pair of meshes is asked."""


@dataclass(frozen=True)
class Difference:
    """Two answers that ought to be one, to the request of a subject in a mesh with this history."""

    name: str
    history: tuple[Event, ...]
    requests: tuple[Request, ...]
    """The last one is answered differently; those before it changed the mesh."""
    whole: Answer
    less: Answer

    def __str__(self) -> str:
        lines = [f"hidden from {self.name!r}, and yet it shows:", *map(str, self.history)]
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
    access: Access
    validator: RememberingValidator
    writer: Writer
    pairs: int = 0
    unequal: int = 0
    """Pairs in which something was hidden."""
    comparisons: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    requests: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def hear(self, name: str, history: Sequence[Event], seed: int) -> Difference | None:
        """Draw requests of this subject and compare the answers; None when all are equal."""
        pair = self._open(name, history)
        self.pairs += 1
        self.unequal += pair.differs
        known = Known.of(pair, SUBJECTS[name])
        written: list[Request] = []
        for request in self._drawn(Random(seed), known):
            whole, less = self.court.answers(request, name)
            self._note(request, whole, known)
            if whole != less:
                return self._least(Difference(name, pair.history, (*written, request), whole, less))
            if _writes(request):
                written.append(request)
        return None

    def _drawn(self, random: Random, known: Known) -> Iterator[Request]:
        walker = Walker(random, known)
        kinds = ["query"] * QUERIES + ["read"] * READS + ["validate"] * (3 if known.own else 1)
        random.shuffle(kinds)
        for kind in kinds:
            if kind == "query":
                yield self.writer.query(random, known)
            else:
                yield walker.read() if kind == "read" else self.writer.mutation(random, known, kind)
        yield self.writer.mutation(random, known, random.choice(("register", "retire")))
        yield walker.write()
        yield self.writer.query(random, known)

    def _open(self, name: str, history: Sequence[Event]) -> Pair:
        pair = make_pair(self.access, self.validator, history, SUBJECTS[name])
        self.court.open(pair)
        return pair

    def _note(self, request: Request, answer: Answer, known: Known) -> None:
        self.comparisons += 1
        self.statuses[answer.status] += 1
        self.requests.add((request.method, request.path.partition("?")[0]))
        if answer.status >= 500 or b'"INTERNAL"' in answer.body:
            self.faults.append(f"{request}\n{answer}")
        if request.operation is not None:
            known.learn(json.loads(answer.body))
        if request.template is not None:
            request.template.note(answer.body)
        if answer.tag is not None:
            known.tags.append(answer.tag)

    # -- the least that differs --

    def _least(self, found: Difference) -> Difference:
        """The same with fewer products, statements, fields and arguments, as far as the answers still differ."""
        smaller: Difference | None = found
        while smaller is not None:
            found = smaller
            smaller = next(filter(None, map(self._again, _smaller(found))), None)
        return found

    def _again(self, case: Difference) -> Difference | None:
        self._open(case.name, case.history)
        whole, less = [self.court.answers(request, case.name) for request in case.requests][-1]
        if whole == less or {whole.status, less.status} == {400}:
            return None
        return replace(case, whole=whole, less=less)


def _writes(request: Request) -> bool:
    operation = request.operation
    if operation is not None:
        return bool(operation["query"].startswith("mutation"))
    return request.method != "GET" and "dry_run" not in request.path


def _smaller(case: Difference) -> Iterator[Difference]:
    *before, request = case.requests
    for place in range(len(before)):
        yield replace(case, requests=(*before[:place], *before[place + 1 :], request))
    for place, event in enumerate(case.history):
        head, tail = case.history[:place], case.history[place + 1 :]
        yield replace(case, history=(*head, *tail))
        if isinstance(event, Doc):
            for doc in _simpler(event):
                yield replace(case, history=(*head, doc, *tail))
    for less in shrunk(request):
        yield replace(case, requests=(*before, less))


def _simpler(doc: Doc) -> Iterator[Doc]:
    plain = Doc(doc.key, doc.classification)
    for name in ("sources", "pay", "title", "status", "owner", "term", "calls"):
        if getattr(doc, name) != getattr(plain, name):
            yield replace(doc, **{name: getattr(plain, name)})
    for place in range(len(doc.traps)):
        yield replace(doc, traps=doc.traps[:place] + doc.traps[place + 1 :])


@contextmanager
def open_trial(access: Access, folder: Path) -> Iterator[Trial]:
    """A trial under this access; `folder` is for the service's tokens. Ends the access too."""
    validator = RememberingValidator(2)
    try:
        with open_court(folder) as court:
            court.open(make_pair(access, validator, (), SUBJECTS["anonymous"]))
            yield Trial(court, access, validator, Writer(court.schema()))
    finally:
        validator.close()
        access.close()
