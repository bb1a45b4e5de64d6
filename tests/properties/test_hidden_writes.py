"""Whatever is written to products that a reader may not see, the reader's requests are answered as before."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from law.asking import Known, Request, Walker
from law.meshes import SUBJECTS, TRAPS, Case, Doc, cases, docs, grants_of, make_pair
from law.policies import EMBARGO
from law.serving import WRITER, Answer
from law.trial import Trial, embedded, open_trial

SOAK = bool(os.environ.get("FAIRMESH_SOAK"))
REQUESTS = 24
NEW = ("ops.new", "people.new", "sales.new")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with open_trial(embedded, tmp_path_factory.mktemp("embedded")) as made:
        yield made


class HiddenWrites(RuleBasedStateMachine):
    trial: Trial
    written: Counter[tuple[str, int]]

    @initialize(case=cases(names=("anonymous", "public", "internal", "member", "sales")), number=st.integers(0, 2**32))
    def open(self, case: Case, number: int) -> None:
        self.case = case
        pair = make_pair(self.trial.access(case.policy), self.trial.validator, case)
        self.trial.court.open(pair)
        mesh, subject = pair.whole, SUBJECTS[case.name]
        grants = grants_of(mesh, subject, mesh.registry.keys)
        seen = {product.key for product in mesh.registry.slots if grants[product.key_id]}
        own = subject.domains
        self.hidden = [p.key for p in mesh.registry.slots if p.key not in seen and p.key.split(".")[0] not in own]
        self.hidden += [key for key in NEW if key.split(".")[0] not in own]
        self.transcript = list(self._drawn(Random(number), Known.of(pair, subject)))

    def _drawn(self, random: Random, known: Known) -> Iterator[tuple[Request, Answer]]:
        writer, walker = self.trial.writer, Walker(random, known)
        for _ in range(REQUESTS):
            asking = random.random() < 0.75
            request = writer.query(random, known, writer.any_field(random)) if asking else walker.read()
            answer = self._answer(request)
            if request.template is not None:
                request.template.note(answer.body)
                known.learn(json.loads(answer.body))
            if answer.tag is not None:
                known.tags.append(answer.tag)
            yield request, answer

    def _answer(self, request: Request) -> Answer:
        return self.trial.court.whole.ask(request, self.trial.court.authorization(self.case.name))

    def _write(self, what: str, request: Request) -> Answer:
        answer = self.trial.court.whole.ask(request, self.trial.court.authorization(WRITER))
        self.written[what, answer.status] += 1
        assert answer.status < 500, answer
        return answer

    def _concealed(self, doc: Doc, place: int) -> Doc:
        """The document as one of a hidden product."""
        key = self.hidden[place % len(self.hidden)]
        traps = tuple(trap for trap in doc.traps if EMBARGO not in TRAPS[trap[0]])
        return replace(doc, key=key, classification="restricted", owner="ops", status="build", traps=traps)

    @rule(doc=docs(), place=st.integers(0, 20), condition=st.sampled_from(["", "", "", '"1"', '"99"']))
    def register(self, doc: Doc, place: int, condition: str) -> None:
        headers = [("content-type", "text/turtle")] + ([("if-match", condition)] if condition else [])
        self._write("register", Request("POST", "/products", tuple(headers), self._concealed(doc, place).text()))

    @rule(chosen=st.lists(st.tuples(docs(), st.integers(0, 20)), min_size=2, max_size=3))
    def batch(self, chosen: list[tuple[Doc, int]]) -> None:
        items: list[dict[str, Any]] = [
            {"media_type": "text/turtle", "content": self._concealed(doc, place).text().decode()}
            for doc, place in chosen
        ]
        items.append({"media_type": "text/turtle", "content": "<broken> a"})
        headers = (("content-type", "application/json"),)
        answer = self._write("batch", Request("POST", "/products:batch", headers, json.dumps(items).encode()))
        for result in json.loads(answer.body)["results"]:
            self.written["batched", result["status"]] += 1

    @rule(place=st.integers(0, 20), force=st.booleans())
    def retire(self, place: int, force: bool) -> None:
        key = self.hidden[place % len(self.hidden)]
        path = f"/products/{key}" + "?force=true" * force
        self._write("retire", Request("DELETE", path, (("if-match", "*"),)))

    @invariant()
    def nothing_changed(self) -> None:
        for request, before in self.transcript:
            assert self._answer(request) == before, f"{self.case}\n{request}"


def test_writes_to_hidden_products_change_no_answer(trial: Trial) -> None:
    HiddenWrites.trial, HiddenWrites.written = trial, Counter()
    limits = settings(
        max_examples=120 if SOAK else 12, stateful_step_count=7, deadline=None, derandomize=not SOAK, database=None,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(HiddenWrites, settings=limits)  # type: ignore[no-untyped-call]
    written = HiddenWrites.written
    print(dict(written))
    assert written["register", 201] + written["batched", 201] > 0
    assert written["register", 200] + written["batched", 200] > 0
    assert written["retire", 204] > 0
    assert written["register", 412] + written["batched", 400] > 0
