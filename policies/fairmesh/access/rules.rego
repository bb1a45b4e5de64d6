package fairmesh.access

# What people edit: the levels, the roles, and which reasons allow which action.

classifications := ["public", "internal", "confidential", "restricted"]

rank := {"public": 0, "internal": 1, "confidential": 2, "restricted": 3}

known_kinds := {"user", "service", "anonymous"}

known_roles := {"analyst", "producer", "steward", "auditor"}

known_types := {"product", "dataset", "column", "ruleset", "policy", "waiver"}

reading := {"discover", "read_metadata", "read_data"}

changing := {"register", "update", "retire", "govern"}

# One reason that holds is enough. What may be read may be discovered.
granting := {
	"discover": [
		"clearance-covers", "own-domain", "team-owns", "role-steward", "role-auditor",
		"confidential-discoverable",
	],
	"read_metadata": ["clearance-covers", "own-domain", "team-owns", "role-steward", "role-auditor"],
	"read_data": ["clearance-covers", "own-domain", "team-owns"],
	"register": ["producer-own-domain"],
	"update": ["producer-own-domain"],
	"retire": ["producer-own-domain"],
	"govern": ["role-steward", "producer-own-domain"],
}

# What a domain has of its own: its products and, to govern, its policy files and its rules (`domains/<domain>/` of
# both).
owned_types := {"product", "dataset", "column"} if {
	input.action != "govern"
} else := {"policy", "ruleset"}

# The reasons of the table that hold: some by the asker alone, some by how the asker stands to the resource.
grants(who, r) := ((by_clearance(who, r) | by_domain(who, r)) | (by_team(who, r) | by_knowing(who, r))) | who.standing

by_clearance(who, r) := {"clearance-covers" |
	"clearance-covers" in who.granting
	rank[r.classification] <= who.clearance
}

by_domain(who, r) := {code |
	r.domain in who.domains
	some code in who.own_domain
	r.type in who.owned_types
}

by_team(who, r) := {"team-owns" |
	r.is_owner == true
	who.authenticated
	"team-owns" in who.granting
}

by_knowing(who, r) := {"confidential-discoverable" |
	r.classification == "confidential"
	who.authenticated
	"confidential-discoverable" in who.granting
}

# Why nothing was granted.
shortfall(who) := "not-cleared" if {
	who.reads
} else := "not-your-domain" if {
	"producer" in who.roles
	input.action != "govern"
} else := "role-may-not"

# Columns classified above the reader's clearance are masked, not the product. Own products are read whole.
obligations(who, codes) := nothing if {
	some code in ["own-domain", "team-owns"]
	code in codes
} else := who.masking

nothing := {"mask_columns": [], "hide_fields": [], "row_filter": null}

# One of these refuses, whatever else holds.

resource_refusals(who, r) := {"unknown-type" | not r.type in known_types} | own_waiver(who, r)

# Who produces for a domain approves no waiver of its products, whatever other role there is beside it.
own_waiver(who, r) := {"own-waiver" |
	r.type == "waiver"
	input.action == "govern"
	"producer" in who.roles
	r.domain in who.domains
}

refusals contains "malformed-input" if not well_formed_input

refusals contains "unknown-action" if not input.action in known_actions

refusals contains "unknown-kind" if not input.subject.kind in known_kinds

refusals contains "unknown-clearance" if not input.subject.clearance in classifications

refusals contains "unknown-role" if {
	some role in input.subject.roles
	not role in known_roles
}

# Auditors change nothing, also when they have another role beside it.
refusals contains "role-may-not" if {
	"auditor" in roles
	input.action in changing
}

known_actions := reading | changing

well_formed_input if {
	input.v == 1
	is_array(input.subject.roles)
	is_array(input.subject.domains)
	is_array(input.subject.teams)
}

# The asker. An anonymous one has clearance public and no role, domain or team, whatever the input says.

asker := {
	"authenticated": authenticated,
	"roles": roles,
	"domains": domains,
	"clearance": clearance,
	"reads": input.action in reading,
	"granting": granted_by,
	"standing": standing,
	"own_domain": own_domain,
	"owned_types": owned_types,
	"masking": masking,
	"refusals": refusals,
}

default authenticated := false

authenticated if input.subject.kind in {"user", "service"}

roles := {role | authenticated; some role in input.subject.roles}

domains := {domain | authenticated; some domain in input.subject.domains; domain != ""}

# An unknown word or kind counts as public here; it is refused above.
default clearance := 0

clearance := rank[input.subject.clearance] if authenticated

granted_by := {code | some code in granting[input.action]}

standing contains "role-steward" if {
	"role-steward" in granted_by
	"steward" in roles
}

standing contains "role-auditor" if {
	"role-auditor" in granted_by
	"auditor" in roles
}

own_domain contains "own-domain" if "own-domain" in granted_by

own_domain contains "producer-own-domain" if {
	"producer-own-domain" in granted_by
	"producer" in roles
}

# Stewards and auditors read every description whole; their right does not reach into the data.
default masking := {"mask_columns": [], "hide_fields": [], "row_filter": null}

masking := {"mask_columns": above_clearance, "hide_fields": [], "row_filter": null} if {
	input.action in reading
	not reads_all
}

above_clearance := [word | some word in classifications; rank[word] > clearance]

reads_all if {
	input.action != "read_data"
	some role in {"steward", "auditor"}
	role in roles
}
