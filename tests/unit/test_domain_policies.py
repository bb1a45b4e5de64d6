"""What a domain's policy can do to others: nothing, whatever it looks at and however it fails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from meshes import NOW

from fairmesh.catalog import access as module
from fairmesh.catalog.access import Access, EmbeddedEngine, PolicySet
from fairmesh.catalog.errors import ConfigError, PolicyUnavailable
from fairmesh.catalog.model import FIELD_NAMES, FIELDS, AccessKey, Action, Need, Subject

ANN = Subject("ann", "user", ("analyst",), clearance="internal")
EVE = Subject("eve", "service", ("steward",), clearance="restricted")
SALES, OPS = AccessKey("sales", "internal", "build"), AccessKey("ops", "internal", "build")
FRAUD = AccessKey("risk", "restricted", "build")

LOOKING = """package fairmesh.domains.sales

hide contains {"id": id, "field": "dct:description"} if {
	some id, _ in input.resources
	some other in input.resources
	other.classification == "restricted"
}
"""
CONFLICT = """package fairmesh.domains.sales

x := 1

x := 2 if input.subject.clearance == "internal"

deny contains {"id": id, "reason": "probe"} if {
	some id, _ in input.resources
	x == 3
}
"""
FAILING = {
    "a conflict": CONFLICT,
    "no code for a reason": """package fairmesh.domains.sales

deny contains {"id": id, "reason": concat(" ", ["No", "Code"])} if some id, _ in input.resources
""",
    "no end": """package fairmesh.domains.sales

deny contains {"id": id, "reason": "slow"} if {
	some id, _ in input.resources
	numbers := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
	some a in numbers
	some b in numbers
	some c in numbers
	some d in numbers
	some e in numbers
	some f in numbers
	(((((a + b) + c) + d) + e) + f) > 1000
}
""",
}


def access_with(rules: str, owner: str = "domains/sales") -> Access:
    policies = PolicySet.from_files({**PolicySet.load().files, f"{owner}/rules.rego": rules.encode()})
    return Access(EmbeddedEngine(policies, chunk_seconds=0.5), policies)


@pytest.mark.parametrize("owner", ["domains/sales", "org/acme"])
def test_a_rule_sees_one_resource_at_a_time(owner: str) -> None:
    """Else what is shown of one product would tell what another, hidden one is."""
    access = access_with(LOOKING.replace("fairmesh.domains.sales", f"fairmesh.{owner.replace('/', '.')}"), owner)
    hidden = FIELDS[FIELD_NAMES["dct:description"]]
    alone = access.scope(ANN, [SALES], channel="http", now=NOW).grants.tolist()
    beside = access.scope(EVE, [SALES, FRAUD], channel="http", now=NOW).grants.tolist()
    among = access.scope(ANN, [SALES, FRAUD], channel="graphql", now=NOW).grants.tolist()
    assert alone == among[:1]
    assert alone[0] & hidden
    assert beside[0] & hidden
    assert bool(beside[1] & hidden) is (owner == "domains/sales"), (
        "the organisation's rule holds for the product itself"
    )


@pytest.mark.parametrize("name", FAILING)
def test_a_domain_whose_policy_fails_loses_its_own_products_only(name: str) -> None:
    access = access_with(FAILING[name])
    for channel in ("http", "graphql"):
        grants = access.scope(ANN, [SALES, OPS], channel=channel, now=NOW).grants.tolist()
        assert (grants[0], grants[1] & Need.READ) == (0, Need.READ)
    decision = access.decide(ANN, Action.READ_METADATA, SALES, channel="http", now=NOW)
    assert (decision.allowed, decision.reasons) == (False, ("domain-policy-failed",))
    for domain in ("", "sales"):  # else nobody could mend it
        assert access.on_files(EVE, Action.GOVERN, "policy", domain, channel="http", now=NOW).allowed, (
            "else nobody could mend it"
        )


def test_a_failure_of_the_organisation_refuses_everything() -> None:
    access = access_with(CONFLICT.replace("domains.sales", "org.acme"), "org/acme")
    for key in (SALES, OPS):
        with pytest.raises(PolicyUnavailable):
            access.decide(ANN, Action.READ_METADATA, key, channel="http", now=NOW)


def test_a_strict_access_fails_with_the_domain() -> None:
    access = access_with(CONFLICT)
    strict = Access(EmbeddedEngine(access.policies), access.policies, strict=True)
    with pytest.raises(PolicyUnavailable):
        strict.scope(ANN, [SALES, OPS], channel="http", now=NOW)


@pytest.mark.parametrize("look", ['input.subject.id == "bob"', "f(input.subject)", "f(input)"])
def test_a_domain_does_not_ask_for_persons(look: str) -> None:
    text = f"""package fairmesh.domains.sales

f(x) if x.id == "bob"

deny contains {{"id": id, "reason": "bob"}} if {{
	some id, _ in input.resources
	{look}
	f({{"id": "bob"}})
}}
"""
    with pytest.raises(ConfigError, match="by id") as caught:
        access_with(text)
    assert caught.value.line == 7
    access_with(text.replace("domains.sales", "org.acme"), "org/acme")


def test_a_domain_that_was_slow_once_is_back_in_the_next_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    access = access_with(LOOKING)
    monkeypatch.setattr(module, "_SUSPENDED_SECONDS", 0.0)

    def late(inputs: Sequence[str]) -> list[object]:
        if inputs:
            raise PolicyUnavailable("out of time")
        return []

    with monkeypatch.context() as slow:
        slow.setattr(access._engine, "evaluate", late)
        assert access.scope(ANN, [SALES], channel="http", now=NOW).grants.tolist() == [0]
        with pytest.raises(PolicyUnavailable):
            access.scope(ANN, [OPS], channel="graphql", now=NOW)
    later = access.scope(ANN, [SALES], channel="http", now=NOW + timedelta(minutes=1))
    assert int(later.grants[0]) & Need.READ == Need.READ
