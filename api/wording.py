"""How terms, moments and what rules found are put into words, for terminals and pages alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from fairmesh.catalog import rdf

SEVERITIES = {"VIOLATION": "error", "WARNING": "warning", "INFO": "advice"}
WAIVED = "waived"


def finding_word(severity: str, waived_until: object) -> str:
    """What to call a finding of this severity, a word of `Severity`; one that is waived is no error."""
    return WAIVED if waived_until else SEVERITIES[severity]


def term(text: str) -> str:
    """An N-Triples term the way people read it: prefixed names, texts without their type."""
    bare = text[1:-1] if text.startswith("<") else text
    return rdf.compact(bare) or text


def path_text(path: str | None) -> str:
    if path is None:
        return ""
    return re.sub(r"<([^<>]*)>", lambda m: rdf.compact(m[1]) or m[0], path) if "<" in path else term(path)


def moment_text(moment: datetime | str) -> str:
    """`2027-01-01T00:00:00Z`: a moment, or an ISO 8601 text with its zone, in UTC, to the second."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def counts_text(errors: int, warnings: int, advice: int, waived: int) -> str:
    """`1 error, 1 waived, 2 warnings, 0 advice`; what has no error `conforms`. `errors` are those not waived."""
    said = f"{errors} error{'' if errors == 1 else 's'}" if errors else "conforms"
    excused = f", {waived} waived" if waived else ""
    return f"{said}{excused}, {warnings} warning{'' if warnings == 1 else 's'}, {advice} advice"


def letters_text(findable: float, accessible: float, interoperable: float, reusable: float) -> str:
    """`F 1.00, A 1.00, I 1.00, R 0.74`: the parts of a FAIR score."""
    shares = (findable, accessible, interoperable, reusable)
    return ", ".join(f"{letter} {share:.2f}" for letter, share in zip("FAIR", shares, strict=True))


def group_text(message: str, path: str | None, count: int, waived_until: datetime | str | None) -> str:
    """`Name the team ... (dprod:dataProductOwner); 3 times; waived until 2027-01-01T00:00:00Z`."""
    said = message + (f" ({path_text(path)})" if path else "") + (f"; {count} times" if count > 1 else "")
    return said + (f"; waived until {moment_text(waived_until)}" if waived_until else "")
