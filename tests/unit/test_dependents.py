"""Who depends on what breaks: columns where they are known, datasets otherwise, and never what is hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from samples import ANALYST, BASE, STEWARD, product, register

from fairmesh.catalog import Catalog, Settings, dependents, document
from fairmesh.catalog.changes import Comparison, compare
from fairmesh.catalog.dependents import Dependents, breaks, refusal
from fairmesh.catalog.errors import Conflict
from fairmesh.catalog.model import Subject
from fairmesh.catalog.rdf import load

KEY = "sales.orders"
DATA = f"{KEY}/data"


def reads(key: str, source: str, *columns: str, **options: str) -> bytes:
    """A product derived from the dataset of another, `column` of it from the column of that name where one is given."""
    said = "".join(
        f"<{key}/data/column/{name}> prov:wasDerivedFrom <{source}/data/column/{name}> .\n" for name in columns
    )
    return product(key, sources=(f"{source}/data",), columns=columns or ("id",), extra=said, **options)


@dataclass(frozen=True)
class Mesh:
    """The products of one test, told from those of others by the end of their keys."""

    catalog: Catalog
    tag: str

    def own(self, content: bytes) -> bytes:
        return re.sub(rb"\b((?:sales|finance|web)\.[a-z-]+)", rb"\1" + self.tag.encode(), content)

    def add(self, *documents: bytes) -> None:
        register(self.catalog, *map(self.own, documents))

    def change(self, after: bytes) -> Comparison:
        """What the document would change of the product as it is stored."""
        new = document.read(self.own(after), "text/turtle", BASE)
        stored = self.catalog.graph.graph(BASE + new.key)
        return compare(stored, load(new.nquads), product=new.product, iri_base=BASE)

    def breaks(self, after: bytes, subject: Subject = STEWARD) -> Dependents:
        with self.catalog.view(subject, channel="test") as view:
            return breaks(view, self.change(after))

    def asked(self, after: bytes, subject: Subject = STEWARD) -> dict[str, int]:
        found = self.breaks(after, subject)
        assert not found.truncated
        return {self.name(node.iri): node.distance for node in found.nodes}

    def name(self, iri: str) -> str:
        return iri.removeprefix(BASE).removesuffix(self.tag)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    data = tmp_path_factory.mktemp("dependents") / "data"
    catalog = Catalog.open(Settings.read({"data": data, "workers": 2}, environment={}))
    yield catalog
    catalog.close()


@pytest.fixture
def mesh(opened: Catalog) -> Mesh:
    mesh = Mesh(opened, f"-{len(opened.registry.by_key)}")
    mesh.add(
        product(KEY, columns=("a", "b")),
        reads("finance.by-a", KEY, "a"),
        reads("finance.by-b", KEY, "b"),
        reads("finance.whole", KEY),
        reads("finance.report", "finance.by-a", "a"),
        reads("web.board", "finance.report"),
        product("web.visits"),
    )
    return mesh


DROPS_B = product(KEY, columns=("a",))
DROPS_A = product(KEY, columns=("b",))


def test_a_column_breaks_who_reads_that_column_and_whose_columns_are_not_known(mesh: Mesh) -> None:
    assert mesh.asked(DROPS_B) == {"finance.by-b": 1, "finance.whole": 1}


def test_what_is_made_of_it_breaks_too_however_far_away(mesh: Mesh) -> None:
    assert mesh.asked(DROPS_A) == {"finance.by-a": 1, "finance.whole": 1, "finance.report": 2, "web.board": 3}


def kept(*tables: str, first: str = DATA) -> str:
    """Internal datasets of a product, the first made of the dataset `first`, each other one of the one before it."""
    return "".join(
        f'<finance.deep> dct:hasPart <{table}> . <{table}> a dcat:Dataset ; dct:title "Table"@en ; '
        f"dprod:informationSensitivityClassification c:internal ; prov:wasDerivedFrom <{before}> .\n"
        for before, table in zip((first, *tables), tables, strict=False)
    )


def test_what_a_product_makes_of_its_own_data_takes_no_step(mesh: Mesh) -> None:
    inner = kept("finance.deep/raw", "finance.deep/clean")
    mesh.add(
        product("finance.deep", sources=("finance.deep/clean",), extra=inner),
        product("web.last", sources=("finance.deep/data", "web.board/data")),
    )
    found = mesh.asked(DROPS_A)
    assert (found["finance.deep"], found["web.last"]) == (1, 2)


def test_of_two_ways_the_one_through_fewer_products_counts_however_many_tables_it_has(mesh: Mesh) -> None:
    tables = [f"finance.deep/t{number}" for number in range(9)]
    mesh.add(
        product("finance.deep", sources=(tables[-1],), extra=kept(*tables)),
        reads("web.between", "finance.whole"),
        reads("web.beyond", "web.between"),
        product("web.end", sources=("finance.deep/data", "web.beyond/data")),
        reads("web.final", "web.end"),
    )
    found = mesh.asked(DROPS_B)
    assert {key: found[key] for key in ("finance.deep", "web.between", "web.beyond", "web.end", "web.final")} == {
        "finance.deep": 1, "web.between": 2, "web.beyond": 3, "web.end": 2, "web.final": 3,
    }  # fmt: skip


def test_a_dataset_breaks_everybody_who_reads_any_of_it(mesh: Mesh) -> None:
    raised = product(KEY, columns=("a", "b"), classification="confidential")
    assert mesh.asked(raised) == {
        "finance.by-a": 1, "finance.by-b": 1, "finance.whole": 1, "finance.report": 2, "web.board": 3,
    }  # fmt: skip


def test_nothing_broken_breaks_nobody(mesh: Mesh) -> None:
    assert mesh.asked(product(KEY, columns=("a", "b", "c"))) == {}
    assert mesh.asked(product("web.visits", columns=("other",))) == {}


def test_a_product_that_only_says_what_it_reads_depends_on_that(mesh: Mesh) -> None:
    mesh.add(
        product("web.input", extra=f"<web.input> dprod:inputDataset <{DATA}> ."),
        product("web.derived", extra=f"<web.derived> prov:wasDerivedFrom <{KEY}> ."),
        product("web.after", sources=("web.input/data",)),
    )
    assert mesh.asked(DROPS_B) == {
        "finance.by-b": 1, "finance.whole": 1, "web.derived": 1, "web.input": 1, "web.after": 2,
    }  # fmt: skip


def test_what_a_product_says_of_its_columns_counts_more_than_what_it_says_of_itself(mesh: Mesh) -> None:
    said = f"<finance.by-a> dprod:inputDataset <{DATA}> ; prov:wasDerivedFrom <{KEY}> ."
    derived = f"<finance.by-a/data/column/a> prov:wasDerivedFrom <{DATA}/column/a> ."
    mesh.add(product("finance.by-a", sources=(DATA,), columns=("a",), extra=said + derived))
    assert "finance.by-a" not in mesh.asked(DROPS_B)
    assert mesh.asked(DROPS_A)["finance.by-a"] == 1


def test_columns_are_followed_without_a_word_of_their_datasets(mesh: Mesh) -> None:
    derived = f"<web.only/data/column/x> prov:wasDerivedFrom <{DATA}/column/b> ."
    mesh.add(product("web.only", columns=("x",), extra=derived))
    assert "web.only" in mesh.asked(DROPS_B)
    assert "web.only" not in mesh.asked(DROPS_A)
    assert "web.only" in mesh.asked(product(KEY, columns=("a", "b"), classification="restricted"))


def nested(datatype: str, data: str = "data") -> bytes:
    """A product with a column `n` nested in `a`."""
    said = (
        f'<sales.nest/data/column/n> a csvw:Column ; csvw:name "n" ; dct:description "The n of it."@en ; '
        f"csvw:datatype xsd:{datatype} ; dct:isPartOf <sales.nest/data/column/a> .\n"
    )
    return product("sales.nest", columns=("a",), extra=said).replace(b"sales.nest/data", f"sales.nest/{data}".encode())


def test_nested_columns_are_followed_as_others_are(mesh: Mesh) -> None:
    mesh.add(nested("string"))
    derived = "<web.inner/data/column/n> prov:wasDerivedFrom <sales.nest/data/column/n> ."
    mesh.add(
        product("web.inner", columns=("n",), extra=derived),
        reads("web.outer", "sales.nest", "a"),
        product("web.kept", columns=("a",), sources=("sales.nest/data",), extra=(
            '<web.kept/data/column/q> a csvw:Column ; csvw:name "q" ; dct:description "The q of it."@en ; '
            "csvw:datatype xsd:string ; dct:isPartOf <web.kept/data/column/a> ; "
            "prov:wasDerivedFrom <sales.nest/data/column/n> .\n")),
        product("web.second", sources=("web.kept/data",)),
    )  # fmt: skip
    assert mesh.asked(nested("date")) == {"web.inner": 1, "web.kept": 1, "web.second": 2}
    assert mesh.asked(nested("string", "other")) == {"web.inner": 1, "web.kept": 1, "web.outer": 1, "web.second": 2}


def ported(port: str, host: str) -> bytes:
    said = f"<sales.port> dprod:outputPort <sales.port/p> . <sales.port/p> a dcat:DataService ; {port} "
    return product("sales.port", extra=f"{said} dcat:endpointURL <https://{host}.example.org/> .\n")


@pytest.mark.parametrize("port", ["dcat:servesDataset <sales.port/data> ;", ""])
def test_who_reads_a_port_depends_on_what_is_behind_it(mesh: Mesh, port: str) -> None:
    mesh.add(ported(port, "old"), product("web.reader", extra="<web.reader> dprod:inputPort <sales.port/p> ."))
    mesh.add(product("web.next", sources=("web.reader/data",)), product("web.direct", sources=("sales.port/data",)))
    assert mesh.asked(ported(port, "new")) == {"web.direct": 1, "web.reader": 1, "web.next": 2}


def test_a_circle_comes_to_an_end_and_never_names_the_product(mesh: Mesh) -> None:
    mesh.add(product(KEY, columns=("a", "b"), sources=("web.board/data",)))
    found = mesh.asked(product(KEY, columns=("b",), sources=("web.board/data",)))
    assert found == {"finance.by-a": 1, "finance.whole": 1, "finance.report": 2, "web.board": 3}


def test_who_may_not_see_a_product_is_not_told_that_it_depends(mesh: Mesh) -> None:
    mesh.add(reads("finance.secret", KEY, classification="restricted"), reads("web.beyond", "finance.secret"))
    assert mesh.asked(DROPS_B)["web.beyond"] == 2
    assert mesh.asked(DROPS_B, ANALYST) == {"finance.by-b": 1, "finance.whole": 1}


def test_a_column_that_a_reader_may_not_see_tells_nothing(mesh: Mesh) -> None:
    derived = f"<web.masked/data/column/x> prov:wasDerivedFrom <{DATA}/column/a> ."
    mesh.add(product("web.masked", sources=(DATA,), masked=("x",), extra=derived))
    assert "web.masked" not in mesh.asked(DROPS_B)
    assert mesh.asked(DROPS_B, ANALYST)["web.masked"] == 1, "which columns it reads is hidden: it reads the dataset"


def test_neighbours_that_are_not_named_are_counted(mesh: Mesh) -> None:
    nodes = mesh.breaks(DROPS_A).nodes
    counts = {mesh.name(node.iri): (node.more_upstream, node.more_downstream) for node in nodes}
    assert counts == {
        "finance.by-a": (1, 0), "finance.whole": (1, 0), "finance.report": (0, 0), "web.board": (0, 0),
    }  # fmt: skip


def test_dependents_are_named_by_key_domain_and_owner(mesh: Mesh) -> None:
    names = {
        name.key.removesuffix(mesh.tag): (name.label, name.domain, name.owner) for name in mesh.breaks(DROPS_B).names
    }
    assert names == {
        "finance.by-b": ("By B", "Finance", "Finance team"), "finance.whole": ("Whole", "Finance", "Finance team"),
    }  # fmt: skip


def test_an_answer_that_is_cut_off_says_so(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependents, "BUDGET", 3)
    found = mesh.breaks(DROPS_A)
    assert found.truncated
    assert len(found.nodes) < 4


def test_a_refusal_names_what_breaks_whom_and_what_to_do(mesh: Mesh) -> None:
    comparison = mesh.change(DROPS_B)
    with mesh.catalog.view(STEWARD, channel="test") as view:
        error = refusal(KEY, comparison, breaks(view, comparison))
    alone = refusal(KEY, comparison, Dependents())
    assert isinstance(error, Conflict)
    assert error.code == "breaking-change"
    assert error.message.replace(mesh.tag, "") == (
        "sales.orders: 1 breaking change (column-dropped data.b), and dcat:version is 1.0.0; "
        "2 products depend on it: By B (finance.by-b), Whole (finance.whole)"
    )
    assert error.remedy == "Raise dcat:version to 2.0.0, or keep what others rely on"
    assert "depend" not in alone.message
