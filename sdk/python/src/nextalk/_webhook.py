import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Union, cast

from ._error import NexTalkError
from ._types import Packet

_KINDS = frozenset(
    ("online", "offline", "join", "leave", "roomEmpty", "message", "undelivered", "failed", "missed")
)


@dataclass(frozen=True)
class Event:
    """What happened in a domain. Which fields are set follows from ``kind``.

    ``online``, ``offline`` (``since``), ``join`` and ``leave`` (``room``) have ``name``; ``roomEmpty`` has ``room``;
    ``message`` and ``undelivered`` (``outcome``) have ``packet``; ``failed`` has the ``id`` of an event that the site
    refused ten times; ``missed`` has the ``count`` of events that were lost. A kind that this library does not know
    is ``other``, and is found in ``raw``.
    """

    kind: str
    raw: Dict[str, Any] = field(repr=False)
    id: Optional[str] = None
    #: Milliseconds since 1970, as is ``since``.
    time: Optional[int] = None
    name: Optional[str] = None
    nick: Optional[str] = None
    show: Optional[str] = None
    since: Optional[int] = None
    room: Optional[str] = None
    packet: Optional[Packet] = None
    outcome: Optional[str] = None
    count: Optional[int] = None


@dataclass(frozen=True)
class Events:
    domain: str
    events: List[Event]


def webhook_keys(api_key: str, secrets: Sequence[str]) -> List[str]:
    """The keys with which the server may have signed.

    An API key that the server's configuration has hashed signs as the digits of its hash.
    """
    return list(secrets) or [api_key, hashlib.sha256(api_key.encode("utf-8")).hexdigest()]


def is_signed(body: Union[str, bytes], signature: Optional[str], keys: Sequence[str]) -> bool:
    """Whether one of the comma-separated signatures is of this body with one of the keys."""
    data = body.encode("utf-8") if isinstance(body, str) else body
    given = [one.strip().encode("utf-8", "replace") for one in (signature or "").split(",")]
    wanted = [
        b"sha256=" + hmac.new(key.encode("utf-8"), data, hashlib.sha256).hexdigest().encode("ascii") for key in keys
    ]
    return any(hmac.compare_digest(one, own) for one in given for own in wanted)


def _malformed(detail: str) -> NexTalkError:
    return NexTalkError(400, "bad request", detail)


def _parse(body: Union[str, bytes]) -> Dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _malformed("the body is no JSON") from None
    if not isinstance(value, dict):
        raise _malformed("the body is no object")
    return value


def _event(raw: object) -> Event:
    if not isinstance(raw, dict):
        raise _malformed("an event is no object")
    kind = raw.get("kind")
    if kind not in _KINDS:
        return Event(kind="other", raw=raw)
    names = ("id", "time", "name", "nick", "show", "since", "room", "packet", "outcome", "count")
    return Event(kind=kind, raw=raw, **{name: raw.get(name) for name in names})


def parse_events(body: Union[str, bytes]) -> Events:
    """The body of an event webhook; raises a 400 where it is none. Verify it first."""
    value = _parse(body)
    domain, events = value.get("domain"), value.get("events")
    if not isinstance(domain, str) or not isinstance(events, list):
        raise _malformed("the body has no domain or no events")
    return Events(domain, [_event(raw) for raw in events])


def parse_message(body: Union[str, bytes]) -> Packet:
    """The body of a service's webhook: a message; raises a 400 where it is none. Verify it first."""
    value = _parse(body)
    if not all(isinstance(value.get(name), str) for name in ("from", "to", "body")):
        raise _malformed("the body is no message")
    return cast(Packet, value)
