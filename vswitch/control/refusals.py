"""How a request is refused: codes with their statuses, and msgspec's words as sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec

from vswitch.errors import (
    ConfigError,
    FdbError,
    MirrorError,
    MirrorExistsError,
    MirrorNotFoundError,
    NeighbourError,
    NeighbourExistsError,
    NeighbourNotFoundError,
    PortError,
    PortExistsError,
    PortNotFoundError,
    StationExistsError,
    StationNotFoundError,
    VswitchError,
)

STATUS = {
    "bad-input": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "bad-method": 405,
    "timeout": 408,
    "exists": 409,
    "refused": 409,
    "too-large": 413,
    "bad-type": 415,
    "internal": 500,
    "busy": 503,
    "unhealthy": 503,
}
NOT_FOUND = (
    PortNotFoundError,
    StationNotFoundError,
    MirrorNotFoundError,
    NeighbourNotFoundError,
)
EXISTS = (PortExistsError, StationExistsError, MirrorExistsError, NeighbourExistsError)
REFUSED = (PortError, FdbError, MirrorError, NeighbourError)  # and neither of these
WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class Refusal(VswitchError):
    """A request that is not even tried; *code* is one of STATUS."""

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


def code_of(error: VswitchError) -> str:
    """The code of `vswitch.control.schema.Error` for what a function raised."""
    if isinstance(error, Refusal):
        return error.code
    if isinstance(error, NOT_FOUND):
        return "not-found"
    if isinstance(error, EXISTS):
        return "exists"
    return "refused" if isinstance(error, REFUSED) else "bad-input"


def misfit(error: msgspec.ValidationError, wanted: type[msgspec.Struct]) -> ConfigError:
    """What is wrong, beginning with the field: ``mtu must be a whole number, not a string``."""
    fields = wanted.__struct_encode_fields__
    found = re.fullmatch(r"(.*?)(?: - at `\$?\.?(.*)`)?", str(error), re.DOTALL)
    assert found
    what, where = found[1], found[2] or "the body"
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return ConfigError(f"there is no field {unknown[1]!r}", hint=_known(fields))
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        return ConfigError(f"field {missing[1]!r} is missing", hint=_known(fields))
    if other := re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", what):
        return ConfigError(f"{where} must be {_kinds(other[1])}, not {_kinds(other[2])}")
    if limit := re.fullmatch(r"Expected `(\w+)[^`]*` (>=|<=|>|<) (\S+)", what):
        side = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}[limit[2]]
        return ConfigError(f"{where} must be {side} {limit[3]}")
    if choice := re.fullmatch(r"Invalid enum value (.*)", what, re.DOTALL):
        *some, last = _choices(wanted, where)
        return ConfigError(f"{where} must be {', '.join(some)} or {last}, not {choice[1]}")
    return ConfigError(f"{where}: {what[:1].lower()}{what[1:]}")


def _choices(wanted: type[msgspec.Struct], field: str) -> list[str]:
    """What a field can be that is one of several words."""
    kinds = get_args(get_type_hints(wanted)[field])
    return [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]


def no_json(error: Exception, body: bytes) -> ConfigError:
    """Why *body* cannot be read at all."""
    if not body.strip():
        return ConfigError("the body is empty", hint="it is JSON, as {}")
    if isinstance(error, UnicodeDecodeError):
        return ConfigError("the body is not UTF-8")
    what = str(error).removeprefix("JSON is malformed: ")
    return ConfigError(f"the body is not JSON: {what[:1].lower()}{what[1:]}")


def _kinds(types: str) -> str:
    # A field that may be null may as well be left away: no need to speak of it.
    names = [name for name in types.split(" | ") if name != "null"] or ["null"]
    return " or ".join(WORDS.get(name, name) for name in names)


def _known(fields: Sequence[str]) -> str:
    return f"fields are: {', '.join(fields) or 'none'}"
