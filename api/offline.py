"""The verdict on documents without a server: the same reader and rules, as far as they need no mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from fairmesh.api.problems import fair_json
from fairmesh.api.submissions import Document
from fairmesh.api.verdicts import Verdict
from fairmesh.catalog import fair, rdf
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import RuleSet, Validator
from fairmesh.catalog.intake import Intake, with_lines
from fairmesh.catalog.model import Report
from fairmesh.catalog.places import Positions
from fairmesh.catalog.reports import report_graph
from fairmesh.catalog.rulefiles import SHIPPED


class Checker:
    """Judges documents under the rule set of the settings. Documents are parsed and validated in child processes."""

    def __init__(self, settings: Settings, rules: RuleSet, size: int) -> None:
        self._settings = settings
        self._intake = Intake(settings, size)
        self.rules = rules
        self._validator = Validator(rules, size)
        self._size = size
        self._reports: dict[str, Report] = {}

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, documents: int) -> Iterator[Checker]:
        """A checker for about so many documents. Raises `ConfigError` or `InputError` for rules that cannot be used."""
        rules = RuleSet.load(settings.governance or SHIPPED, settings.engine)
        checker = cls(settings, rules, max(1, min(settings.workers, documents)))
        try:
            yield checker
        finally:
            checker._intake.close()
            checker._validator.close()

    def check(
        self, documents: Sequence[Document], done: Callable[[int], None], min_fair: float | None = None
    ) -> list[Verdict]:
        """A verdict for each document, in order; `done` is told how many more are finished.

        With `min_fair` documents are assessed, and refused when their FAIR score is under it.
        """
        with ThreadPoolExecutor(self._size) as threads:
            verdicts = []
            for verdict in threads.map(lambda document: self._verdict(document, min_fair), documents):
                verdicts.append(verdict)
                done(1)
            return verdicts

    def report_rdf(self, file: str, media_type: str) -> bytes | None:
        """The whole report on a document that was checked, as RDF; None when it could not be judged."""
        report = self._reports.get(file)
        return None if report is None else rdf.serialize(report_graph(report), media_type)

    def _verdict(self, document: Document, min_fair: float | None) -> Verdict:
        try:
            return self._judge(document, min_fair)
        except FairmeshError as error:
            return Verdict.failed(document.file, error, key=document.key, record=document.record)

    def _judge(self, given: Document, min_fair: float | None) -> Verdict:
        base, content, now = self._settings.iri_base, given.content, datetime.now(UTC)
        document = self._intake.document(content, given.media_type)
        report = self._validator.validate(
            document.nquads, b"", product=document.product, domain=document.access.domain, own=document.own,
            iri_base=base, now=now, offline=True,
        )  # fmt: skip
        places = Positions(content, document.media_type, base, lambda: rdf.load(document.nquads))
        placed = with_lines(report, places)
        self._reports[given.file] = placed
        verdict = Verdict.judged(given.file, document.key, placed, record=given.record)
        if min_fair is None:
            return verdict
        register = fair.Register.of(self.rules.vocabulary(document.access.domain))
        assessment = fair.assess(
            rdf.load(document.nquads), product=document.product, iri_base=base, register=register, at=now
        )
        return replace(verdict, fair=fair_json(assessment)).at_least(min_fair, places.find(document.product))
