package trino_test

import data.trino

product := {
	"iri": "", "domain": "sales", "classification": "internal", "status": "consume", "tags": [],
	"owner": "http://localhost/id/team/crm", "members": [],
}

products := {
	"sales.orders": product,
	"sales.leads": object.union(product, {"classification": "confidential"}),
	"hr.pay": object.union(product, {"domain": "hr", "classification": "restricted"}),
	"ops.days": object.union(product, {"domain": "ops", "classification": "public", "owner": ""}),
}

entry(key, columns) := {"product": key, "dataset": "", "columns": columns}

cluster := "trino://one:8080"

catalog := {
	"classifications": ["public", "internal", "confidential", "restricted"],
	"products": products,
	"tables": {cluster: {
		"lake.sales.orders": [entry("sales.orders", {"Id": [], "Card": ["restricted"], "note": ["internal"]})],
		"lake.sales.Leads": [entry("sales.leads", {"id": []})],
		"lake.hr.pay": [entry("hr.pay", {"id": []})],
		"lake.ops.days": [entry("ops.days", {"day": []})],
		"lake.mixed.both": [entry("ops.days", {"id": [], "day": []}), entry("sales.orders", {"day": ["confidential"]})],
		"lake.lost.gone": [entry("ops.days", {}), entry("unheard.of", {})],
	}},
	"trino": {
		"tables": {"lake": {
			"sales": {"orders": [[cluster, "lake.sales.orders"]], "leads": [[cluster, "lake.sales.Leads"]]},
			"hr": {"pay": [[cluster, "lake.hr.pay"]]},
			"ops": {"days": [[cluster, "lake.ops.days"]]},
			"mixed": {"both": [[cluster, "lake.mixed.both"]]},
			"lost": {"gone": [[cluster, "lake.lost.gone"]]},
		}},
		"schemas": {"lake": {
			"sales": [["sales.leads"], ["sales.orders"]],
			"hr": [["hr.pay"]],
			"ops": [["ops.days"]],
			"mixed": [["ops.days", "sales.orders"]],
			"lost": [["ops.days", "unheard.of"]],
		}},
	},
}

person := {
	"id": "p", "kind": "user", "roles": ["analyst"], "teams": [], "domains": [], "clearance": "internal", "purpose": "",
}

subjects := {
	"ann": [person],
	"sal": [object.union(person, {"domains": ["sales"]})],
	"crm": [object.union(person, {"teams": ["crm"], "clearance": "public"})],
	"stu": [object.union(person, {"roles": ["steward"]})],
	"two": [person, object.union(person, {"domains": ["hr"], "clearance": "restricted"})],
	"odd": [],
	"king": [object.union(person, {"roles": ["king"], "clearance": "restricted"})],
}

asked(user, operation, resource) := {
	"context": {"identity": {"user": user, "groups": ["steward"]}, "softwareStack": {"trinoVersion": "480"}},
	"action": {"operation": operation, "resource": resource},
}

listed(user, operation, filtered) := {
	"context": {"identity": {"user": user, "groups": []}},
	"action": {"operation": operation, "filterResources": filtered},
}

in_catalog(name) := {"catalog": {"name": name}}

in_schema(schema) := {"schema": {"catalogName": "lake", "schemaName": schema}}

in_table(schema, name) := {"table": {"catalogName": "lake", "schemaName": schema, "tableName": name}}

columns(schema, name, found) := {"table": object.union(in_table(schema, name).table, {"columns": found})}

column(schema, name, found) := {"column": object.union(
	in_table(schema, name).table,
	{"columnName": found, "columnType": "varchar"},
)}

function(catalog_name, schema) := {"function": {
	"catalogSchema": {"catalogName": catalog_name, "schemaName": schema},
	"functionName": "f",
}}

# -- allow --

allowed := [
	["nobody", "ExecuteQuery", {}],
	["ann", "ExecuteQuery", {}],
	["ann", "AccessCatalog", in_catalog("lake")],
	["ann", "AccessCatalog", in_catalog("system")],
	["nobody", "FilterCatalogs", in_catalog("lake")],
	["ann", "ShowSchemas", in_catalog("lake")],
	["ann", "ShowTables", in_schema("sales")],
	["ann", "FilterSchemas", in_schema("sales")],
	["ann", "FilterSchemas", in_schema("information_schema")],
	["two", "ShowTables", in_schema("sales")],
	["stu", "ShowTables", in_schema("hr")],
	["ann", "FilterTables", in_table("sales", "orders")],
	["ann", "ShowColumns", in_table("sales", "orders")],
	["sal", "FilterTables", in_table("sales", "leads")],
	["stu", "FilterTables", in_table("hr", "pay")],
	["ann", "FilterColumns", columns("sales", "orders", ["id"])],
	["ann", "FilterColumns", columns("sales", "orders", ["note", "ID"])],
	["sal", "FilterColumns", columns("sales", "orders", ["card", "unheard_of"])],
	["ann", "SelectFromColumns", columns("sales", "orders", ["id", "card"])],
	["ann", "SelectFromColumns", columns("SALES", "Orders", [])],
	["crm", "SelectFromColumns", columns("hr", "pay", ["id"])],
	["nobody", "SelectFromColumns", columns("ops", "days", ["day"])],
	["ann", "SelectFromColumns", columns("information_schema", "tables", ["table_name"])],
	["sal", "ShowCreateTable", in_table("sales", "orders")],
	["ann", "ExecuteFunction", function("system", "builtin")],
	["ann", "ShowFunctions", {"schema": {"catalogName": "system", "schemaName": "builtin"}}],
	["ann", "ViewQueryOwnedBy", {"user": {"user": "ann", "groups": []}}],
	["ann", "KillQueryOwnedBy", {"user": {"user": "ann", "groups": []}}],
]

refused := [
	["odd", "ExecuteQuery", {}],
	["odd", "SelectFromColumns", columns("ops", "days", ["day"])],
	["king", "SelectFromColumns", columns("ops", "days", ["day"])],
	["king", "AccessCatalog", in_catalog("lake")],
	["ann", "AccessCatalog", in_catalog("sea")],
	["ann", "ShowTables", in_schema("hr")],
	["ann", "FilterSchemas", in_schema("hr")],
	["ann", "FilterSchemas", in_schema("lost")],
	["nobody", "FilterSchemas", in_schema("mixed")],
	["two", "FilterSchemas", in_schema("hr")],
	["ann", "FilterTables", in_table("sales", "leads")],
	["ann", "FilterTables", in_table("sales", "unheard_of")],
	["stu", "FilterTables", in_table("lost", "gone")],
	["nobody", "FilterTables", in_table("mixed", "both")],
	["ann", "FilterColumns", columns("sales", "orders", ["id", "card"])],
	["ann", "FilterColumns", columns("sales", "orders", ["unheard_of"])],
	["ann", "FilterColumns", columns("hr", "pay", [])],
	["stu", "SelectFromColumns", columns("hr", "pay", ["id"])],
	["two", "SelectFromColumns", columns("hr", "pay", ["id"])],
	["ann", "SelectFromColumns", columns("sales", "leads", [])],
	["nobody", "SelectFromColumns", columns("sales", "orders", ["id"])],
	["king", "SelectFromColumns", columns("information_schema", "tables", [])],
	["ann", "ShowCreateTable", in_table("sales", "orders")],
	["ann", "ExecuteFunction", function("lake", "system")],
	["ann", "ViewQueryOwnedBy", {"user": {"user": "sal", "groups": []}}],
	["ann", "ImpersonateUser", {"user": {"user": "ann"}}],
	["ann", "ReadSystemInformation", {}],
	["sal", "InsertIntoTable", in_table("sales", "orders")],
	["sal", "DropTable", in_table("sales", "orders")],
	["sal", "CreateTable", in_table("sales", "new")],
	["sal", "CreateViewWithSelectFromColumns", columns("sales", "orders", ["id"])],
	["sal", "SetCatalogSessionProperty", {"catalogSessionProperty": {"catalogName": "lake", "propertyName": "x"}}],
	["sal", "", {}],
	["sal", "SelectFromColumns", {}],
	["sal", "SelectFromColumns", {"table": {"catalogName": "lake"}}],
]

test_allowed[name] if {
	some question in allowed
	name := json.marshal(question)
	trino.allow with input as asked(question[0], question[1], question[2])
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
}

test_refused[name] if {
	some question in refused
	name := json.marshal(question)
	not trino.allow with input as asked(question[0], question[1], question[2])
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
}

test_nothing_is_allowed_without_facts if {
	not trino.allow with input as asked("ann", "SelectFromColumns", columns("ops", "days", ["day"]))
		with data.fairmesh.catalog as {}
		with data.fairmesh.subjects as {}
	not trino.allow with input as {}
}

test_a_policy_that_does_not_answer_refuses if {
	not trino.allow with data.fairmesh.access as {}
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("sal", "SelectFromColumns", columns("sales", "orders", ["id"]))
	not trino.allow with data.fairmesh.access as {}
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("sal", "AccessCatalog", in_catalog("lake"))
}

test_teams_are_named_by_key_or_iri if {
	every team in ["crm", "http://localhost/id/team/crm", "http://localhost/id/team/crm/", "urn:x/crm"] {
		trino.is_of(team, ["ops", "crm"])
	}
	every team in ["", "/", "CRM", "not-crm", "http://localhost/id/crm/team", "http://localhost/id/team/crm#x"] {
		not trino.is_of(team, ["ops", "crm"])
	}
	not trino.is_of("", [""])
}

# -- batch --

test_batch_of_tables if {
	found := trino.batch with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "FilterTables", [
			in_table("sales", "orders"), in_table("hr", "pay"), in_table("ops", "days"), in_table("no", "such"),
		])
	found == {0, 2}
}

test_batch_of_schemas_and_catalogs if {
	schemas := trino.batch with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "FilterSchemas", [in_schema("hr"), in_schema("sales"), in_schema("information_schema")])
	schemas == {1, 2}
	catalogs := trino.batch with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "FilterCatalogs", [in_catalog("sea"), in_catalog("lake"), in_catalog("system")])
	catalogs == {1, 2}
}

test_batch_of_columns_is_by_column if {
	found := trino.batch with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "FilterColumns", [columns("sales", "orders", ["card", "id", "no_such", "note"])])
	found == {1, 3}
}

test_batch_is_for_filters_only if {
	found := trino.batch with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "ShowColumns", [in_table("sales", "orders")])
	found == set()
}

# -- masks and row filters --

mask_of(user, schema, table, name) := found if {
	found := trino.columnMask with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked(user, "GetColumnMask", column(schema, table, name))
} else := "none"

hide := {"expression": "NULL"}

test_masks if {
	mask_of("ann", "sales", "orders", "id") == "none"
	mask_of("ann", "sales", "orders", "CARD") == hide
	mask_of("ann", "sales", "orders", "note") == "none"
	mask_of("ann", "sales", "orders", "no_such") == hide
	mask_of("sal", "sales", "orders", "card") == "none"
	mask_of("ann", "hr", "pay", "id") == hide
	mask_of("ann", "no", "such", "id") == hide
	mask_of("ann", "information_schema", "tables", "table_name") == "none"
}

# Each description counts: one says `day` is plain, the other that it is confidential.
test_the_strictest_description_of_a_column_wins if {
	mask_of("ann", "mixed", "both", "day") == hide
	mask_of("ann", "mixed", "both", "id") == "none"
}

test_masks_in_one_go if {
	found := trino.batchColumnMasks with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as listed("ann", "GetColumnMask", [column("sales", "orders", name) | some name in ["id", "card", "x"]])
	found == {{"index": 1, "viewExpression": hide}, {"index": 2, "viewExpression": hide}}
}

test_tables_that_are_refused_have_no_rows if {
	found := trino.rowFilters with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("ann", "GetRowFilters", in_table("hr", "pay"))
	found == {{"expression": "false"}}
	open := trino.rowFilters with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("ann", "GetRowFilters", in_table("sales", "orders"))
	open == set()
}

decided(demands) := {"sales.orders": {"allow": true, "reasons": [], "obligations": demands}}

test_row_filters_are_passed_on if {
	found := trino.rowFilters with data.fairmesh.access.decisions as decided({"row_filter": "region = 'EU'"})
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("ann", "GetRowFilters", in_table("sales", "orders"))
	found == {{"expression": "region = 'EU'"}}
}

selects(demands) if {
	trino.allow with data.fairmesh.access.decisions as decided(demands)
		with data.fairmesh.catalog as catalog
		with data.fairmesh.subjects as subjects
		with input as asked("ann", "SelectFromColumns", columns("sales", "orders", ["id"]))
}

test_demands_nobody_can_meet_refuse if {
	selects({})
	selects({"mask_columns": ["restricted"], "hide_fields": ["dct:description"], "row_filter": null})
	not selects({"watermark": true})
	not selects({"mask_columns": ["cosmic"]})
	not selects({"mask_columns": "restricted"})
	not selects({"row_filter": 7})
	not selects({"row_filter": ""})
}

test_only_the_literal_true_allows if {
	every answer in [{"allow": "true", "obligations": {}}, {"allow": 1, "obligations": {}}, {}, true, {"allow": true}] {
		not trino.allow with data.fairmesh.access.decisions as {"sales.orders": answer}
			with data.fairmesh.catalog as catalog
			with data.fairmesh.subjects as subjects
			with input as asked("ann", "SelectFromColumns", columns("sales", "orders", ["id"]))
	}
}
