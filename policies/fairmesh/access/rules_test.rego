package fairmesh.access_test

product := {
	"type": "product", "domain": "sales", "classification": "internal", "tags": [], "status": "build",
	"is_owner": false, "is_member": false,
}

person := {
	"id": "p", "kind": "user", "roles": ["analyst"], "teams": [], "domains": ["sales"], "clearance": "public",
	"purpose": "",
}

stranger := object.union(person, {"domains": []})

asked(action, subject, resource) := {
	"v": 1, "action": action, "subject": subject, "resources": {"r": resource},
	"context": {"now_ns": 0, "channel": "http"},
}

classified(word) := object.union(product, {"classification": word})

role(name) := object.union(person, {"roles": [name]})

answer(action, subject, resource) := found.r if {
	document := asked(action, subject, resource)
	found := data.fairmesh.access.decisions with input as document
}

allows(action, subject, resource) if answer(action, subject, resource).allow == true

reasons(action, subject, resource) := answer(action, subject, resource).reasons

masks(action, subject, resource) := answer(action, subject, resource).obligations.mask_columns

test_own_domain_reads_restricted if allows("read_metadata", person, classified("restricted"))

test_clearance_covers_lower if {
	cleared := object.union(stranger, {"clearance": "confidential"})
	reasons("read_metadata", cleared, classified("internal")) == ["clearance-covers"]
}

test_above_clearance_is_denied if {
	reasons("read_metadata", stranger, classified("internal")) == ["not-cleared"]
}

test_confidential_is_discoverable if {
	reasons("discover", stranger, classified("confidential")) == ["confidential-discoverable"]
}

test_confidential_is_not_readable if not allows("read_metadata", stranger, classified("confidential"))

test_restricted_is_not_discoverable if not allows("discover", stranger, classified("restricted"))

test_anonymous_discovers_no_confidential if {
	anonymous := object.union(person, {"kind": "anonymous"})
	not allows("discover", anonymous, classified("confidential"))
}

test_anonymous_has_no_rights_of_its_own if {
	claimed := {"kind": "anonymous", "roles": ["steward"], "clearance": "restricted"}
	not allows("read_metadata", object.union(person, claimed), classified("internal"))
}

test_producer_registers_in_own_domain if {
	reasons("register", role("producer"), product) == ["producer-own-domain"]
}

test_producer_elsewhere if {
	elsewhere := object.union(product, {"domain": "hr"})
	reasons("retire", role("producer"), elsewhere) == ["not-your-domain"]
}

test_analyst_registers_nothing if reasons("register", person, product) == ["role-may-not"]

test_steward_governs if allows("govern", role("steward"), object.union(product, {"type": "ruleset"}))

test_auditor_changes_nothing if {
	both := object.union(person, {"roles": ["auditor", "producer"]})
	reasons("register", both, product) == ["role-may-not"]
}

test_unknown_role_denies_everything if {
	odd := object.union(person, {"roles": ["analyst", "king"]})
	reasons("discover", odd, classified("public")) == ["unknown-role"]
}

test_unknown_action_denies if {
	reasons("destroy", role("steward"), product) == ["unknown-action"]
}

test_columns_above_clearance_are_masked if {
	masks("read_metadata", stranger, classified("public")) == ["internal", "confidential", "restricted"]
}

test_own_domain_masks_nothing if masks("read_metadata", person, product) == []

test_steward_is_masked_in_data_only if {
	outside := object.union(product, {"domain": "hr", "classification": "public"})
	masks("read_metadata", role("steward"), outside) == []
	masks("read_data", role("steward"), outside) == ["internal", "confidential", "restricted"]
}
