import json
import uuid
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union
from urllib.parse import quote

from ._answers import conversations_of, history_of, online_of, presences_of, results_of, sent_of, shows
from ._error import NexTalkError
from ._request import Clock, Transport
from ._token import sign_token
from ._types import Conversations, History, Id, Message, Online, Presence, Sent
from ._webhook import is_signed, webhook_keys

T = TypeVar("T")

_Text = Optional[str]
_Name = Optional[Id]
_Limit = Optional[int]

#: Of a query of ids, in encoded characters: far below the 4 KiB of headers that every server takes.
_LONGEST_IDS = 2000


def _list(secrets: Union[str, Sequence[str], None]) -> List[str]:
    return [secrets] if isinstance(secrets, str) else list(secrets or ())


def _joined(ids: Union[Id, Sequence[Id]]) -> str:
    """One id or several as the server takes them. A comma would make two ids of one."""
    texts = [str(ids)] if isinstance(ids, (str, int)) else [str(one) for one in ids]
    for text in texts:
        if "," in text:
            raise ValueError(f"an id holds no comma: {text}")
    return ",".join(texts)


def _parameters(fields: Mapping[str, object]) -> List[Tuple[str, str]]:
    """What is None or False is left out, what is True is 1."""
    return [
        (name, "1" if value is True else str(value))
        for name, value in fields.items()
        if value is not None and value is not False
    ]


def _room_path(room: Id, call: str) -> str:
    # `.` and `..` would be steps of the path.
    id = f"gid:{room}" if str(room) in (".", "..") else str(room)
    return f"/v5/rooms/{quote(id, safe='')}/{call}"


def _parts(ids: Sequence[Id]) -> Iterator[List[Id]]:
    """Parts whose encoded ids are no longer than a query may be."""
    part: List[Id] = []
    length = 0
    for id in ids:
        more = len(quote(str(id), safe="")) + 3
        if part and length + more > _LONGEST_IDS:
            yield part
            part, length = [], 0
        part.append(id)
        length += more
    if part:
        yield part


def _who(ticket: Optional[str], name: Optional[Id]) -> Dict[str, object]:
    if (ticket is None) == (name is None):
        raise ValueError("either ticket or name is needed")
    return {"ticket": ticket, "name": name}


def _message_fields(message: Mapping[str, Any], id: str) -> Dict[str, Any]:
    fields = {name: value for name, value in message.items() if value is not None and name != "id"}
    if "to" in fields:
        fields["to"] = _joined(fields["to"])
    if id != "":
        fields["id"] = id
    if fields.pop("receipt", False):
        fields["receipt"] = "1"
    return fields


class NexTalk:
    """A domain of a NexTalk server, for the site that owns it.

    ``token_secret``: the secrets of the domain's tokens, each of at least 32 bytes; the first one signs.
    ``webhook_secret``: the secrets of its webhooks; unless given the API key, with which the server signs then.
    ``timeout``: seconds for each attempt, from connecting to the end of the answer.
    ``retries``: how many more attempts a call has.

    Safe to share among threads and over a fork; each thread keeps a connection of its own.
    """

    def __init__(
        self,
        server: str,
        domain: str,
        api_key: str,
        *,
        token_secret: Union[str, Sequence[str], None] = None,
        webhook_secret: Union[str, Sequence[str], None] = None,
        timeout: float = 5.0,
        retries: int = 2,
        clock: Optional[Clock] = None,
    ) -> None:
        if not domain or not api_key:
            raise ValueError("domain and api_key are needed")
        self.domain = domain
        self._transport = Transport(server, domain, api_key, timeout, retries, clock or Clock())
        self._token_secrets = _list(token_secret)
        self._webhook_keys = webhook_keys(api_key, _list(webhook_secret))

    def __enter__(self) -> "NexTalk":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection of this thread."""
        self._transport.close()

    def token(self, sub: Id, claims: Optional[Mapping[str, Any]] = None, ttl: int = 3600) -> str:
        """A token with which the page of ``sub`` comes online by itself, for ``ttl`` seconds (at most 24 h).

        Claims: ``nick``, ``show``, ``status``, and the lists ``buddies`` and ``rooms``.
        """
        secret = self._token_secrets[0] if self._token_secrets else ""
        now = self._transport.clock.now()
        return sign_token(sub, claims or {}, domain=self.domain, secret=secret, now=now, ttl=ttl)

    def online(
        self,
        name: Id,
        *,
        nick: str = "",
        show: _Text = None,
        status: _Text = None,
        buddies: Optional[Sequence[Id]] = None,
        rooms: Optional[Sequence[Id]] = None,
        client: _Text = None,
    ) -> Online:
        """Brings somebody online: a user, ``vid:…`` or ``sid:…``."""
        fields: Dict[str, object] = {"name": name, "nick": nick, "show": show, "status": status, "client": client}
        fields["buddies"] = None if buddies is None else _joined(buddies)
        fields["rooms"] = None if rooms is None else _joined(rooms)
        return online_of(self._post("/v5/presences/online", fields))

    def offline(self, *, ticket: _Text = None, name: _Name = None) -> None:
        """By ticket one client; by name all of them, who are signed out."""
        self._post("/v5/presences/offline", _who(ticket, name), ends=ticket is not None)

    def show(
        self,
        show: str,
        *,
        ticket: _Text = None,
        name: _Name = None,
        status: _Text = None,
        nick: _Text = None,
    ) -> None:
        self._post("/v5/presences/show", {**_who(ticket, name), "show": show, "status": status, "nick": nick})

    def send(
        self,
        to: Union[Id, Sequence[Id], None],
        body: str,
        *,
        from_: _Name = None,
        ticket: _Text = None,
        id: _Text = None,
        data: Optional[object] = None,
        receipt: bool = False,
        **more: object,
    ) -> Sent:
        """Sends a message to one receiver or several, at most 1,000; a ``broadcast`` has ``None``.

        ``id``: 1 to 64 of ``A-Za-z0-9._~-``, made unless given; empty: none, and no attempt whose end is unknown is
        repeated. ``data``: any JSON. ``receipt``: asks what became of it. More: ``type`` (``chat``, ``grpchat``,
        ``broadcast``), ``nick``, ``style``, ``timestamp``, ``avatar``, ``to_name``, ``to_avatar``, ``to_other``.
        """
        own = uuid.uuid4().hex if id is None else id
        message = {"from": from_, "ticket": ticket, "to": to, "body": body, "receipt": receipt, **more}
        fields = _message_fields(message, own)
        if data is not None:
            fields["data"] = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        return sent_of(self._post("/v5/messages", fields, repeatable=own != ""), own)

    def send_batch(self, messages: Sequence[Message]) -> List[Union[Sent, NexTalkError]]:
        """Sends up to 1,000 messages in one call.

        A result for each, in order: what was sent, or why that one was not (not raised: it holds up no other).
        """
        ids = [message.get("id", uuid.uuid4().hex) for message in messages]
        document = {
            "domain": self.domain,
            "messages": [_message_fields(message, id) for message, id in zip(messages, ids)],
        }
        answer = self._transport.perform(
            "POST", "/v5/messages/batch", (), document=document, repeatable="" not in ids
        )
        return results_of(answer, ids)

    def status(self, to: Id, show: str, *, ticket: _Text = None, name: _Name = None, nick: _Text = None) -> None:
        """Tells somebody or a room (``gid:…``) what one is doing: ``typing``, ``paused``, ``read {id}``."""
        self._post("/v5/statuses", {**_who(ticket, name), "to": _joined(to), "show": show, "nick": nick})

    def presences(self, ids: Sequence[Id]) -> Dict[str, str]:
        """The show of those who are online and visible."""
        return self._presences(ids, None, shows)

    def full_presences(self, ids: Sequence[Id]) -> Dict[str, Presence]:
        """The same with nick and status."""
        return self._presences(ids, True, presences_of)

    def all_presences(self, limit: _Limit = None) -> Iterator[Tuple[str, str]]:
        """Everybody who is online and visible, in no order; ``limit`` is the size of a page."""
        after: Optional[str] = None
        while True:
            answer = self._get("/v5/presences/all", {"after": after, "limit": limit})
            yield from shows(answer.get("presences")).items()
            after = answer.get("next")
            if not isinstance(after, str) or after == "":
                return

    def members(self, room: Id, *, ticket: _Text = None, name: _Name = None) -> Dict[str, str]:
        """The members of a room that are online and visible."""
        return shows(self._get(_room_path(room, "members"), {"ticket": ticket, "name": name}))

    def full_members(self, room: Id, *, ticket: _Text = None, name: _Name = None) -> Dict[str, Presence]:
        """The same with nick and status."""
        fields = {"ticket": ticket, "name": name, "full": True}
        return presences_of(self._get(_room_path(room, "members"), fields))

    def join(self, room: Id, *, ticket: _Text = None, name: _Name = None, nick: _Text = None) -> None:
        self._post(_room_path(room, "join"), {**_who(ticket, name), "nick": nick})

    def leave(self, room: Id, *, ticket: _Text = None, name: _Name = None, nick: _Text = None) -> None:
        self._post(_room_path(room, "leave"), {**_who(ticket, name), "nick": nick})

    def history(
        self,
        name: Id,
        other: Id,
        *,
        before: _Text = None,
        after: _Text = None,
        limit: _Limit = None,
    ) -> History:
        """The conversation of ``name`` with somebody or with a room (``gid:…``)."""
        fields = {"name": name, "with": other, "before": before, "after": after, "limit": limit}
        return history_of(self._get("/v5/history", fields))

    def conversations(
        self,
        name: Id,
        *,
        before: _Text = None,
        limit: _Limit = None,
    ) -> Conversations:
        """The conversations of ``name``, the newest first; ``before`` is the ``next`` of a page."""
        fields = {"name": name, "before": before, "limit": limit}
        return conversations_of(self._get("/v5/history", fields))

    def forget(self, name: Id, *, other: _Name = None, id: _Text = None) -> None:
        """Forgets the conversations of ``name``, that with one other, or one message."""
        fields = {"domain": self.domain, "name": name, "with": other, "id": id}
        self._transport.perform("DELETE", "/v5/history", _parameters(fields))

    def verify_webhook(self, body: Union[str, bytes], signature: Optional[str]) -> bool:
        """Whether the server signed this body.

        ``signature`` is the header ``X-NexTalk-Signature``, the body as it came, unparsed.
        """
        return is_signed(body, signature, self._webhook_keys)

    def _presences(
        self, ids: Sequence[Id], full: Optional[bool], read: Callable[[object], Dict[str, T]]
    ) -> Dict[str, T]:
        found: Dict[str, T] = {}
        for part in _parts(ids):
            found.update(read(self._get("/v5/presences", {"ids": _joined(part), "full": full})))
        return found

    def _get(self, path: str, fields: Mapping[str, object]) -> Dict[str, Any]:
        return self._transport.perform("GET", path, _parameters({"domain": self.domain, **fields}))

    def _post(
        self, path: str, fields: Mapping[str, object], *, repeatable: bool = True, ends: bool = False
    ) -> Dict[str, Any]:
        parameters = _parameters({"domain": self.domain, **fields})
        return self._transport.perform("POST", path, parameters, repeatable=repeatable, ends=ends)
