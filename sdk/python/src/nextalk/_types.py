from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, TypedDict, Union

#: An id as the site has it: a user (``1``, ``"jack"``), ``"vid:…"`` a visitor, ``"sid:…"`` a service, ``"gid:…"`` a room.
Id = Union[str, int]

#: A message of a batch, under the server's names; ``from`` or ``ticket``, ``to`` and ``body`` are needed.
Message = TypedDict(
    "Message",
    {
        "from": Id,
        "ticket": str,
        "to": Union[Id, Sequence[Id]],
        "body": str,
        "type": str,
        "nick": str,
        "style": str,
        "timestamp": Union[str, int, float],
        "data": Any,
        "id": str,
        "receipt": bool,
        "avatar": str,
        "to_name": str,
        "to_avatar": str,
        "to_other": str,
    },
    total=False,
)

#: A message as clients receive it; ``id``, ``data``, ``avatar`` and the ``to_…`` fields are not in each.
Packet = TypedDict(
    "Packet",
    {
        "from": str,
        "to": str,
        "nick": str,
        "timestamp": str,
        "type": str,
        "body": str,
        "style": str,
        "id": str,
        "data": Any,
        "avatar": str,
        "to_name": str,
        "to_avatar": str,
        "to_other": str,
    },
    total=False,
)

Conversation = TypedDict("Conversation", {"with": str, "last": Packet, "unread": int})


@dataclass(frozen=True)
class Online:
    """What ONLINE answers, for the page: a ticket and where to go with it."""

    ticket: str
    server: str
    jsonp: str
    websocket: str
    #: None while the server has no MQTT.
    mqtt: Optional[str]
    #: The buddies that are online, with their show.
    presences: Dict[str, str]


@dataclass(frozen=True)
class Sent:
    """A message that was accepted, and what became of it where a receipt was asked for.

    Outcomes are ``delivered``, ``queued``, ``stored``, ``dropped`` and ``unknown``.
    """

    #: Empty where the message was sent without one and the server names none.
    id: str
    #: For one receiver or a room.
    outcome: Optional[str] = None
    #: For several receivers, by their ids.
    outcomes: Optional[Mapping[str, str]] = None
    #: For a room: its members that are online and visible.
    members: Optional[int] = None


@dataclass(frozen=True)
class Presence:
    show: str
    nick: str
    status: str


@dataclass(frozen=True)
class History:
    #: Oldest first.
    messages: List[Packet]
    #: For the next page; None at the end.
    next: Optional[str] = None


@dataclass(frozen=True)
class Conversations:
    #: Newest first.
    conversations: List[Conversation]
    next: Optional[str] = None
