"""The GraphQL schema and its execution. Only this package knows strawberry."""

from fairmesh.api.schema.execution import Answer, Engine, Request
from fairmesh.api.schema.inputs import is_iri
from fairmesh.api.schema.limits import Limits

__all__ = ["Answer", "Engine", "Limits", "Request", "is_iri"]
