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

test_organisation_deny_wins if {
	found := access.decisions with input as asked
		with data.fairmesh.org as {"acme": {"deny": {{"id": "a", "reason": "frozen"}}}}
	found.a.reasons == ["frozen"]
	found.b.allow
}

test_domain_denies_its_own_products_only if {
	denied := {{"id": "a", "reason": "frozen"}, {"id": "b", "reason": "frozen"}}
	found := access.decisions with input as asked with data.fairmesh.domains as {"hr": {"deny": denied}}
	found.a.allow
	not found.b.allow
}

test_malformed_deny_denies_everything if {
	found := access.decisions with input as asked with data.fairmesh.org as {"acme": {"deny": {"frozen"}}}
	found.a.reasons == ["malformed-deny"]
	found.b.reasons == ["malformed-deny"]
}
