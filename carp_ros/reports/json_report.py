"""Converts a report to the JSON text of a message and back.

A report is a frozen dataclass with a class variable `schema`, the version of its layout. Enums are
written as their names, and dataclasses in it as their fields.
"""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeVar

from carp_ros.errors import MessageError
from carp_ros.files.plain_json import mapping_from_json
from carp_ros.refusal import refusing, shortened
from carp_ros.strict import read_strictly


class Report(Protocol):
    """A dataclass published on a topic; `schema` is incremented when its fields change."""

    schema: ClassVar[int]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


SomeReport = TypeVar("SomeReport", bound=Report)


def report_to_json(report: Report) -> str:
    """Return a report as JSON text."""
    content = {field: _plain(getattr(report, field)) for field in report.__dataclass_fields__}
    content.pop("schema", None)
    return json.dumps({"schema": report.schema, **content})


def report_from_json(kind: type[SomeReport], text: str, topic: str) -> SomeReport:
    """Return the report in a message.

    Args:
        kind: The dataclass.
        text: Text of the message.
        topic: Topic of the message, for error texts.

    Raises:
        MessageError: If it has another schema or invalid fields.
    """
    with refusing(MessageError, topic):
        content = mapping_from_json(text, topic)
        schema = content.pop("schema", None)
        if type(schema) is not int or schema != kind.schema:
            raise MessageError(
                f"{topic}: schema is {shortened(repr(schema), 80)}; expected {kind.schema}: run one"
                " version of the package on both sides"
            )
        return read_strictly(kind, content, topic)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
