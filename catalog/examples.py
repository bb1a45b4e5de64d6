"""Examples of rules: documents that meet them and documents that break them, tried as their names say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fairmesh.catalog.errors import InputError
from fairmesh.catalog.governance import Case, RuleSet, Stops, Validator
from fairmesh.catalog.model import Report, Severity
from fairmesh.catalog.rulefiles import RULES, Rule
from fairmesh.catalog.rulelint import Problem, rule_of_example


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
    """One example file against its level's rules. `problem` is empty when it behaved as its name says; `remedy` is what
    to do about it. `failed` are the rules that could not be evaluated on it, with the reason of each."""

    file: str
    problem: str
    report: Report | None

    @property
    def level(self) -> str:
        return self.file.partition("/examples/")[0]

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        return () if self.report is None else self.report.failed

    @property
    def remedy(self) -> str:
        return _NARROW if self.failed else "Correct the rule, or the example"


_NARROW = "Narrow the rule's query or pattern until it can be evaluated"


def check_examples(
    validator: Validator, examples: Mapping[str, bytes], read: Callable[[bytes], Example], *, iri_base: str,
    now: datetime, stops: Stops | None = None,
) -> Iterator[ExampleResult]:  # fmt: skip
    """Run example files, bytes by their path in the rule set, under core rules and those of their own level.

    What other levels add is no matter of an example: they may be kept elsewhere. `ok-*.ttl` must have no violation and
    no warning. `bad-<rule>-*.ttl` must break that rule and, advice aside, no other. `<rule>` is the rest of a rule's id
    in the same level. `read` turns bytes into a document (it may refuse). Which examples are missing is for the lint to
    say. All are one pass, which `stops` belongs to: once its time is over, examples that are left are not tried.

    Raises `WorkerFailed` as the validator does.
    """
    rules, stops = validator.rules, stops or Stops()
    for path, data in sorted(examples.items()):
        level, _, name = path.partition("/examples/")
        tails = {rule.id.rpartition("/")[2]: rule for rule in rules.rules if rule.id.rpartition("/")[0] == level}
        rule = rule_of_example(name, tails)
        problem, report = "neither ok-... nor bad-<rule>-... of a rule of this level", None
        if stops.over:
            problem = "it was not tried: the time for all examples was used up"
        elif rule is not None or name.startswith("ok-"):
            try:
                example = read(data)
            except InputError as error:
                problem = f"not a product document: {error}"
            else:
                report = _judged(validator, example, level, iri_base, now, stops)
                problem = _problem(report, tails[rule] if rule else None, rules, level)
        yield ExampleResult(path, problem, report)


def _judged(
    validator: Validator, example: Example, level: str, iri_base: str, now: datetime, stops: Stops
) -> Report:  # fmt: skip
    domain = level.partition("/")[2] if level.startswith("domains/") else ""
    case = Case(example.nquads, b"", example.product, domain, example.own)
    (judgement,) = validator.judge_many([case], iri_base=iri_base, now=now, stops=stops)
    return judgement.report


def _problem(report: Report, rule: Rule | None, rules: RuleSet, level: str) -> str:
    """What is wrong with an example of a rule, or of what is accepted; empty for nothing."""
    if report.failed:
        places = {each.id: f" ({each.file}:{each.line})" for each in rules.rules if each.line}
        return "; ".join(f"{name} could not be evaluated{places.get(name, '')}: {why}" for name, why in report.failed)
    found = {finding.rule for finding in report.findings}
    held = ("core/", f"{level}/")
    strict = {f.rule for f in report.findings if f.severity is not Severity.INFO and f.rule.startswith(held)}
    if rule is not None and rule.id not in found:
        return f"does not break {rule.id}"
    others = sorted(strict - ({rule.id} if rule else set()))
    return f"breaks {', '.join(others)}" if others else ""


def problems_of(results: Iterable[ExampleResult], rules: RuleSet) -> list[Problem]:
    """What is to be mended, as the lint tells it: at the example or, once for each rule of its own level that could not
    be evaluated, at the rule."""
    problems: dict[tuple[str, str], Problem] = {}
    for result in results:
        own = [(name, why) for name, why in result.failed if name.rpartition("/")[0] == result.level]
        for name, why in own:
            rule = rules.rule(RULES + name)
            assert rule is not None
            what = f"{name} could not be evaluated on {result.file}: {why}"
            place = Problem(rule.file, rule.line, None, None, what, result.remedy, True, rule.iri)
            problems.setdefault((rule.file, name), place)
        if result.problem and not own:
            problems[result.file, ""] = Problem(result.file, None, None, None, result.problem, result.remedy, True)
    return list(problems.values())
