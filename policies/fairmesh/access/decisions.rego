# METADATA
# scope: package
# title: Access decisions
# description: |
#   One decision per resource. What the policy does not understand is refused; a deny wins over every grant; else one
#   grant is enough; else the answer is no.
package fairmesh.access

# METADATA
# title: The decision on every resource of the input
# description: What depends on the asker alone is worked out once and handed down; the embedded engine keeps no result.
# entrypoint: true
decisions := {id: decision(who, denied, id, r) |
	who := asker
	denied := denials
	some id, r in input.resources
}

decision(who, denied, id, r) := no(codes) if {
	codes := ((who.refusals | resource_refusals(r)) | denied.everywhere) | denied_by(denied.entries, id)
	count(codes) > 0
} else := yes(who, codes) if {
	codes := grants(who, r)
	count(codes) > 0
} else := no({shortfall(who)})

yes(who, codes) := {"allow": true, "reasons": sort(codes), "obligations": obligations(who, codes)}

no(codes) := {"allow": false, "reasons": sort(codes), "obligations": nothing}

# METADATA
# title: Denies of the organisation and of domains
# description: |
#   A package `fairmesh.org.<name>` denies any resource, a package `fairmesh.domains.<domain>` the resources of that
#   domain only, each by `deny contains {"id": id, "reason": "a-code"}`. They can add no grant.
deny contains entry if some entry in data.fairmesh.org[_].deny

deny contains entry if {
	some name, rules in data.fairmesh.domains
	own := ids_of(name)
	some entry in rules.deny
	entry.id in own
}

ids_of(domain) := {id | input.resources[id].domain == domain}

denials := {"entries": deny, "everywhere": malformed_denies}

denied_by(entries, id) := {entry.reason | some entry in entries; entry.id == id}

# A deny that names no resource of the input or no reason would deny nothing, silently: it denies everything.
malformed_denies := {"malformed-deny" |
	ids := object.keys(input.resources)
	some entry in stated
	not well_formed(entry, ids)
}

stated contains entry if some entry in data.fairmesh.org[_].deny

stated contains entry if some entry in data.fairmesh.domains[_].deny

well_formed(entry, ids) if {
	entry.id in ids
	is_string(entry.reason)
}
