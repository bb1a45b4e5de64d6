"""Product filters: from the request's description to a test on one product, over visible statements only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fairmesh.catalog.document import DCT, DPROD
from fairmesh.catalog.errors import InputError
from fairmesh.catalog.model import CLASSIFICATION, IriFilter, ProductFilter, PropertyTest, StringFilter
from fairmesh.catalog.projection import product_status

if TYPE_CHECKING:
    from fairmesh.catalog.registry import Product
    from fairmesh.catalog.view import View

Test = Callable[["Product"], bool]
MAX_DEPTH = 10
"""How deep `and`, `or` and `not` may be nested."""


class Filters:
    """Builds tests for one view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def test(self, filter: ProductFilter, depth: int = 0) -> Test:
        """One function that says whether a product passes all of the filter. Raises `InputError` for a bad filter."""
        if depth > MAX_DEPTH:
            raise InputError(f"filters nested more than {MAX_DEPTH} deep", remedy="Flatten the filter")
        view = self._view
        tests: list[Test] = []
        if filter.domain is not None:
            tests.append(self._having(DPROD + "domain", self._wanted(filter.domain)))
        if filter.classification is not None:
            levels = self._wanted(filter.classification)
            tests.append(lambda p: levels is None or CLASSIFICATION + view.facts(p).classification in levels)
        if filter.term is not None:
            tests.append(self._having(DCT + "subject", self._wanted(filter.term)))
        if filter.owner is not None:
            matches = _string_test(filter.owner)
            owners = {owner for owner in view.owners() if matches(owner) or matches(view.label(owner))}
            tests.append(self._having(DPROD + "dataProductOwner", owners))
        if filter.status is not None:
            words = filter.status
            tests.append(lambda p: product_status(view.facts(p).status) in words)
        if filter.conforms is not None:
            wanted = int(filter.conforms)
            tests.append(lambda p: view.sighted.columns.conforms[p.slot] == wanted)
        if filter.fair_at_least is not None:
            least = filter.fair_at_least
            if not 0 <= least <= 1:
                raise InputError(f"a FAIR score of at least {least}", remedy="Give a number from 0 to 1")
            tests.append(lambda p: view.sighted.columns.score[p.slot] >= least)
        if filter.updated_from is not None:
            start = filter.updated_from
            tests.append(lambda p: p.updated_at >= start)
        if filter.updated_until is not None:
            end = filter.updated_until
            tests.append(lambda p: p.updated_at <= end)
        tests += [self._property(predicate, test) for predicate, test in filter.property]
        tests += [self.test(inner, depth + 1) for inner in filter.all_of]
        if filter.any_of:
            some = [self.test(inner, depth + 1) for inner in filter.any_of]
            tests.append(lambda p: any(test(p) for test in some))
        none = [self.test(inner, depth + 1) for inner in filter.none_of]
        tests.append(lambda p: not any(test(p) for test in none))
        return lambda p: all(test(p) for test in tests)

    def _wanted(self, filter: IriFilter) -> set[str] | None:
        """The IRIs that pass; None when all do."""
        wanted: set[str] | None = None if filter.any_of is None else set(filter.any_of)
        if filter.descendants_of is not None:
            below = self._view.narrower_closure(filter.descendants_of)
            wanted = below if wanted is None else wanted & below
        return wanted

    def _having(self, predicate: str, wanted: set[str] | None) -> Test:
        """Found from the values' side: they are few, products many."""
        if wanted is None:
            return lambda _: True
        having = self._view.subjects(predicate, wanted)
        return lambda product: product.iri in having

    def _property(self, predicate: str, test: PropertyTest) -> Test:
        view = self._view

        def literals(product: Product) -> list[str]:
            return view.literals(product.iri, predicate)

        if test.exists is not None:
            wanted = test.exists
            return lambda p: bool(literals(p) or view.iris(p.iri, predicate)) is wanted
        if test.equals is not None:
            return lambda p: test.equals in literals(p)
        if test.iri is not None:
            return lambda p: test.iri in view.iris(p.iri, predicate)
        if test.contains is not None:
            part = test.contains.casefold()
            return lambda p: any(part in text.casefold() for text in literals(p))
        low = float("-inf") if test.at_least is None else test.at_least
        high = float("inf") if test.at_most is None else test.at_most
        return lambda p: any(low <= number <= high for number in map(_number, literals(p)))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _string_test(filter: StringFilter) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        return (
            (filter.eq is None or text == filter.eq)
            and (filter.any_of is None or text in filter.any_of)
            and (filter.prefix is None or text.casefold().startswith(filter.prefix.casefold()))
            and (filter.contains is None or filter.contains.casefold() in text.casefold())
        )

    return test
