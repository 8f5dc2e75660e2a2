"""Makes calls of the Python library, a line of JSON each, and says what came of them as the table does."""

import dataclasses
import json
import os
import sys
from typing import Any, Dict, List

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../sdk/python/src"))

import nextalk  # noqa: E402
from nextalk._request import Clock  # noqa: E402

SNAKE = {
    "sendBatch": "send_batch",
    "fullPresences": "full_presences",
    "allPresences": "all_presences",
    "fullMembers": "full_members",
    "verifyWebhook": "verify_webhook",
}


class TestClock(Clock):
    def __init__(self, now: float, chance: float) -> None:
        self._now, self._chance = now, chance
        self.waits: List[int] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds * 1000))

    def random(self) -> float:
        return self._chance


def plain(value: Any) -> Any:
    if isinstance(value, nextalk.NexTalkError):
        return {"error": thrown(value)}
    if isinstance(value, nextalk.Event):
        fields = {name: one for name, one in vars(value).items() if one is not None}
        return {"kind": "other", "raw": value.raw} if value.kind == "other" else {k: fields[k] for k in fields if k != "raw"}
    if dataclasses.is_dataclass(value):
        return {name: plain(one) for name, one in vars(value).items() if one is not None}
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def thrown(error: nextalk.NexTalkError) -> Dict[str, Any]:
    fields = {"status": error.status, "message": error.message, "detail": error.detail, "retryAfter": error.retry_after}
    return {name: value for name, value in fields.items() if value is not None}


def call(site: nextalk.NexTalk, name: str, args: List[Any]) -> Any:
    """The table has arguments by their place; in Python some have names."""
    if name == "parseEvents":
        return nextalk.parse_events(*args)
    if name == "parseMessage":
        return nextalk.parse_message(*args)
    method = getattr(site, SNAKE.get(name, name))
    if name in ("offline", "show", "status"):
        who, *rest = args
        more = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        return method(*rest, **who, **more)
    if name == "send":
        fields = dict(args[0])
        if "from" in fields:
            fields["from_"] = fields.pop("from")
        return method(fields.pop("to", None), fields.pop("body"), **fields)
    if name in ("token", "sendBatch", "verifyWebhook"):
        return method(*args)
    named: Dict[str, Any] = {}
    for one in args:
        if isinstance(one, dict):
            named.update({"other" if key == "with" else key: value for key, value in one.items()})
    found = method(*[one for one in args if not isinstance(one, dict)], **named)
    return list(found) if name == "allPresences" else found


def answer(question: Dict[str, Any]) -> Dict[str, Any]:
    client = question["client"]
    clock = TestClock(client["now"], client["random"])
    more = {"timeout": client["timeoutMs"] / 1000} if "timeoutMs" in client else {}
    if "retries" in client:
        more["retries"] = client["retries"]
    try:
        site = nextalk.NexTalk(
            client["server"],
            client["domain"],
            client["apiKey"],
            token_secret=client.get("tokenSecret"),
            webhook_secret=client.get("webhookSecret"),
            clock=clock,
            **more,
        )
        with site:
            return {"returns": plain(call(site, question["call"], question["args"])), "waits": clock.waits}
    except ValueError:
        return {"throws": "argument", "waits": clock.waits}
    except nextalk.NexTalkError as error:
        return {"throws": thrown(error), "waits": clock.waits}


for line in sys.stdin:
    result = answer(json.loads(line))
    if result.get("returns", 0) is None:
        del result["returns"]
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    sys.stdout.flush()
