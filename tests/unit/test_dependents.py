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
    assert error.message == (
        "sales.orders: 1 breaking change (column-dropped data.b), and dcat:version is 1.0.0; "
        "2 products depend on it: By B, Whole"
    )
    assert error.remedy == "Raise dcat:version to 2.0.0, or keep what others rely on"
    assert "depend" not in alone.message
