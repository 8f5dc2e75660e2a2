"""What the server answers, as types."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union, cast

from ._error import NexTalkError
from ._types import Conversation, Conversations, History, Online, Packet, Presence, Sent

_STATUS_OF = {
    "bad request": 400,
    "authentication failed": 401,
    "forbidden": 403,
    "ticket not found": 404,
    "not found": 404,
    "not online": 404,
    "payload too large": 413,
    "too many requests": 429,
    "unavailable": 503,
}


def unexpected() -> NexTalkError:
    return NexTalkError(200, "unexpected answer")


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) else None


def shows(value: object) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise unexpected()
    return {id: str(show) for id, show in value.items()}


def presences_of(value: object) -> Dict[str, Presence]:
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise unexpected()
    return {
        id: Presence(_text(one.get("show")) or "", _text(one.get("nick")) or "", _text(one.get("status")) or "")
        for id, one in value.items()
    }


def online_of(answer: Mapping[str, Any]) -> Online:
    ticket = answer.get("ticket")
    if not isinstance(ticket, str):
        raise unexpected()
    return Online(
        ticket=ticket,
        server=_text(answer.get("server")) or "",
        jsonp=_text(answer.get("jsonp")) or "",
        websocket=_text(answer.get("websocket")) or "",
        mqtt=_text(answer.get("mqtt")),
        presences=shows(answer.get("presences", {})),
    )


def sent_of(answer: Mapping[str, Any], id: str) -> Sent:
    """A receipt, or without one ``{"status":"ok"}``."""
    outcomes, members = answer.get("outcomes"), answer.get("members")
    return Sent(
        id=_text(answer.get("id")) or id,
        outcome=_text(answer.get("outcome")),
        outcomes=shows(outcomes) if isinstance(outcomes, dict) else None,
        members=members if isinstance(members, int) else None,
    )


def results_of(answer: Mapping[str, Any], ids: Sequence[str]) -> List[Union[Sent, NexTalkError]]:
    """One result of a batch for each of these ids."""
    results = answer.get("results")
    if not isinstance(results, list) or len(results) != len(ids):
        raise unexpected()
    return [_result_of(result, id) for result, id in zip(results, ids)]


def _result_of(result: object, id: str) -> Union[Sent, NexTalkError]:
    if not isinstance(result, dict):
        raise unexpected()
    if result.get("status") == "ok":
        return sent_of(result, id)
    message = _text(result.get("message")) or "unexpected answer"
    return NexTalkError(_STATUS_OF.get(message, 0), message, _text(result.get("detail")))


def history_of(answer: Mapping[str, Any]) -> History:
    messages = answer.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        raise unexpected()
    return History(cast(List[Packet], messages), _text(answer.get("next")))


def conversations_of(answer: Mapping[str, Any]) -> Conversations:
    found = answer.get("conversations")
    if not isinstance(found, list) or not all(isinstance(one, dict) and "with" in one for one in found):
        raise unexpected()
    return Conversations(cast(List[Conversation], found), _text(answer.get("next")))
