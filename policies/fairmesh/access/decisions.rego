# METADATA
# scope: package
# title: Access decisions
# description: |
#   One decision per resource. What the policy does not understand is refused; a deny wins over every grant; else one
#   grant is enough; else the answer is no.
package fairmesh.access

# METADATA
# title: The decision on every resource of the input
# description: What depends on the asker alone is worked out once and handed down to all resources.
# entrypoint: true
decisions := {id: decision(who, narrow, id, r) |
	who := asker
	narrow := narrowing
	some id, r in input.resources
}

decision(who, narrow, id, r) := no(codes) if {
	codes := ((who.refusals | resource_refusals(r)) | flaws_in(narrow.flaws, reach(r))) | denied_by(narrow.deny, id)
	count(codes) > 0
} else := yes(codes, narrowed(narrow, id, obligations(who, codes))) if {
	codes := grants(who, r)
	count(codes) > 0
} else := no({shortfall(who)})

yes(codes, demanded) := {"allow": true, "reasons": sort(codes), "obligations": demanded}

no(codes) := {"allow": false, "reasons": sort(codes), "obligations": nothing}

# METADATA
# title: What the organisation and domains take away
# description: |
#   A package `fairmesh.org.<name>` narrows access to any resource, a package `fairmesh.domains.<domain>` to the
#   resources of that domain only. They can add no grant. Each entry names a resource by its `id`:
#   `deny contains {"id": id, "reason": "a-code"}`, `mask contains {"id": id, "classification": "restricted"}`,
#   `hide contains {"id": id, "field": "dct:description"}`, `rows contains {"id": id, "filter": "region = 'EU'"}`.
narrowing := {"deny": deny, "mask": mask, "hide": hide, "rows": rows, "flaws": flaws}

deny contains entry if some entry in data.fairmesh.org[_].deny

deny contains entry if {
	some name, rules in data.fairmesh.domains
	own := ids_of(name)
	some entry in rules.deny
	entry.id in own
}

mask contains entry if some entry in data.fairmesh.org[_].mask

mask contains entry if {
	some name, rules in data.fairmesh.domains
	own := ids_of(name)
	some entry in rules.mask
	entry.id in own
}

hide contains entry if some entry in data.fairmesh.org[_].hide

hide contains entry if {
	some name, rules in data.fairmesh.domains
	own := ids_of(name)
	some entry in rules.hide
	entry.id in own
}

rows contains entry if some entry in data.fairmesh.org[_].rows

rows contains entry if {
	some name, rules in data.fairmesh.domains
	own := ids_of(name)
	some entry in rules.rows
	entry.id in own
}

ids_of(domain) := {id | r := input.resources[id]; reach(r) == domain}

# The domain whose rules reach a resource: not its policy files, else it could keep everyone from mending them.
reach(r) := r.domain if {
	r.type != "policy"
} else := ""

flaws_in(found, domain) := {flaw.reason | some flaw in found; flaw.domain in {"", domain}}

denied_by(entries, id) := {entry.reason | some entry in entries; entry.id == id}

narrowed(narrow, id, demanded) := demanded if {
	(count(narrow.mask) + count(narrow.hide)) + count(narrow.rows) == 0
} else := {
	"mask_columns": joined(demanded.mask_columns, {e.classification | some e in narrow.mask; e.id == id}),
	"hide_fields": joined(demanded.hide_fields, {e.field | some e in narrow.hide; e.id == id}),
	"row_filter": all_of(joined(
		[f | f := demanded.row_filter; is_string(f)],
		{e.filter | some e in narrow.rows; e.id == id},
	)),
}

joined(listed, more) := sort({one | some one in listed} | more)

all_of(filters) := null if {
	count(filters) == 0
} else := filters[0] if {
	count(filters) == 1
} else := concat(" AND ", [part | some one in filters; part := concat("", ["(", one, ")"])])

# An entry that names no resource of the input, or does not say what it takes away, would do nothing, silently: it
# denies everything in its reach.
flaws contains {"domain": "", "reason": "malformed-deny"} if {
	some entry in data.fairmesh.org[_].deny
	not sound_deny(entry)
}

flaws contains {"domain": name, "reason": "malformed-deny"} if {
	some name, rules in data.fairmesh.domains
	some entry in rules.deny
	not sound_deny(entry)
}

sound_deny(entry) if {
	is_object(input.resources[entry.id])
	is_string(entry.reason)
}

flaws contains {"domain": "", "reason": "malformed-mask"} if {
	some entry in data.fairmesh.org[_].mask
	not sound_mask(entry)
}

flaws contains {"domain": name, "reason": "malformed-mask"} if {
	some name, rules in data.fairmesh.domains
	some entry in rules.mask
	not sound_mask(entry)
}

sound_mask(entry) if {
	is_object(input.resources[entry.id])
	is_string(entry.classification)
}

flaws contains {"domain": "", "reason": "malformed-hide"} if {
	some entry in data.fairmesh.org[_].hide
	not sound_hide(entry)
}

flaws contains {"domain": name, "reason": "malformed-hide"} if {
	some name, rules in data.fairmesh.domains
	some entry in rules.hide
	not sound_hide(entry)
}

sound_hide(entry) if {
	is_object(input.resources[entry.id])
	is_string(entry.field)
}

flaws contains {"domain": "", "reason": "malformed-rows"} if {
	some entry in data.fairmesh.org[_].rows
	not sound_rows(entry)
}

flaws contains {"domain": name, "reason": "malformed-rows"} if {
	some name, rules in data.fairmesh.domains
	some entry in rules.rows
	not sound_rows(entry)
}

sound_rows(entry) if {
	is_object(input.resources[entry.id])
	is_string(entry.filter)
}
