# METADATA
# scope: package
# description: |
#   The unit tests of the rules: name -> who asks to do what to which product, and the whole answer. Both engines run
#   them.
package fairmesh.access_cases

product := {
	"type": "product", "domain": "sales", "classification": "internal", "tags": [], "status": "build",
	"is_owner": false, "is_member": false,
}

bundle := object.union(product, {"type": "policy", "domain": "", "classification": "restricted", "status": ""})

waiver(rule) := object.union(bundle, {"type": "waiver", "domain": "sales", "tags": [rule]})

classified(word) := object.union(product, {"classification": word})

insider := {
	"id": "p", "kind": "user", "roles": ["analyst"], "teams": [], "domains": ["sales"], "clearance": "public",
	"purpose": "",
}

stranger := object.union(insider, {"domains": []})

with_roles(roles) := object.union(insider, {"roles": roles})

asked(subject, action, resource) := {
	"v": 1, "subject": subject, "action": action, "resources": {"r": resource},
	"context": {"now_ns": 0, "channel": "http"},
}

yes(reasons, masked) := {
	"allow": true, "reasons": reasons,
	"obligations": {"mask_columns": masked, "hide_fields": [], "row_filter": null},
}

no(reasons) := {
	"allow": false, "reasons": reasons,
	"obligations": {"mask_columns": [], "hide_fields": [], "row_filter": null},
}

cases := {
	"the own domain reads restricted": {
		"input": asked(insider, "read_metadata", classified("restricted")),
		"answer": yes(["own-domain"], []),
	},
	"clearance covers what is less sensitive": {
		"input": asked(object.union(stranger, {"clearance": "confidential"}), "read_metadata", product),
		"answer": yes(["clearance-covers"], ["restricted"]),
	},
	"above the clearance is denied": {
		"input": asked(stranger, "read_metadata", product),
		"answer": no(["not-cleared"]),
	},
	"confidential is discoverable": {
		"input": asked(stranger, "discover", classified("confidential")),
		"answer": yes(["confidential-discoverable"], ["internal", "confidential", "restricted"]),
	},
	"confidential is not readable": {
		"input": asked(stranger, "read_metadata", classified("confidential")),
		"answer": no(["not-cleared"]),
	},
	"restricted is not discoverable": {
		"input": asked(stranger, "discover", classified("restricted")),
		"answer": no(["not-cleared"]),
	},
	"an unknown classification is not covered": {
		"input": asked(object.union(stranger, {"clearance": "restricted"}), "discover", classified("secret")),
		"answer": no(["not-cleared"]),
	},
	"the owning team reads": {
		"input": asked(stranger, "read_metadata", object.union(product, {"is_owner": true})),
		"answer": yes(["team-owns"], []),
	},
	"membership alone grants nothing": {
		"input": asked(stranger, "read_metadata", object.union(product, {"is_member": true})),
		"answer": no(["not-cleared"]),
	},
	"anonymous discovers nothing confidential": {
		"input": asked(object.union(insider, {"kind": "anonymous"}), "discover", classified("confidential")),
		"answer": no(["not-cleared"]),
	},
	"what an anonymous subject claims is ignored": {
		"input": asked(
			object.union(with_roles(["steward"]), {"kind": "anonymous", "clearance": "restricted"}),
			"read_metadata", product,
		),
		"answer": no(["not-cleared"]),
	},
	"a producer registers in the own domain": {
		"input": asked(with_roles(["producer"]), "register", product),
		"answer": yes(["producer-own-domain"], []),
	},
	"a producer retires nothing elsewhere": {
		"input": asked(with_roles(["producer"]), "retire", object.union(product, {"domain": "hr"})),
		"answer": no(["not-your-domain"]),
	},
	"a producer changes no rule set": {
		"input": asked(with_roles(["producer"]), "update", object.union(product, {"type": "ruleset"})),
		"answer": no(["not-your-domain"]),
	},
	"an analyst registers nothing": {
		"input": asked(insider, "register", product),
		"answer": no(["role-may-not"]),
	},
	"a steward governs": {
		"input": asked(with_roles(["steward"]), "govern", object.union(product, {"type": "ruleset", "domain": ""})),
		"answer": yes(["role-steward"], []),
	},
	"a producer governs the policy of the own domain": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "policy"})),
		"answer": yes(["producer-own-domain"], []),
	},
	"a producer governs no other domain's policy": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "policy", "domain": "hr"})),
		"answer": no(["role-may-not"]),
	},
	"a producer does not govern the whole policy": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "policy", "domain": ""})),
		"answer": no(["role-may-not"]),
	},
	"a producer governs the rules of the own domain": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "ruleset"})),
		"answer": yes(["producer-own-domain"], []),
	},
	"a producer governs no other domain's rules": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "ruleset", "domain": "hr"})),
		"answer": no(["role-may-not"]),
	},
	"a producer does not govern the whole rule set": {
		"input": asked(with_roles(["producer"]), "govern", object.union(product, {"type": "ruleset", "domain": ""})),
		"answer": no(["role-may-not"]),
	},
	"a producer governs no product": {
		"input": asked(with_roles(["producer"]), "govern", product),
		"answer": no(["role-may-not"]),
	},
	"a steward governs the whole policy": {
		"input": asked(with_roles(["steward"]), "govern", object.union(product, {"type": "policy", "domain": ""})),
		"answer": yes(["role-steward"], []),
	},
	"an auditor governs no policy, as a producer neither": {
		"input": asked(with_roles(["auditor", "producer"]), "govern", object.union(product, {"type": "policy"})),
		"answer": no(["role-may-not"]),
	},
	"a steward waives a rule": {
		"input": asked(with_roles(["steward"]), "govern", waiver("core/12")),
		"answer": yes(["role-steward"], []),
	},
	"a steward who produces for the domain waives none for it": {
		"input": asked(with_roles(["producer", "steward"]), "govern", waiver("core/12")),
		"answer": no(["own-waiver"]),
	},
	"a steward who produces elsewhere waives a rule": {
		"input": asked(
			object.union(with_roles(["producer", "steward"]), {"domains": ["hr"]}),
			"govern", waiver("core/12"),
		),
		"answer": yes(["role-steward"], []),
	},
	"a producer waives no rule of the own domain either": {
		"input": asked(with_roles(["producer"]), "govern", waiver("domains/sales/freshness")),
		"answer": no(["own-waiver"]),
	},
	"an auditor waives nothing, as a steward neither": {
		"input": asked(with_roles(["auditor", "steward"]), "govern", waiver("core/12")),
		"answer": no(["role-may-not"]),
	},
	"an auditor changes nothing, whatever else": {
		"input": asked(with_roles(["auditor", "producer"]), "register", product),
		"answer": no(["role-may-not"]),
	},
	"an unknown role denies everything": {
		"input": asked(with_roles(["analyst", "king"]), "discover", classified("public")),
		"answer": no(["unknown-role"]),
	},
	"an unknown action denies": {
		"input": asked(with_roles(["steward"]), "destroy", product),
		"answer": no(["unknown-action"]),
	},
	"an unknown kind of subject denies": {
		"input": asked(object.union(insider, {"kind": "robot"}), "discover", classified("public")),
		"answer": no(["unknown-kind"]),
	},
	"an unknown clearance denies": {
		"input": asked(object.union(insider, {"clearance": "cosmic"}), "discover", classified("public")),
		"answer": no(["unknown-clearance"]),
	},
	"an unknown type of resource denies": {
		"input": asked(insider, "discover", object.union(product, {"type": "planet"})),
		"answer": no(["unknown-type"]),
	},
	"roles that are no list deny": {
		"input": asked(object.union(insider, {"roles": "steward"}), "discover", classified("public")),
		"answer": no(["malformed-input"]),
	},
	"a steward is masked in data, not in descriptions": {
		"input": asked(object.union(stranger, {"roles": ["steward"]}), "read_data", classified("public")),
		"answer": yes(["clearance-covers"], ["internal", "confidential", "restricted"]),
	},
	"a steward reads every description whole": {
		"input": asked(object.union(stranger, {"roles": ["steward"]}), "read_metadata", classified("restricted")),
		"answer": yes(["role-steward"], []),
	},
	"a steward has the bundle": {
		"input": asked(with_roles(["steward"]), "read_metadata", bundle),
		"answer": yes(["role-steward"], []),
	},
	"an auditor has the bundle": {
		"input": asked(with_roles(["auditor"]), "read_metadata", bundle),
		"answer": yes(["role-auditor"], []),
	},
	"who is cleared for everything has the bundle": {
		"input": asked(object.union(stranger, {"clearance": "restricted"}), "read_metadata", bundle),
		"answer": yes(["clearance-covers"], []),
	},
	"nobody else has the bundle": {
		"input": asked(object.union(insider, {"domains": ["", "sales"]}), "read_metadata", bundle),
		"answer": no(["not-cleared"]),
	},
	"a producer does not have the bundle": {
		"input": asked(with_roles(["producer"]), "read_metadata", bundle),
		"answer": no(["not-cleared"]),
	},
}
