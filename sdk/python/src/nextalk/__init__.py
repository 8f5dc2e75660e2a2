"""NexTalk for a site's backend: sign tokens, bring users online, send messages, receive events."""

from ._client import NexTalk
from ._error import NexTalkError
from ._types import (
    Conversation,
    Conversations,
    History,
    Id,
    Message,
    Online,
    Packet,
    Presence,
    Sent,
)
from ._webhook import Event, Events, parse_events, parse_message

__all__ = [
    "Conversation",
    "Conversations",
    "Event",
    "Events",
    "History",
    "Id",
    "Message",
    "NexTalk",
    "NexTalkError",
    "Online",
    "Packet",
    "Presence",
    "Sent",
    "parse_events",
    "parse_message",
]
