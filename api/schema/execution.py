"""Running a GraphQL operation: parse, limit and validate once, execute in the calling thread, mask what is ours."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import strawberry
from graphql import (
    AbortedGraphQLExecutionError,
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLFormattedError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    MaxIntrospectionDepthRule,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.field import StrawberryField

from fairmesh.api.schema.failures import Conflict, Forbidden, InputError, NotConforming
from fairmesh.api.schema.inputs import SCALARS, Cost, UserErrorCode
from fairmesh.api.schema.limits import Limits, Measure, Weight, Weights, check_measure, check_shape, measure, refusal
from fairmesh.api.schema.mutations import Mutation
from fairmesh.api.schema.operation import Operation
from fairmesh.api.schema.queries import Query
from fairmesh.api.schema.resources import UntypedResource
from fairmesh.api.schema.types import Column
from fairmesh.catalog import Catalog, errors
from fairmesh.catalog.model import Subject

log = logging.getLogger("fairmesh")

UNAVAILABLE = (errors.PolicyUnavailable, errors.StorageUnavailable, errors.WorkerFailed)
"""Failures of the service as a whole: the request is refused with 503, not answered in part."""
CACHED_DOCUMENTS = 500
MAX_ERRORS = 50
_RULES = (*specified_rules, MaxIntrospectionDepthRule, OneOfInputValidationRule)


def build_schema() -> strawberry.Schema:
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        types=[Column, UntypedResource, InputError, NotConforming, Forbidden, Conflict],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def weights(schema: GraphQLSchema) -> Weights:
    """What each field costs, as its `@cost` directive publishes it."""
    found: dict[tuple[str, str], Weight] = {}
    for name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field_name, definition in kind.fields.items():
                origin = definition.extensions.get("strawberry-definition")
                costs = origin.directives if isinstance(origin, StrawberryField) else ()
                for cost in costs:
                    if isinstance(cost, Cost):
                        found[name, field_name] = Weight(cost.weight, tuple(cost.slicing or ()))
    return found


@dataclass(frozen=True, slots=True)
class Request:
    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`executed` is False when the request was refused before it ran: `body` then has no `data`."""

    body: Mapping[str, Any]
    executed: bool
    mutation: bool = False
    """A mutation was asked for where only queries are allowed; nothing ran."""


@dataclass(slots=True)
class _Document:
    """A document that parsed and is valid, with the measures of its operations that no variable changes."""

    ast: DocumentNode
    measures: dict[str | None, Measure] = field(default_factory=dict)


class _Deadline:
    """graphql-core's abort signal, raised by the clock."""

    def __init__(self, limits: Limits) -> None:
        self._end = time.monotonic() + limits.timeout_ms / 1000
        self.reason = GraphQLError(
            f"the operation took longer than {limits.timeout_ms} ms and was stopped", extensions={"code": "TIMEOUT"}
        )
        self.passed = False

    def extend(self, seconds: float) -> None:
        self._end += seconds

    @property
    def aborted(self) -> bool:
        self.passed = self.passed or time.monotonic() > self._end
        return self.passed


class Engine:
    """Answers GraphQL requests about one catalog. Thread-safe and blocking: call it from a worker thread."""

    def __init__(self, catalog: Catalog, limits: Limits, known: Callable[[], Sequence[Subject]]) -> None:
        """`known` gives the subjects that have tokens."""
        self._catalog = catalog
        self._known = known
        self._limits = limits
        built = build_schema()
        self._schema = built._schema
        self._weights = weights(self._schema)
        self._hash = hashlib.sha256(built.as_str().encode()).hexdigest()
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, subject: Subject, request: Request, *, queries_only: bool = False) -> Answer:
        """Answer one request. Raises `PolicyUnavailable`, `StorageUnavailable` or `WorkerFailed`; nothing else."""
        try:
            document = self._document(request.query)
            operation = _operation(document.ast, request.operation_name)
            if queries_only and operation.operation is not OperationType.QUERY:
                return Answer(_refused([GraphQLError("a mutation needs POST")]), executed=False, mutation=True)
            cost = self._measure(document, operation, request).cost
        except _Invalid as invalid:
            return Answer(_refused(invalid.errors), executed=False)
        except GraphQLError as error:
            return Answer(_refused([error]), executed=False)
        return self._execute(subject, request, document.ast, cost)

    # -- before execution --

    def _document(self, text: str) -> _Document:
        with self._lock:
            if text in self._documents:
                self._documents.move_to_end(text)
                return self._documents[text]
        document = _Document(self._read(text))
        with self._lock:
            self._documents[text] = document
            if len(self._documents) > CACHED_DOCUMENTS:
                self._documents.popitem(last=False)
        return document

    def _read(self, text: str) -> DocumentNode:
        limits = self._limits
        if len(text.encode("utf-8", "replace")) > limits.max_query_bytes:
            raise refusal(f"the document is longer than {limits.max_query_bytes} bytes")
        try:
            ast = parse(text, max_tokens=limits.max_tokens)
            check_shape(ast, limits)
            for definition in ast.definitions:
                if isinstance(definition, OperationDefinitionNode):
                    check_measure(measure(self._schema, self._weights, ast, definition, None), limits)
            found = validate(self._schema, ast, _RULES, max_errors=MAX_ERRORS)
        except RecursionError:
            raise refusal("the document is nested too deeply") from None
        if found:
            raise _Invalid(found)
        return ast

    def _measure(self, document: _Document, operation: OperationDefinitionNode, request: Request) -> Measure:
        known = document.measures.get(request.operation_name)
        if known is None:
            known = measure(self._schema, self._weights, document.ast, operation, request.variables)
            if not known.sliced:
                document.measures[request.operation_name] = known
        check_measure(known, self._limits)
        return known

    # -- execution --

    def _execute(self, subject: Subject, request: Request, ast: DocumentNode, cost: int) -> Answer:
        deadline = _Deadline(self._limits)
        operation = Operation(self._catalog, subject, self._limits, self._hash, self._known, deadline.extend)
        try:
            result = execute(
                self._schema,
                ast,
                context_value=operation,
                variable_values=dict(request.variables),
                operation_name=request.operation_name,
                executor_class=StrawberryGraphQLCoreExecutionContext,
                is_awaitable=_never,  # type: ignore[arg-type]
                is_async_iterable=_never,  # type: ignore[arg-type]
                abort_signal=deadline,  # type: ignore[arg-type]
            )
        except (GraphQLError, AbortedGraphQLExecutionError) as late:
            # the deadline passed between two root fields, or while a field was resolved
            done = late.aborted_result if isinstance(late, AbortedGraphQLExecutionError) else None
            found = (done.errors or []) if isinstance(done, ExecutionResult) else []
            result = ExecutionResult(None, [*found, deadline.reason])
        finally:
            operation.close()
        assert isinstance(result, ExecutionResult)
        for error in result.errors or ():
            if isinstance(error.original_error, UNAVAILABLE):
                raise error.original_error
        if deadline.passed and result.errors:
            result = ExecutionResult(None, [deadline.reason])
        elif result.data is None and not any(error.path for error in result.errors or ()):
            return Answer(_refused(result.errors or []), executed=False)
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [_format(error) for error in result.errors[:MAX_ERRORS]]
        body["extensions"] = {"fairmesh": {"policyRevision": operation.policy_revision, "cost": cost}}
        return Answer(body, executed=True)


class _Invalid(Exception):
    def __init__(self, found: list[GraphQLError]) -> None:
        super().__init__("the document is not valid")
        self.errors = found


def _never(value: object) -> bool:
    return False


def _operation(ast: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = get_operation_ast(ast, name)
    if found is None:
        known = [d.name.value for d in _operations(ast) if d.name]
        raise GraphQLError(
            f"there is no operation {name!r} in the document" if name else "the document has several operations",
            extensions={"code": "INVALID", "remedy": f"Set operationName to one of {', '.join(known) or 'none'}"},
        )
    return found


def _operations(ast: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (d for d in ast.definitions if isinstance(d, OperationDefinitionNode))


def _refused(found: list[GraphQLError]) -> Mapping[str, Any]:
    # what is wrong with a document or its variables is the client's to know: nothing of ours is in it
    return {"errors": [error.formatted for error in found[:MAX_ERRORS]]}


def _format(error: GraphQLError) -> GraphQLFormattedError:
    """An error as clients see it: our refusals with code and remedy, faults as an id that the log explains."""
    shown = error.formatted
    origin = error.original_error
    if origin is None or isinstance(origin, GraphQLError):
        return shown
    code = UserErrorCode.of(origin)
    if isinstance(origin, errors.FairmeshError) and code is not None:
        shown["message"] = origin.message
        shown["extensions"] = {"code": code.value, "remedy": origin.remedy}
        return shown
    fault = secrets.token_hex(8)
    log.error("fault %s at %s", fault, error.path, exc_info=origin)
    shown["message"] = f"internal fault {fault}"
    shown["extensions"] = {"code": "INTERNAL", "id": fault}
    return shown
