"""What follows from the law, one by one, and where each is shown.

`SHOWN` numbers the consequences as the contract on access does; what no other test shows is shown here. A surface
that does not exist yet is pinned: when it appears, its pin fails, and says what is to be shown then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from conftest import ROOT

from law.asking import Request
from law.meshes import KEYS, Case, Doc, make_pair
from law.serving import Answer
from law.trial import Trial, embedded, open_trial

LAW = "properties/test_law.py::test_a_planted_leak_is_found"
ENGINES = "contract/test_policy_engines.py"
HERE = "law/test_consequences.py"

SHOWN: Mapping[int, tuple[str, tuple[str, ...]]] = {
    1: ("undefined denies", (
        f"{ENGINES}::test_a_missing_resource_is_denied",
        f"{ENGINES}::test_an_error_in_a_rule_refuses_instead_of_being_undefined",
    )),
    2: ("an engine that is down, late or malformed denies, with the same 503 for everything", (
        f"{ENGINES}::test_answers_of_a_sick_server_refuse",
        f"{ENGINES}::test_a_slow_server_refuses",
        f"{ENGINES}::test_a_server_that_is_down_refuses_in_the_same_words",
        f"{ENGINES}::test_answers_that_are_not_decisions_never_allow",
        "e2e/test_http.py::test_an_engine_that_is_down_refuses_everything",
        "e2e/test_graphql.py::test_without_a_policy_engine_nothing_is_answered",
        "e2e/test_decisions.py::test_without_a_decision_everything_is_refused",
    )),
    3: ("a deny beats an allow", (
        f"{ENGINES}::test_denies_of_organisation_and_domain_win",
        "properties/test_policy_parity.py::test_adding_a_deny_never_enlarges",
        "properties/test_narrowing.py::test_a_narrower_policy_shows_nothing_more",
    )),
    4: ("unknown roles and actions deny", (
        f"{ENGINES}::test_golden_table",
        "properties/test_policy_parity.py::test_no_hostile_subject_changes_anything",
    )),
    5: ("NUL, quotes and oversized integers never change an answer", (
        "unit/test_access.py::test_odd_values_are_denied_without_asking",
        "properties/test_policy_parity.py::test_both_engines_agree",
        "e2e/test_decisions.py::test_hostile_facts_never_allow",
        "e2e/test_hostile.py::test_in_tokens_and_subject_facts",
        "e2e/test_hostile.py::test_in_keys_addresses_and_parameters",
        "e2e/test_hostile.py::test_in_graphql_variables",
        "e2e/test_hostile.py::test_in_documents",
    )),
    6: ("hidden and missing ids give identical errors", (
        "e2e/test_http.py::test_hidden_and_absent_read_alike",
        "e2e/test_graphql.py::test_hidden_and_absent_read_alike",
        "e2e/test_decisions.py::test_hidden_missing_and_retired_read_alike",
        "e2e/test_cli.py::test_hidden_and_absent_are_both_1_in_the_same_words",
        f"{LAW}[forbidden_where_there_is_something]",
        f"{LAW}[tombstones_for_all]",
    )),
    7: ("totalCount counts the visible", (f"{LAW}[count_before_filter]", f"{LAW}[relations_counted_before_filter]")),
    8: ("facet values and counts are of the visible", (
        f"{LAW}[facets_over_all]", f"{LAW}[hidden_fields_as_facets]",
        "unit/test_view.py::test_facets_name_no_hidden_node",
    )),
    9: ("ranking scores are of the visible", (
        f"{LAW}[scores_with_hidden_statistics]", "properties/test_search_laws.py::test_hidden_things_are_absent",
    )),
    10: ("suggestions are of the visible", (
        f"{LAW}[suggestions_over_all]", "unit/test_search.py::test_misspelt_words_stand_for_visible_words_only",
    )),
    11: ("cursors count and show the visible only", (
        f"{LAW}[cursors_that_count_hidden_hits]", f"{LAW}[pages_that_know_of_hidden_products]",
    )),
    12: ("a masked field cannot be searched, filtered, sorted or counted by", (
        f"{LAW}[hidden_fields_searched]", f"{LAW}[hidden_fields_filtered_by]", f"{LAW}[masked_columns_shown]",
        "unit/test_obligations.py::test_hidden_fields_are_not_searched_counted_or_filtered",
        f"{HERE}::test_no_order_takes_a_field",
    )),
    13: ("lineage edges, depth and degree are of the visible", (
        f"{LAW}[lineage_counts_hidden_neighbours]", f"{LAW}[lineage_counts_hidden_ancestors]",
        "unit/test_lineage.py::test_a_hidden_node_in_the_middle_ends_the_walk",
    )),
    14: ("no path leads through a hidden node", (
        f"{LAW}[walks_through_hidden_nodes]", "properties/test_hiding.py::test_what_is_hidden_shows_in_no_walk",
    )),
    15: ("column lineage stops at masked columns", (
        "unit/test_lineage.py::test_column_lineage_stops_at_masked_columns",
        "unit/test_view.py::test_columns_are_masked_wherever_they_hang",
    )),
    16: ("nested GraphQL from any parent, node(id) and aliases", (
        "properties/test_law.py::test_what_is_hidden_shows_in_no_answer",
        "properties/test_law.py::test_nor_when_an_opa_server_decides",
        f"{HERE}::test_every_field_and_mutation_of_the_schema_is_asked_for",
        f"{LAW}[descriptions_of_what_may_be_discovered]",
    )),
    17: ("SPARQL", (f"{HERE}::test_there_is_no_such_surface_yet[SPARQL]",)),
    18: ("history and time travel are under today's policy", (
        f"{LAW}[revisions_by_the_policy_of_their_time]",
        "unit/test_catalog.py::test_history_shows_no_revision_that_was_more_sensitive",
        "unit/test_obligations.py::test_the_past_hides_what_is_hidden_today",
        f"{HERE}::test_no_other_read_takes_a_moment_of_the_past_yet",
    )),
    19: ("exports and feeds", (
        "e2e/test_enforcement.py::test_the_bundle_is_for_those_who_may_read_everything",
        f"{HERE}::test_there_is_no_such_surface_yet[catalog]",
    )),
    20: ("validation reports never name hidden nodes", (
        f"{LAW}[rules_told_of_hidden_nodes]", f"{LAW}[rules_judge_what_is_hidden]",
        f"{LAW}[discoverable_products_judged]", f"{LAW}[discoverable_products_assessed]",
        "unit/test_view.py::test_reports_name_nothing_hidden",
    )),
    21: ("registering a taken IRI, or referring to a hidden one, is no oracle", (
        f"{HERE}::test_what_is_stored_under_a_hidden_key_does_not_show_when_it_is_claimed",
        "unit/test_catalog.py::test_lineage_targets_missing_and_hidden_get_the_same_warning",
        f"{LAW}[submissions_compared_with_hidden_nodes]", f"{LAW}[hidden_readers_keep_a_product]",
    )),
    22: ("ETag, Last-Modified and statistics are of the visible", (
        f"{LAW}[tag_of_the_whole_document]",
        "properties/test_hidden_writes.py::test_writes_to_hidden_products_change_no_answer",
        f"{HERE}::test_no_answer_is_for_a_shared_cache_or_says_when_it_was_changed",
    )),
    23: ("subscriptions stop after revocation", (
        f"{HERE}::test_there_is_no_such_surface_yet[subscriptions]",
        "unit/test_auth.py::test_a_revoked_token_stops_at_once_everywhere",
        "e2e/test_cli.py::test_a_token_counts_and_ends_beside_a_running_server",
    )),
    24: ("shared caches never cross subjects, and a policy change invalidates them", (
        f"{LAW}[scopes_kept_for_all_subjects]", f"{LAW}[answers_kept_for_all_subjects]",
        "unit/test_access.py::test_caches_never_cross_subjects_channels_or_purposes",
        "unit/test_policing.py::test_a_scope_that_was_cached_is_not_used_any_more",
        "properties/test_narrowing.py::test_nothing_of_the_policy_before_stays",
        f"{HERE}::test_no_answer_is_for_a_shared_cache_or_says_when_it_was_changed",
    )),
    25: ("query cost, logs and metric labels reveal nothing", (
        "e2e/test_graphql.py::test_cost_tells_nothing_of_what_is_there",
        "e2e/test_decision_log.py::test_what_the_service_decides_is_recorded_and_none_of_it_served",
        f"{HERE}::test_there_is_no_such_surface_yet[metrics]",
    )),
    26: ("no reference to a hidden node stays in RDF, digests or change lists", (
        f"{LAW}[hidden_nodes_named_in_rdf]", f"{LAW}[hidden_nodes_named_in_changes]",
        f"{LAW}[what_hidden_fields_lead_to]", "properties/test_hiding.py::test_no_trap_shows_what_is_hidden",
    )),
    27: ("deciding for another subject, own shapes and terms of hidden documents need govern", (
        "e2e/test_policies.py::test_deciding_for_others_needs_govern_whatever_the_node",
        "e2e/test_decisions.py::test_what_takes_the_govern_action",
        "e2e/test_graphql.py::test_own_shapes_need_the_govern_action",
        f"{LAW}[domains_of_hidden_products]",
        f"{HERE}::test_a_term_that_only_hidden_documents_use_is_not_there",
    )),
}  # fmt: skip


def test_each_of_the_27_is_shown_by_tests_that_are_collected() -> None:
    assert list(SHOWN) == list(range(1, 28))
    named = {name for _, names in SHOWN.values() for name in names}
    files = sorted({name.partition("::")[0] for name in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True).stdout
    collected = {line.strip().removeprefix("tests/") for line in listed.splitlines() if "::" in line}
    collected |= {name.partition("[")[0] for name in collected}
    assert named - collected == set()


# -- what no other test shows -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with open_trial(embedded, tmp_path_factory.mktemp("embedded")) as made:
        yield made


HIDDEN = "people.b"
STORY = (
    Doc("sales.d", sources=("people.b",)),
    Doc(HIDDEN, "restricted", owner="ops", term="customer", traps=((6, "sales.d"),)),
    Doc("web.f", sources=("people.b",)),
)


def ask(trial: Trial, request: Request, name: str = "sales") -> Answer:
    """What the mesh of `STORY` answers to who may not see `HIDDEN`; a mesh without it answers the same."""
    pair = make_pair(trial.access("default"), trial.validator, Case("sales", "default", False, STORY))
    trial.court.open(pair)
    whole, less = trial.court.answers(request, name)
    assert whole == less
    return whole


def graphql(query: str) -> Request:
    return Request("POST", "/graphql", (("content-type", "application/json"),), json.dumps({"query": query}).encode())


def document(key: str, **facts: object) -> Request:
    headers = (("content-type", "text/turtle"),)
    return Request("POST", "/products?dry_run=true", headers, Doc(key, **facts).text())  # type: ignore[arg-type]


def test_what_is_stored_under_a_hidden_key_does_not_show_when_it_is_claimed(trial: Trial) -> None:
    taken, free = (ask(trial, document(key)) for key in (HIDDEN, "people.never"))
    assert taken.status == free.status == 403
    assert taken.body.replace(HIDDEN.encode(), b"") == free.body.replace(b"people.never", b"")
    refers, dangles = (ask(trial, document("sales.e", sources=(key,))) for key in (HIDDEN, "people.never"))
    assert refers.status == dangles.status == 200
    assert refers.body.replace(HIDDEN.encode(), b"") == dangles.body.replace(b"people.never", b"")


def test_a_term_that_only_hidden_documents_use_is_not_there(trial: Trial) -> None:
    terms = graphql("{ glossaryTerms(first: 200) { totalCount nodes { iri } } }")
    assert b"term/amount" not in ask(trial, terms).body
    pair = make_pair(trial.access("default"), trial.validator, Case("sales", "default", False, STORY))
    trial.court.open(pair)
    assert b"term/amount" in trial.court.answers(terms, "bystander")[0].body


def test_no_order_takes_a_field(trial: Trial) -> None:
    """When an order can be by a field, who must not see the field must not be told its order."""
    answer = ask(trial, graphql('{ __type(name: "SearchOrder") { enumValues { name } } }'))
    orders = {value["name"] for value in json.loads(answer.body)["data"]["__type"]["enumValues"]}
    assert orders <= {"RELEVANCE", "LABEL", "UPDATED", "FAIR_SCORE"}  # the score of what the reader sees


def test_every_field_and_mutation_of_the_schema_is_asked_for(trial: Trial) -> None:
    writer = trial.writer
    assert writer.fields - set(writer.asked) == set()
    assert writer.input_scalars() - {"IRI", "ID", "String", "Int", "Float", "Boolean", "DateTime", "LanguageTag"} <= {
        "JSON"
    }


def test_no_answer_is_for_a_shared_cache_or_says_when_it_was_changed(trial: Trial) -> None:
    requests = [Request("GET", f"/products/{key}") for key in KEYS]
    requests += [Request("GET", f"/id/{key}/data") for key in KEYS]
    requests += [graphql("{ dataProducts { totalCount } }"), document("sales.e"), Request("GET", "/ns")]
    for request in requests:
        headers = {name.decode().lower(): value.decode() for name, value in ask(trial, request).headers}
        assert headers["cache-control"].startswith("private"), request
        assert "last-modified" not in headers, request


# -- surfaces that do not exist yet -----------------------------------------------------------------------------------

NOT_YET = {
    "SPARQL": ("/sparql", "ASK, COUNT, property paths, FROM NAMED and error texts over the caller's graph alone"),
    "catalog": ("/catalog", "the DCAT catalog and its paging links list the visible only"),
    "metrics": ("/metrics", "no label or count of a metric tells of a product"),
    "subscriptions": ("/graphql", "a subscription ends when its token is revoked or the policy changes"),
}


@pytest.mark.parametrize("name", NOT_YET)
def test_there_is_no_such_surface_yet(trial: Trial, name: str) -> None:
    path, then = NOT_YET[name]
    if name == "subscriptions":
        answer = ask(trial, graphql("{ __schema { subscriptionType { name } } }"))
        assert json.loads(answer.body)["data"]["__schema"]["subscriptionType"] is None, f"show that {then}"
    else:
        for method in ("GET", "POST"):
            assert ask(trial, Request(method, path)).status == 404, f"{path} is there: show {then}"


def test_no_other_read_takes_a_moment_of_the_past_yet(trial: Trial) -> None:
    """When one does, today's policy has to decide about what it shows. Those that list policies need govern; rule sets
    hold nothing of products; how products stood is told of those that the reader may read today, as far as they see."""
    schema = trial.court.schema()
    taking = {
        f"{kind.name}.{name}" for kind in schema.type_map.values() if hasattr(kind, "fields")
        for name, field in kind.fields.items() if "asOf" in getattr(field, "args", {}) or name == "asOf"
    } - {"Query.policies", "Lineage.asOf", "Query.governance", "Query.ruleSet"}  # fmt: skip
    assert taking == set()
    for parameter in ("revision=1", "as_of=2025-01-01T00:00:00Z"):
        assert ask(trial, Request("GET", f"/products/sales.d?{parameter}")).status == 400
