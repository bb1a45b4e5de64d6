"""Examples of rules: documents that meet them and documents that break them, tried as their names say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.governance import RuleSet, validate
from fairmesh.catalog.model import Report, Severity
from fairmesh.catalog.rulefiles import Rule
from fairmesh.catalog.rulelint import rule_of_example


class Example(Protocol):
    """What `check_examples` needs of a document; `document.ProductDocument` has it."""

    @property
    def product(self) -> str: ...
    @property
    def nquads(self) -> bytes: ...
    @property
    def own(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One example file against its level's rules. `problem` is empty when it behaved as its name says."""

    file: str
    problem: str
    report: Report | None


def check_examples(
    rules: RuleSet,
    examples: Mapping[str, bytes],
    read: Callable[[bytes], Example],
    *,
    iri_base: str,
    now: datetime,
) -> list[ExampleResult]:
    """Run example files, bytes by their path in the rule set, under core rules and those of their own level.

    What other levels add is no matter of an example: they may be kept elsewhere. `ok-*.ttl` must have no violation and
    no warning. `bad-<rule>-*.ttl` must break that rule and, advice aside, no other. `<rule>` is the rest of a rule's id
    in the same level. `read` turns bytes into a document (it may refuse). Which examples are missing is for the lint to
    say.
    """
    results = []
    for path, data in sorted(examples.items()):
        level, _, name = path.partition("/examples/")
        tails = {rule.id.rpartition("/")[2]: rule for rule in rules.rules if rule.id.rpartition("/")[0] == level}
        rule = rule_of_example(name, tails)
        problem, report = "neither ok-... nor bad-<rule>-... of a rule of this level", None
        if rule is not None or name.startswith("ok-"):
            problem, report = _try_example(data, tails[rule] if rule else None, read, rules, level, iri_base, now)
        results.append(ExampleResult(path, problem, report))
    return results


def _try_example(
    data: bytes,
    rule: Rule | None,
    read: Callable[[bytes], Example],
    rules: RuleSet,
    level: str,
    iri_base: str,
    now: datetime,
) -> tuple[str, Report | None]:
    """What is wrong with an example (empty: nothing), and its report."""
    try:
        example = read(data)
    except InputError as error:
        return f"not a product document: {error}", None
    domain = level.partition("/")[2] if level.startswith("domains/") else ""
    report = validate(
        rules, example.nquads, b"", product=example.product, domain=domain, own=example.own, iri_base=iri_base, now=now
    )
    if report.failed:
        return "; ".join(f"{name} could not be evaluated: {reason}" for name, reason in report.failed), report
    found = {finding.rule for finding in report.findings}
    held = ("core/", f"{level}/")
    strict = {f.rule for f in report.findings if f.severity is not Severity.INFO and f.rule.startswith(held)}
    if rule is not None and rule.id not in found:
        return f"does not break {rule.id}", report
    others = sorted(strict - ({rule.id} if rule else set()))
    return (f"breaks {', '.join(others)}" if others else ""), report
