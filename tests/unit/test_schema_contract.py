"""The served GraphQL schema is the published contract, less what is not built yet, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    is_specified_directive,
    is_specified_scalar_type,
    print_ast,
)

from fairmesh.api.schema import execution

LEFT_OUT = {
    # time travel
    "Query.dataProduct(revision)": "reading the past is not built",
    "Query.dataProduct(asOf)": "reading the past is not built",
    "LineageInput.asOf": "reading the past is not built",
    "Lineage.asOf": "reading the past is not built",
    "TraversalInput.asOf": "reading the past is not built",
    # lineage of columns and runs
    "LineageInput.columns": "column lineage is not built",
    "LineageEdge.columns": "column lineage is not built",
    "ColumnLineage": "column lineage is not built",
    "Column.lineage": "column lineage is not built",
    "LineageEdge.run": "runs (OpenLineage) are not built",
    "LineageEdge.validFrom": "runs (OpenLineage) are not built",
    "LineageEdge.validUntil": "runs (OpenLineage) are not built",
    # the rest
    "RegisterInput.idempotencyKey": "registering is idempotent by content; keys are not kept",
    "Query.sparql": "SPARQL is not served",
    "SparqlResult": "SPARQL is not served",
    "SparqlTerm": "SPARQL is not served",
    "Query.rateLimit": "rates are not limited",
    "RateLimit": "rates are not limited",
    "Mutation.subscribeWebhook": "webhooks are not built",
    "WebhookInput": "webhooks are not built",
    "Webhook": "webhooks are not built",
    "WebhookPayload": "webhooks are not built",
    "Subscription": "subscriptions are not built: changes are asked for, see Query.changes",
}
ADDED = {
    # publishing policies
    "Query.policies(asOf)": "the policy in force at a moment",
    "Policy.publishedAt": "when a policy came into force",
    "Policy.publishedBy": "who put it in force",
    "Query.whoCanSee": "what known subjects may do with a product",
    "Query.explain": "why a decision came about",
    "SubjectAccess": "an answer of whoCanSee",
    "SubjectGroup": "subjects the policies cannot tell apart",
    "Explanation": "an answer of explain",
    "FiredRule": "a rule that had a part in a decision",
    "Mutation.proposePolicies": "what another policy would change",
    "ProposePoliciesInput": "of proposePolicies",
    "ProposePoliciesPayload": "of proposePolicies",
    "PolicyFileInput": "a file of a policy set",
    "PolicyImpact": "what another policy would change",
    "PolicyChange": "what a class of subjects gains or loses",
    "PolicyReplay": "recorded decisions under another policy",
    "Mutation.publishPolicies": "putting a policy in force",
    "PublishPoliciesInput": "of publishPolicies",
    "PublishPoliciesPayload": "of publishPolicies",
    # waivers
    "Query.waivers": "the waivers the caller may see",
    "DataProduct.waivers": "the waivers of a product",
    "Waiver": "one product excused from one rule",
    "WaiverConnection": "an answer of waivers",
    "WaiverEdge": "an answer of waivers",
    "Mutation.grantWaiver": "excusing a product from a rule",
    "GrantWaiverInput": "of grantWaiver",
    "GrantWaiverPayload": "of grantWaiver",
    "Mutation.withdrawWaiver": "ending a waiver",
    "WithdrawWaiverInput": "of withdrawWaiver",
    "WithdrawWaiverPayload": "of withdrawWaiver",
    # publishing rules
    "Query.ruleSet": "the rule set in force at a moment",
    "RuleSetVersion": "an answer of ruleSet",
    "RuleFile": "a file of a rule set in force",
    "Mutation.proposeRules": "what another rule set would change: files, where proposeShapes takes one level's shapes",
    "ProposeRulesInput": "of proposeRules",
    "RuleFileInput": "a file of a proposed rule set",
    "ShapeImpactPayload.impact": "counts by rule, domain and owner, beside the lists of products",
    "ShapeImpactPayload.problems": "why the lint or an example refuses the set, with lines",
    "Query.ruleImpactProgress": "how far it is",
    "ImpactProgress": "of ruleImpactProgress",
    "RuleSetImpact": "what another rule set would change, in numbers",
    "RuleImpactRow": "the numbers of one rule, domain or owner",
    "RuleProblem": "what the lint found",
    "RuleChange": "a rule that a set adds, removes or states otherwise",
    "RemovedTerms": "vocabulary terms that a set lacks",
    "Mutation.publishRules": "putting a rule set in force",
    "PublishRulesInput": "of publishRules",
    "PublishRulesPayload": "of publishRules",
    "Shape.mode": "what the rule does today",
    "Shape.nextMode": "what it will do",
    "Shape.nextModeFrom": "and from which day",
    "Shape.owner": "who answers for the rule",
    "Shape.since": "since when it is there",
    "Shape.page": "its page, for people",
    # the overview, and reports
    "GovernanceReport.shapesVersion": "the rule set that was in force then",
    "GovernanceReport.pending": "how far the judging by new rules is",
    "GovernanceReport.fairMean": "how FAIR the products are, on average",
    "GovernanceReport.byOwner": "rows by owner, beside those by domain and rule",
    "GovernanceReport.failed": "rules that ran into their limits",
    "FailedRule": "a rule that ran into its limits, and on how many products",
    "GovernanceReport.trend": "how it came about",
    "GovernanceReport.waivers": "the waivers that held then",
    "GovernancePoint": "a moment of a trend",
    "GovernanceRow.findings": "all findings, beside those that gate",
    "GovernanceRow.waived": "products that conform by waivers alone",
    "GovernanceRow.examples": "some products that a rule is about",
    "ValidationReport.checked": "that there is a verdict: conforms cannot be null",
    "ValidationReport.groups": "findings together by rule and path",
    "FindingGroup": "findings of one rule and path",
    "ValidationReport.failed": "rules that ran into their limits on this product",
    "FailedEvaluation": "a rule that ran into its limits, and why",
    # the change feed, asked for page by page
    "Query.changes": "the feed, while there are no subscriptions",
    "ChangeConnection": "an answer of changes",
    "ChangeEdge": "an answer of changes",
    "Change.conforms": "which way conformance changed",
    "Change.shapesVersion": "which rules are in force since",
    "Change.rulesDomain": "whose rules alone were replaced",
}
"""Elements the contract does not have, and what they are for."""
OTHER_WORDS = {
    "Query.dataProduct": "says nothing of revisions and moments, which are left out",
    "ValidationResult.fix": "has no words in the contract",
    "ShapeImpactPayload": "tells of products that newly pass as well",
    "Change.cursor": "is for the next page: there is nothing to reconnect to",
}
"""Elements whose description is not the contract's."""


@pytest.fixture(scope="module")
def contract(shared: Path) -> GraphQLSchema:
    return build_schema((shared / "contract" / "fairmesh.graphql").read_text("utf-8"))


@pytest.fixture(scope="module")
def served() -> GraphQLSchema:
    return build_schema(execution.build_schema().as_str())


def _fields(kind: GraphQLNamedType) -> dict[str, GraphQLField | GraphQLInputField]:
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        return dict(kind.fields)
    return {}


def _types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    for name, kind in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(kind):
            yield kind


def _value(element: GraphQLArgument | GraphQLInputField) -> str:
    node = element.ast_node
    default = node.default_value if node is not None else None
    return f"{element.type}" + (f" = {print_ast(default)}" if default is not None else "")


def _elements(schema: GraphQLSchema) -> dict[str, str]:
    """Every element of a schema by its name (Type, Type.field, Type.field(arg), Enum.VALUE), and what it is."""
    found: dict[str, str] = {}
    for kind in _types(schema):
        found[kind.name] = type(kind).__name__
        if isinstance(kind, GraphQLScalarType):
            found[kind.name] += f" {kind.specified_by_url}"
        if isinstance(kind, GraphQLInputObjectType) and kind.is_one_of:
            found[kind.name] += " @oneOf"
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            found[kind.name] += " implements " + " & ".join(sorted(i.name for i in kind.interfaces))
        if isinstance(kind, GraphQLEnumType):
            found |= {f"{kind.name}.{value}": "value" for value in kind.values}
        for name, field in _fields(kind).items():
            place = f"{kind.name}.{name}"
            if isinstance(field, GraphQLInputField):
                found[place] = _value(field)
                continue
            found[place] = str(field.type)
            found |= {f"{place}({arg})": _value(argument) for arg, argument in field.args.items()}
    return found


def _descriptions(schema: GraphQLSchema) -> dict[str, str]:
    found = {kind.name: kind.description for kind in _types(schema)}
    for kind in _types(schema):
        found |= {f"{kind.name}.{name}": field.description for name, field in _fields(kind).items()}
    return {name: text for name, text in found.items() if text}


def _directives(schema: GraphQLSchema) -> set[tuple[str, str]]:
    found = set()
    for kind in _types(schema):
        elements = {kind.name: kind, **{f"{kind.name}.{name}": field for name, field in _fields(kind).items()}}
        for name, element in elements.items():
            for directive in (element.ast_node.directives or ()) if element.ast_node else ():
                arguments = {a.name.value: print_ast(a.value) for a in directive.arguments or ()}
                arguments = {k: v for k, v in arguments.items() if (k, v) != ("inverse", "false")}
                found.add((name, f"@{directive.name.value}{sorted(arguments.items())}"))
    return found


def _listed(name: str, table: Mapping[str, str]) -> bool:
    parts = [name, name.partition("(")[0], name.partition("(")[0].partition(".")[0]]
    return any(part in table for part in parts)


def _left_out(name: str) -> bool:
    return _listed(name, LEFT_OUT)


def test_served_is_the_contract_less_and_more_what_is_listed(contract: GraphQLSchema, served: GraphQLSchema) -> None:
    promised = {name: kind for name, kind in _elements(contract).items() if not _left_out(name)}
    assert {name: kind for name, kind in _elements(served).items() if not _listed(name, ADDED)} == promised


def test_what_is_added_is_served_and_not_in_the_contract(contract: GraphQLSchema, served: GraphQLSchema) -> None:
    assert set(ADDED) <= set(_elements(served))
    assert not set(ADDED) & set(_elements(contract))


def test_what_is_left_out_is_in_the_contract(contract: GraphQLSchema) -> None:
    assert set(LEFT_OUT) <= set(_elements(contract))


def test_costs_and_rdf_terms_are_published(contract: GraphQLSchema, served: GraphQLSchema) -> None:
    promised = {entry for entry in _directives(contract) if not _left_out(entry[0])}
    assert promised
    missing = promised - _directives(served)
    assert not missing


def test_directive_definitions(contract: GraphQLSchema, served: GraphQLSchema) -> None:
    def definitions(schema: GraphQLSchema) -> dict[str, str]:
        own = [d for d in schema.directives if not is_specified_directive(d)]
        return {
            d.name: f"{sorted((name, _value(a)) for name, a in d.args.items())} {sorted(at.name for at in d.locations)}"
            for d in own
        }

    assert definitions(served) == definitions(contract)


def test_words_are_the_contracts(contract: GraphQLSchema, served: GraphQLSchema) -> None:
    ours = _descriptions(served)
    for name, text in _descriptions(contract).items():
        if not _left_out(name) and name not in OTHER_WORDS:
            assert ours.get(name) == text, name


@pytest.mark.parametrize(
    ("name", "goes_by"), [("governance", "The id of"), ("changes", "The id of"), ("waivers", "The domain's key")]
)
def test_a_domain_says_whether_it_is_named_by_id_or_key(served: GraphQLSchema, name: str, goes_by: str) -> None:
    assert served.query_type is not None
    assert str(served.query_type.fields[name].args["domain"].description).startswith(goes_by)


def test_every_list_field_that_pages_has_a_cost() -> None:
    schema = execution.build_schema()._schema
    weights = execution.weights(schema)
    for kind in _types(schema):
        for name, field in _fields(kind).items():
            if isinstance(field, GraphQLField) and "after" in field.args and kind.name != "ValidationReport":
                assert "first" in weights[kind.name, name].slicing
