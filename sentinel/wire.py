"""Domain <-> protobuf: the only file that knows the generated code.

Each message has the name and the fields of the value it carries, so that one pair of functions serves
them all and a test compares every field. Decoding trusts nothing: after protobuf has parsed the bytes,
the value is built through msgspec, which enforces types, enums and the bounds that `domain` states.
"""

from __future__ import annotations

import inspect
from enum import StrEnum
from types import ModuleType
from typing import Any, TypeVar

import msgspec
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import DecodeError, Message

from sentinel import domain, protocol
from sentinel.domain import Value
from sentinel.errors import WireError
from sentinel.pb import agent_pb2, operator_pb2, plan_pb2, telemetry_pb2

V = TypeVar("V", bound=Value)


def _values(module: ModuleType) -> dict[str, type[Value]]:
    """Return the nouns that `module` defines, by name."""
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Value) and kind is not Value
    }


def _messages() -> dict[type[Value], type[Message]]:
    """Return the message class of every noun that has one."""
    kinds = _values(domain) | _values(protocol)
    found: dict[type[Value], type[Message]] = {}
    for module in (telemetry_pb2, plan_pb2, agent_pb2, operator_pb2):
        for name in module.DESCRIPTOR.message_types_by_name:
            found[kinds[name]] = getattr(module, name)
    return found


MESSAGES = _messages()


def encode(value: Value) -> bytes:
    """Return the protobuf bytes of `value`.

    Raises WireError where a text in it is not valid Unicode (a lone surrogate).
    """
    message = MESSAGES[type(value)]()
    try:
        _fill(message, value)
    except (ValueError, TypeError) as error:  # UnicodeEncodeError is a ValueError
        raise WireError(f"{type(value).__name__} cannot be sent: {error}") from None
    return message.SerializeToString()


def decode(kind: type[V], data: bytes, *, limit: int) -> V:
    """Return the value of type `kind` in `data`.

    Raises WireError where `data` is over `limit` bytes, is not protobuf, or breaks a bound of `kind`;
    the text names the field.
    """
    if len(data) > limit:
        raise WireError(
            f"{kind.__name__} of {len(data)} bytes is over its limit of {limit}",
            hint="send less: fewer processes, shorter logs, a smaller page",
        )
    message = MESSAGES[kind]()
    try:
        message.ParseFromString(data)
        return msgspec.convert(_plain(message), kind, strict=True)
    except DecodeError:
        raise WireError(f"{kind.__name__} is not a protobuf message") from None
    except (msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"{kind.__name__} is out of bounds: {error}") from None


def _enum_number(kind: EnumDescriptor, value: StrEnum) -> int:
    prefix = kind.values[0].name.removesuffix("UNSPECIFIED")
    number: int = kind.values_by_name[prefix + value.value.upper().replace("-", "_")].number
    return number


def _enum_value(kind: EnumDescriptor, number: int) -> str:
    known = kind.values_by_number.get(number)
    if known is None or number == 0:
        raise msgspec.ValidationError(f"{kind.name} {number} is unknown to this version")
    prefix = kind.values[0].name.removesuffix("UNSPECIFIED")
    return str(known.name.removeprefix(prefix)).lower().replace("_", "-")


def _fill(message: Message, value: Value) -> None:
    """Copy the fields of `value` into `message`; None leaves a field unset."""
    for field in message.DESCRIPTOR.fields:
        item = getattr(value, field.name)
        if item is None:
            continue
        target = getattr(message, field.name)
        if field.message_type is None:
            _fill_scalar(message, field, item)
        elif field.message_type.GetOptions().map_entry:
            target.update(item)
        elif isinstance(item, tuple):
            for part in item:
                _fill(target.add(), part)
        else:
            target.SetInParent()
            _fill(target, item)


# A field descriptor has two classes, one per protobuf backend; no type covers both.


def _fill_scalar(message: Message, field: Any, item: Any) -> None:  # noqa: ANN401
    if isinstance(item, tuple):
        getattr(message, field.name).extend(item)
    elif field.enum_type is not None:
        setattr(message, field.name, _enum_number(field.enum_type, item))
    else:
        setattr(message, field.name, item.value if isinstance(item, StrEnum) else item)


def _plain(message: Message) -> dict[str, object]:
    """Return the set fields of `message` as what msgspec converts from."""
    plain: dict[str, object] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        item = getattr(message, field.name)
        if field.message_type is None:
            plain[field.name] = _plain_scalar(field, item)
        elif field.message_type.GetOptions().map_entry:
            plain[field.name] = dict(item)
        elif field.is_repeated:
            plain[field.name] = [_plain(part) for part in item]
        else:
            plain[field.name] = _plain(item)
    return plain


def _plain_scalar(field: Any, item: Any) -> object:  # noqa: ANN401
    if field.is_repeated:
        return list(item)
    if field.enum_type is not None:
        return _enum_value(field.enum_type, item)
    return item


def letter_id(data: bytes) -> str:
    """Return the id of the letter in an AgentMessage that `decode` refused, or "unreadable".

    Only the id is believed, and only if it has the form of one: it is what the receipt answers to.
    """
    message = agent_pb2.AgentMessage()
    try:
        message.ParseFromString(data)
        return msgspec.convert(message.letter.id, domain.Id, strict=True)
    except (DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return "unreadable"
