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
	codes := ((who.refusals | resource_refusals(who, r)) | denied_by(narrow.flaws, id)) | denied_by(narrow.deny, id)
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
narrowing := {
	"deny": taken("deny"), "mask": taken("mask"), "hide": taken("hide"), "rows": taken("rows"),
	"flaws": flaws,
}

# Each kind of entry: what it has to say beside the id, and what it means when it does not.
says := {
	"deny": {"what": "reason", "reason": "malformed-deny"},
	"mask": {"what": "classification", "reason": "malformed-mask"},
	"hide": {"what": "field", "reason": "malformed-hide"},
	"rows": {"what": "filter", "reason": "malformed-rows"},
}

# Each resource is put before the rules alone: what is decided of one must not depend on which others are asked about.
stated contains {"kind": kind, "id": id, "entry": entry} if {
	some id, r in input.resources
	packages := data.fairmesh.org with input.resources as {id: r}
	some kind, _ in says
	some entry in packages[_][kind]
}

stated contains {"kind": kind, "id": id, "entry": entry} if {
	some id, r in input.resources
	domain := reach(r)
	rules := data.fairmesh.domains[domain] with input.resources as {id: r}
	some kind, _ in says
	some entry in rules[kind]
}

# The domain whose rules reach a resource: not its policy files and rule sets, else it could keep everyone from mending
# them; nor waivers of its products, else it could keep everyone from ending them.
reach(r) := r.domain if {
	not r.type in {"policy", "ruleset", "waiver"}
} else := ""

taken(kind) := {line.entry | some line in stated; line.kind == kind; sound(line)}

# An entry that is not about the resource, or does not say what it takes away, would do nothing, silently: it denies
# the resource.
flaws := {flaw |
	some line in stated
	not sound(line)
	flaw := {"id": line.id, "reason": says[line.kind].reason}
}

sound(line) if {
	line.entry.id == line.id
	is_string(line.entry[says[line.kind].what])
}

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
