"""Whether a value says anything: placeholders in texts, names that name nothing, addresses nobody can connect to.

Judged on the value alone: what is behind an address or name, and whether it is there, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from fairmesh.catalog.rdf import GENID, PREFIXES

_GAP = r"[\W_]"
_PLACEHOLDERS = (
    rf"n{_GAP}{{1,2}}a", "none", "unknown", "undefined", "unspecified", rf"t{_GAP}?b{_GAP}?[ad]", rf"t{_GAP}b{_GAP}?c",
    rf"to{_GAP}+do", "to be (?:added|announced|confirmed|decided|defined|determined|done)",
    "not (?:applicable|available|known|specified)", "dummy", "placeholder", "x{2,}", "lorem ipsum.*",
)  # fmt: skip
_ELSEWHERE = ("na", "nil", "null", "tbc", "test", "todo")
"""Placeholders in English that are words or abbreviations in other languages."""


def _made_of(placeholders: Iterable[str]) -> re.Pattern[str]:
    words = "|".join(placeholders).replace(" ", _GAP + "+")
    return re.compile(rf"{_GAP}*+(?:(?:{words})(?:{_GAP}++|\Z))*", re.IGNORECASE | re.DOTALL)


_NOTHING, _NOTHING_ELSEWHERE = _made_of((*_PLACEHOLDERS, *_ELSEWHERE)), _made_of(_PLACEHOLDERS)


def nothing(text: str, language: str | None = None) -> bool:
    """Whether a text says nothing: it has no letter or digit, or is made of placeholders only, in any case and with any
    space or punctuation.

    Placeholders are: n/a, na, none, null, nil, unknown, undefined, unspecified, tba, tbc, tbd, todo, "to be" added,
    announced, confirmed, decided, defined, determined or done, "not" applicable, available, known or specified, test,
    dummy, placeholder, xx and more of it, and all that begins with lorem ipsum. Other words count. In text of another
    language than English, by its tag, so do na, nil, null, tbc, test and todo: they are words there.
    """
    english = language is None or language.lower().partition("-")[0] == "en"
    return (_NOTHING if english else _NOTHING_ELSEWHERE).fullmatch(text) is not None


def reaches(text: str, length: int) -> bool:
    """Whether a text has so many characters, a run of space and punctuation counted as one."""
    return any(len(_RUNS.sub(" ", part).strip()) >= length for part in (text[: 2 * length], text))


_RUNS = re.compile(_GAP + "{2,}")

_SCHEMES = (
    "https?|s3[an]?|gs|r2|oss|abfss?|wasbs?|adl|hdfs|ftps?|sftp|kafka|pulsar|nats|amqps?|mqtts?|wss?|grpcs?|rediss?"
    "|postgres(ql)?|mysql|mariadb|sqlserver|mssql|oracle|db2|teradata|snowflake|bigquery|redshift|databricks|trino|presto"
    "|hive2?|impala|athena|synapse|clickhouse|duckdb|mongodb|dynamodb|cassandra|elasticsearch|neo4j|bolt"
)
ADDRESS = (
    rf"({_SCHEMES})([+][a-z0-9.-]+)?://[^/?#\s]+|jdbc:[a-z0-9-]+:\S+|dbfs:/+[^/?#\s]+"
    r"|arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:\S+"
)
"""What an address begins with, as a pattern for any case: that of rule 17 of ontologies/core."""
_ADDRESS = re.compile(rf"(?:{ADDRESS})\S*", re.IGNORECASE)
_TARGET = re.compile(
    r"[^:]+://(?:[^/?#@\s]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/?#@:\s]+).*|(?:jdbc:[^:]+:|dbfs:/+|arn:(?:[^:]*:){4})(?P<name>.+)",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def address(iri: str) -> bool:
    """Whether an IRI, or a text, is an address that clients connect to: it begins as `ADDRESS` says, and the host or
    what else it names may exist (no placeholder, nothing under .invalid, RFC 2606; a bucket may be called test).
    """
    found = _TARGET.fullmatch(iri) if _ADDRESS.fullmatch(iri) else None
    if found is None:
        return False
    target: str = found["host"] or found["name"]
    if "test" not in target.lower() and (nothing(target) or nothing(iri.partition(":")[2])):
        return False
    return not target.lower().rstrip(".").endswith(".invalid")


_NAME = re.compile(
    r"(?:urn:(?!x-|example:)[a-z0-9][a-z0-9-]{0,30}[a-z0-9]|doi|hdl|ark|info|tag|did|arn|ivo|oai|swh|geo|mailto|tel):(?P<name>\S+)",
    re.IGNORECASE,
)
_CODE = re.compile(r"https?://publications\.europa\.eu/resource/authority/[^/]+/(?P<code>.+)")
_NIL = PREFIXES["rdf"] + "nil"


@lru_cache(maxsize=4096)  # codes, licences and types are the same few in all documents
def reference(iri: str) -> bool:
    """Whether an IRI refers to something: by an address, by a URN of a namespace that can be registered (RFC 8141:
    two characters or more; neither experimental, `X-` of RFC 3406, nor `example` of RFC 6963), or as `doi:`, `hdl:`,
    `ark:`, `info:`, `tag:`, `did:`, `arn:`, `ivo:`, `oai:`, `swh:`, `geo:`, `mailto:` or `tel:` with a name that is no
    placeholder.

    A code of the EU's authority tables that stands for unknown refers to nothing, nor does the empty list, nor what
    stands for a blank node.
    """
    if GENID in iri or iri == _NIL:
        return False
    if address(iri):
        code = _CODE.fullmatch(iri)
        return code is None or not nothing(code["code"])
    name = _NAME.fullmatch(iri)
    return name is not None and not nothing(name["name"])
