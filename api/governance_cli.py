"""`fairmesh governance`, `changes` and `revalidate`: how the mesh stands, what happened, judging it anew."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fairmesh.api import rules_reads
from fairmesh.api.commands import (
    Commands,
    add_as_of,
    add_data,
    add_reader,
    add_text_or_json,
    command,
    existing,
    print_found,
    reader,
)
from fairmesh.api.output import Progress, Waiting
from fairmesh.api.verdicts import OK, REFUSED
from fairmesh.catalog.config import Settings

if TYPE_CHECKING:
    from fairmesh.catalog import Catalog

KINDS = ("registered", "updated", "retired", "conformance", "rules", "policy")
_KINDS = {"conformance": "CONFORMANCE_CHANGED", "rules": "SHAPES_CHANGED", "policy": "POLICY_CHANGED"}
EXAMPLES = 5
"""Products that are named for one rule."""


def add(commands: Commands) -> None:
    """Declare the commands."""
    governance = command(
        commands, "governance", _governance, "how the products stand by the rules, by domain, rule and owner",
        "How the products you may read stand by the rules in force, or stood at a moment, by domain, rule and owner.\n"
        "Counts are of what you may see, by today's policy.",
    )  # fmt: skip
    governance.add_argument("--domain", metavar="D", help="of this domain: its key, label or IRI")
    add_as_of(governance)
    governance.add_argument(
        "--trend", metavar="N", type=_points, default=0, help="also at N moments from the beginning on, 2 to 60"
    )
    changes = command(
        commands, "changes", _changes, "what happened in the mesh, oldest first",
        "The change feed, as far as you may know of it: registrations, retirements, products that begin or cease to\n"
        "conform, and new rules and policies. Go on where you were with --after.",
    )  # fmt: skip
    changes.add_argument(
        "--kind", metavar="K", action="append", choices=KINDS, default=[], help=f"{', '.join(KINDS)}; repeatable"
    )
    changes.add_argument("--domain", metavar="D", help="of products of this domain: its key, label or IRI")
    changes.add_argument("--after", metavar="CURSOR", help="only what comes after; the last line of an answer names it")
    changes.add_argument(
        "--first", metavar="N", type=_first, default=20, help="at most so many, 1 to 200 (default: 20)"
    )
    for parser in (governance, changes):
        add_text_or_json(parser)
        add_reader(parser)
    _add_revalidate(commands)


def _add_revalidate(commands: Commands) -> None:
    revalidate = command(
        commands, "revalidate", _revalidate, "judge every product of a stopped mesh again",
        "Judge every product again, on all processors, by the rules in force; with --governance by those of a folder,\n"
        "which then are in force, as at a start. Lists the rules that products fail. The service must be stopped.\n"
        "Exit code 1 if a product does not conform. A running service does this by itself, without haste.",
    )  # fmt: skip
    add_data(revalidate)
    revalidate.add_argument("--governance", metavar="DIR", help="folder or bundle of rule sets to put in force first")
    add_text_or_json(revalidate)


def _points(text: str) -> int:
    return _between(text, 2, 60)


def _first(text: str) -> int:
    return _between(text, 1, 200)


def _between(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return int(text)


# -- asked of a server ------------------------------------------------------------------------------------------------


def _governance(options: argparse.Namespace) -> int:
    found = rules_reads.governance(reader(options), options.domain, _past(options.as_of), options.trend)
    return print_found(found, rules_reads.governance_lines, options.format)


def _past(as_of: str | None) -> str | None:
    """The moment, or None for one that is still to come today: who names today means now."""
    now = datetime.now(UTC)
    if as_of is None or (now < datetime.fromisoformat(as_of) and as_of.startswith(now.date().isoformat())):
        return None
    return as_of


def _changes(options: argparse.Namespace) -> int:
    kinds = [_KINDS.get(kind, kind.upper()) for kind in options.kind]
    found = rules_reads.changes(reader(options), kinds, options.domain, options.first, options.after)
    return print_found(found, rules_reads.change_lines, options.format)


# -- done here --------------------------------------------------------------------------------------------------------


def _revalidate(options: argparse.Namespace) -> int:
    from fairmesh.catalog import Catalog  # with its engines: no other command here needs them

    settings = existing(Settings.read({"data": options.data, "governance": options.governance}))
    with Waiting("the mesh is opened"):
        opened = Catalog.open(settings)
    with closing(opened) as catalog:
        total = sum(1 for _ in catalog.registry.live())
        progress = Progress("judging", total)
        start = time.monotonic()
        catalog.judge.everything(progress.add)
        found = _judged(catalog, time.monotonic() - start)
    print_found(found, _judged_lines, options.format)
    return REFUSED if found["failing"] else OK


def _judged(catalog: Catalog, seconds: float) -> dict[str, Any]:
    """`{ruleset, products, conforming, failing, seconds, per_second, rules, failed}`: `rules` are those that products
    fail, most products first, as `{rule, label, products, findings, message, page, examples}`; `failed` are those that
    could not be evaluated, `{rule, products}`."""
    from fairmesh.catalog.rulefiles import RULES

    waived = catalog.waivers.by_key(catalog.clock())
    failing: dict[str, list[tuple[str, int]]] = defaultdict(list)
    stopped: dict[str, int] = defaultdict(int)
    products = conforming = 0
    for product in sorted(catalog.registry.live(), key=lambda product: product.key):
        standing = catalog.storage.standings.by_slot[product.slot]
        excused = waived.get(product.key, frozenset())
        products += 1
        conforming += standing.conforms(excused)
        for rule, gating, _ in standing.broken:
            if gating and rule not in excused:
                failing[rule].append((product.key, gating))
        for rule in standing.failed:
            stopped[rule] += 1
    rules = []
    for name, found in sorted(failing.items(), key=lambda item: (-len(item[1]), item[0])):
        known = catalog.rulings.current.rules.rule(RULES + name)
        rules.append({
            "rule": name, "label": known.label if known else name, "products": len(found),
            "findings": sum(count for _, count in found), "message": known.message if known else "",
            "page": RULES + name, "examples": [key for key, _ in found[:EXAMPLES]],
        })  # fmt: skip
    return {
        "ruleset": catalog.ruleset_digest, "products": products, "conforming": conforming,
        "failing": products - conforming, "seconds": round(seconds, 3), "per_second": round(products / seconds, 1),
        "rules": rules, "failed": [{"rule": rule, "products": count} for rule, count in sorted(stopped.items())],
    }  # fmt: skip


def _judged_lines(found: Mapping[str, Any]) -> Iterator[str]:
    for rule in found["rules"]:
        more = rule["products"] - len(rule["examples"])
        times = f", {rule['findings']} findings" if rule["findings"] > rule["products"] else ""
        yield f"{_products(rule['products'])} fail{'s' if rule['products'] == 1 else ''} {rule['rule']}{times}"
        yield f"  {rule['message']}"
        yield f"  {', '.join(rule['examples'])}" + (f" and {more} more" if more else "")
        yield f"  {rule['page']}"
    for each in found["failed"]:
        yield f"could not be evaluated: {each['rule']} on {_products(each['products'])} (it refuses none)"
    yield f"{found['conforming']:,} of {_products(found['products'])} conform by rule set {found['ruleset'][:12]}"
    yield f"judged in {found['seconds']:.1f} s, {found['per_second']:,.0f} products a second"


def _products(count: int) -> str:
    return f"{count:,} product{'' if count == 1 else 's'}"
