package fairmesh.org.acme

# the data of a product that is not finished is for the domain that makes it
deny contains {"id": id, "reason": "not-finished"} if {
	input.action == "read_data"
	some id, resource in input.resources
	resource.status in {"ideation", "design", "build"}
	not resource.domain in input.subject.domains
}
