"""The engines behind one call: shapes once, then data any number of times, each time a `Verdict`.

Blank nodes keep the labels they came with in both of our engines, so results about them are compared as they are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agreement.reports import Row, report_rows, row
from fairmesh.catalog import rdf
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.rdf import Triple
from fairmesh.catalog.shacl.compiled import Compiled
from fairmesh.catalog.shacl.reference import Reference
from fairmesh.catalog.shacl.results import Engine, Unsupported
from fairmesh.catalog.triples import Index


@dataclass(frozen=True)
class Verdict:
    """What one engine says. `refused` is why it gave no results, else empty; `kind` of refusal is `ill-formed`,
    `unsupported` or `failed`."""

    rows: Counter[Row]
    refused: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Rules:
    """Shapes, the statements that go with every data graph, and the predicates closed shapes never mind."""

    shapes: Sequence[Triple]
    background: Sequence[Triple] = ()
    ignored: Collection[str] = frozenset()


Run = Callable[[Sequence[Triple]], Verdict]
Judge = Callable[[Rules], Run]


def agree(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts are the same results, or refusals of the same kind, whatever their words."""
    return one.rows == other.rows and one.kind == other.kind


def compiled(rules: Rules) -> Run:
    return _prepared(lambda: Compiled(rules.shapes, background=rules.background, ignored=rules.ignored))


def reference(rules: Rules) -> Run:
    return _prepared(lambda: Reference(rules.shapes, background=rules.background, ignored=rules.ignored))


def _prepared(make: Callable[[], Engine]) -> Run:
    try:
        engine = make()
    except (InputError, Unsupported) as error:
        kind = "unsupported" if isinstance(error, Unsupported) else "ill-formed"
        refusal = Verdict(Counter(), f"{kind}: {error}", kind)
        return lambda data: refusal

    def run(data: Sequence[Triple]) -> Verdict:
        outcome = engine.run(data)
        if outcome.failed:
            return Verdict(Counter(), "; ".join(sorted({failed.reason for failed in outcome.failed})), "failed")
        return Verdict(Counter(row(r.focus, r.path, r.component, r.severity, r.value) for r in outcome.results))

    return run


def rudof(rules: Rules) -> Run:
    """pyrudof, the second opinion. It names blank nodes anew (`reports.alike`) and silently skips custom components."""
    import pyrudof

    shapes = _ntriples(rules.shapes)

    def run(data: Sequence[Triple]) -> Verdict:
        with _no_certificates():
            return judged(data)

    def judged(data: Sequence[Triple]) -> Verdict:
        session = pyrudof.Rudof(pyrudof.RudofConfig())
        try:
            session.read_data(_ntriples([*rules.background, *data]), format=pyrudof.RDFFormat.NTriples)
            session.read_shacl(shapes, format=pyrudof.ShaclFormat.NTriples)
            session.validate_shacl()
            report = session.serialize_shacl_validation_results(pyrudof.ResultShaclValidationFormat.NTriples)
        except pyrudof.RudofError as error:
            return Verdict(Counter(), str(error).partition("\n")[0], "ill-formed")
        index = Index(rdf.load(report.encode()))
        return Verdict(report_rows(index, index.pairs[rdf.PREFIXES["sh"] + "conforms"][0][0]))

    return run


@contextmanager
def _no_certificates() -> Iterator[None]:
    """rudof reads all CA certificates at every call, for requests that are never made here; others do need them."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _ntriples(triples: Iterable[Triple]) -> str:
    return rdf.serialize(dict.fromkeys(triples), rdf.N_TRIPLES).decode()
