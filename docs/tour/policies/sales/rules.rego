package fairmesh.domains.sales

# everybody may read about our products; who wants the data and is not one of us asks us first
deny contains {"id": id, "reason": "ask-sales"} if {
	input.action == "read_data"
	not "sales" in input.subject.domains
	some id, _ in input.resources
}
