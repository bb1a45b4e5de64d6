# METADATA
# scope: package
# title: Access control for Trino
# description: |
#   What Trino's OPA plugin asks, answered by the mesh's own access policy and the facts of the bundle. Tables are known
#   by the physical names products state under a namespace `trino://...`. A table nobody described is refused; of one
#   that several products describe, each of them must allow, and what any of them masks is masked. Every write and all
#   administration is refused, and so is whatever this file does not name.
package trino

# The rules Trino asks for: allow, batch, columnMask, batchColumnMasks, rowFilters.

default allow := false

allow if {
	operation == "ExecuteQuery"
	count(identities) > 0
}

allow if shown(operation, input.action.resource)

allow if {
	operation == "SelectFromColumns"
	selectable(place(input.action.resource.table))
}

# The statement that made a table shows all of its columns.
allow if {
	operation == "ShowCreateTable"
	table := place(input.action.resource.table)
	open("read_metadata", table)
	masked_words("read_metadata", table) == set()
}

batch contains index if {
	startswith(operation, "Filter")
	operation != "FilterColumns"
	some index, resource in input.action.filterResources
	shown(operation, resource)
}

batch contains index if {
	operation == "FilterColumns"
	[resource] := input.action.filterResources
	some index, column in resource.table.columns
	column_shown(place(resource.table), column)
}

columnMask := nothing if masked(input.action.resource.column)

batchColumnMasks contains {"index": index, "viewExpression": nothing} if {
	some index, resource in input.action.filterResources
	masked(resource.column)
}

rowFilters contains {"expression": filter} if {
	table := place(input.action.resource.table)
	some answer in answers("read_data")
	some key in products_of(table)
	filter := answer[key].obligations.row_filter
	is_string(filter)
}

rowFilters contains {"expression": "false"} if not selectable(place(input.action.resource.table))

nothing := {"expression": "NULL"}

# What may be seen. Descriptions are asked for with `read_metadata`, data with `read_data`.

operation := input.action.operation

shown(asked_for, resource) if {
	asked_for in {"AccessCatalog", "FilterCatalogs", "ShowSchemas"}
	catalog_shown(lower(resource.catalog.name))
}

shown(asked_for, resource) if {
	asked_for in {"FilterSchemas", "ShowTables"}
	schema_shown(lower(resource.schema.catalogName), lower(resource.schema.schemaName))
}

shown(asked_for, resource) if {
	asked_for in {"FilterTables", "ShowColumns"}
	table_shown(place(resource.table))
}

shown("FilterColumns", resource) if {
	table := place(resource.table)
	table_shown(table)
	every column in resource.table.columns { column_shown(table, column) }
}

# Functions of connectors can read past every check of tables; the built-in ones cannot.
shown(asked_for, resource) if {
	asked_for in {"ExecuteFunction", "FilterFunctions"}
	built_in(resource.function.catalogSchema)
}

shown("ShowFunctions", resource) if built_in(resource.schema)

shown(asked_for, resource) if {
	asked_for in {"ViewQueryOwnedBy", "FilterViewQueryOwnedBy", "KillQueryOwnedBy"}
	resource.user.user == input.context.identity.user
}

built_in(schema) if {
	schema.catalogName == "system"
	schema.schemaName == "builtin"
}

catalog_shown("system")

catalog_shown(catalog) if {
	some schema, _ in data.fairmesh.catalog.trino.schemas[catalog]
	listed(catalog, schema)
}

schema_shown(catalog, schema) if listed(catalog, schema)

schema_shown(catalog, "information_schema") if catalog_shown(catalog)

schema_shown("system", "jdbc")

# A schema holds a table all of whose products are granted. The bundle names one table for all that are decided alike.
listed(catalog, schema) if {
	some group in data.fairmesh.catalog.trino.schemas[catalog][schema]
	every key in group { key in granted("read_metadata") }
}

table_shown(table) if open("read_metadata", table)

table_shown(table) if listing(table)

column_shown(table, column) if {
	open("read_metadata", table)
	not hidden("read_metadata", table, column)
}

column_shown(table, _) if listing(table)

selectable(table) if open("read_data", table)

selectable(table) if listing(table)

# Trino fills these by asking what may be seen.
listing([catalog, "information_schema", _]) if catalog_shown(catalog)

listing(["system", "jdbc", _])

masked(column) if not plain(place(column), column.columnName)

plain(table, column) if {
	open("read_data", table)
	not hidden("read_data", table, column)
}

plain(table, _) if listing(table)

# Tables, and the products that describe them.

place(named) := [lower(named.catalogName), lower(named.schemaName), lower(named.tableName)]

entries(table) := [entry |
	[catalog, schema, name] := table
	some described in data.fairmesh.catalog.trino.tables[catalog][schema][name]
	some entry in data.fairmesh.catalog.tables[described[0]][described[1]]
]

products_of(table) := {entry.product | some entry in entries(table)}

open(action, table) if {
	products := products_of(table)
	count(products) > 0
	every key in products { key in granted(action) }
}

# A column nobody described counts as classified highest.
hidden(action, table, column) if lower(column) in masked_names(action, table)

hidden(action, table, column) if {
	known := {lower(name) | some entry in entries(table); some name, _ in entry.columns}
	not lower(column) in known
	words := data.fairmesh.catalog.classifications
	words[count(words) - 1] in masked_words(action, table)
}

masked_names(action, table) := {lower(name) |
	masks := masked_words(action, table)
	some entry in entries(table)
	some name, words in entry.columns
	some word in words
	word in masks
}

masked_words(action, table) := {word |
	some answer in answers(action)
	some key in products_of(table)
	some word in answer[key].obligations.mask_columns
}

# Who asks. A name with several tokens may do what each of them may; a name nobody knows is anonymous.

default identities := [{
	"id": "anonymous", "kind": "anonymous", "roles": [], "teams": [], "domains": [], "clearance": "public",
	"purpose": "",
}]

identities := data.fairmesh.subjects[input.context.identity.user]

# What the policy is asked: one question for all that the request names.

resources := input.action.filterResources if {
	is_array(input.action.filterResources)
} else := [input.action.resource] if {
	is_object(input.action.resource)
} else := []

asked contains key if {
	some resource in resources
	some kind in ["table", "column"]
	some key in products_of(place(resource[kind]))
}

asked contains key if {
	some resource in resources
	some group in data.fairmesh.catalog.trino.schemas[catalog_of(resource)][_]
	some key in group
}

asked contains key if {
	some resource in resources
	schema := lower(resource.schema.schemaName)
	some group in data.fairmesh.catalog.trino.schemas[lower(resource.schema.catalogName)][schema]
	some key in group
}

# The catalog a resource stands for as a whole.
catalog_of(resource) := lower(resource.catalog.name)

catalog_of(resource) := lower(resource.schema.catalogName) if {
	lower(resource.schema.schemaName) == "information_schema"
}

catalog_of(resource) := lower(resource[kind].catalogName) if {
	some kind in ["table", "column"]
	lower(resource[kind].schemaName) == "information_schema"
}

granted(action) := {key |
	some key in asked
	every answer in answers(action) { permitted(answer[key]) }
} if {
	count(identities) > 0
	count(answers(action)) == count(identities)
} else := set()

# A demand nobody can meet is a no.
permitted(decision) if {
	decision.allow == true
	demands := decision.obligations
	object.keys(demands) - {"mask_columns", "hide_fields", "row_filter"} == set()
	is_array(object.get(demands, "hide_fields", []))
	masks := object.get(demands, "mask_columns", [])
	is_array(masks)
	every word in masks { word in data.fairmesh.catalog.classifications }
	fits_rows(object.get(demands, "row_filter", null))
}

fits_rows(null)

fits_rows(filter) if {
	is_string(filter)
	filter != ""
}

answers(action) := [decisions |
	some who in identities
	decisions := data.fairmesh.access.decisions with input as question(who, action)
]

question(who, action) := {
	"v": 1, "subject": who, "action": action, "context": {"now_ns": this_minute, "channel": "bundle"},
	"resources": {key: facts(data.fairmesh.catalog.products[key], who.teams) | some key in asked},
}

this_minute := now - (now % 60000000000) if now := time.now_ns()

facts(product, teams) := {
	"type": "product", "domain": product.domain, "classification": product.classification, "tags": product.tags,
	"status": product.status, "is_owner": is_of(product.owner, teams),
	"is_member": count([1 | some member in product.members; is_of(member, teams)]) > 0,
}

# A team is named by its key, or by an IRI that ends in it.
is_of(team, teams) if {
	team != ""
	team in teams
} else if {
	team != ""
	parts := split(trim_right(team, "/"), "/")
	parts[count(parts) - 1] in teams
} else := false
