package fairmesh.access_test

import data.fairmesh.access
import data.fairmesh.access_cases

test_cases[name] if {
	some name, case in access_cases.cases
	access.decisions == {"r": case.answer} with input as case.input
}

resource := {
	"type": "product", "domain": "sales", "classification": "public", "tags": [], "status": "build",
	"is_owner": false, "is_member": false,
}

asked := {
	"v": 1, "action": "discover", "resources": {"a": resource, "b": object.union(resource, {"domain": "hr"})},
	"subject": {
		"id": "s", "kind": "user", "roles": ["steward"], "teams": [], "domains": [], "clearance": "public", "purpose": "",
	},
	"context": {"now_ns": 0, "channel": "http"},
}

alone(id) := object.union(asked, {"resources": {id: asked.resources[id]}})

frozen(id) := {"acme": {"deny": {{"id": id, "reason": "frozen"}}}}

test_organisation_deny_wins if {
	found := access.decisions with input as alone("a") with data.fairmesh.org as frozen("a")
	found.a.reasons == ["frozen"]
}

test_domain_denies_its_own_products_only if {
	of_hr := {"hr": {"deny": {{"id": "a", "reason": "frozen"}}}}
	found := access.decisions with input as alone("a") with data.fairmesh.domains as of_hr
	found.a.allow
}

test_domain_denies_its_own_products if {
	found := access.decisions with input as alone("b") with data.fairmesh.domains as {"hr": {"deny": {{
		"id": "b",
		"reason": "frozen",
	}}}}
	found.b.reasons == ["frozen"]
}

test_malformed_deny_denies_everything if {
	found := access.decisions with input as asked with data.fairmesh.org as {"acme": {"deny": {"frozen"}}}
	found.a.reasons == ["malformed-deny"]
	found.b.reasons == ["malformed-deny"]
}

test_an_entry_about_another_resource_is_malformed if {
	found := access.decisions with input as alone("a") with data.fairmesh.org as frozen("b")
	found.a.reasons == ["malformed-deny"]
}

test_a_domain_has_no_say_in_waivers if {
	waiver := object.union(resource, {"type": "waiver", "classification": "restricted", "tags": ["core/12"]})
	asked_for := object.union(asked, {"action": "govern", "resources": {"a": waiver}})
	found := access.decisions with input as asked_for with data.fairmesh.domains as {"sales": {"deny": {{
		"id": "a",
		"reason": "frozen",
	}}}}
	found.a.allow
}

test_an_organisation_keeps_a_rule_from_being_waived if {
	waiver := object.union(resource, {"type": "waiver", "classification": "restricted", "tags": ["core/12"]})
	asked_for := object.union(asked, {"action": "govern", "resources": {"a": waiver}})
	found := access.decisions with input as asked_for with data.fairmesh.org as frozen("a")
	found.a.reasons == ["frozen"]
}
