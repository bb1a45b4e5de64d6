"""The verdict on documents without a server: the same reader and rules, as far as they need no mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from fairmesh.api.submissions import Document
from fairmesh.api.verdicts import Verdict
from fairmesh.catalog.config import Settings
from fairmesh.catalog.errors import FairmeshError
from fairmesh.catalog.governance import RuleSet, Validator
from fairmesh.catalog.intake import Intake, with_lines


class Checker:
    """Judges documents under the rule set of the settings. Documents are parsed and validated in child processes."""

    def __init__(self, settings: Settings, rules: RuleSet, size: int) -> None:
        self._settings = settings
        self._intake = Intake(settings, size)
        self._validator = Validator(rules, size)
        self._size = size

    @classmethod
    @contextmanager
    def open(cls, settings: Settings, documents: int) -> Iterator[Checker]:
        """A checker for about so many documents. Raises `ConfigError` or `InputError` for rules that cannot be used."""
        rules = RuleSet.load(settings.governance) if settings.governance else RuleSet.load()
        checker = cls(settings, rules, max(1, min(settings.workers, documents)))
        try:
            yield checker
        finally:
            checker._intake.close()
            checker._validator.close()

    def check(self, documents: Sequence[Document], done: Callable[[int], None]) -> list[Verdict]:
        """A verdict for each document, in order; `done` is told how many more are finished."""
        with ThreadPoolExecutor(self._size) as threads:
            verdicts = []
            for verdict in threads.map(self._verdict, documents):
                verdicts.append(verdict)
                done(1)
            return verdicts

    def _verdict(self, document: Document) -> Verdict:
        try:
            return self._judge(document)
        except FairmeshError as error:
            return Verdict.failed(document.file, error, key=document.key, record=document.record)

    def _judge(self, given: Document) -> Verdict:
        base, content = self._settings.iri_base, given.content
        document = self._intake.document(content, given.media_type)
        report = self._validator.validate(
            document.nquads, b"", product=document.product, domain=document.access.domain, own=document.own,
            iri_base=base, now=datetime.now(UTC), offline=True,
        )  # fmt: skip
        placed = with_lines(report, content, document.media_type, base)
        return Verdict.judged(given.file, document.key, placed, record=given.record)
