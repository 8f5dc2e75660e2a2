import base64
import hashlib
import hmac
import json
from typing import Any, Dict, Mapping

from ._types import Id

_LEAST_BYTES = 32
_LONGEST_S = 24 * 60 * 60


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def sign_token(sub: Id, claims: Mapping[str, Any], *, domain: str, secret: str, now: float, ttl: int) -> str:
    """A JWT, HS256; ``aud``, ``sub``, ``iat`` and ``exp`` first, then the claims, which may not set those four."""
    if str(sub) == "":
        raise ValueError("a token is for somebody: sub is empty")
    key = secret.encode("utf-8")
    if len(key) < _LEAST_BYTES:
        raise ValueError(f"token_secret has less than {_LEAST_BYTES} bytes")
    if not 0 < ttl <= _LONGEST_S:
        raise ValueError("ttl is not between 1 s and 24 h")
    for name in ("aud", "sub", "iat", "exp"):
        if name in claims:
            raise ValueError(f"the claim {name} is set by the library")
    iat = int(now)
    payload: Dict[str, Any] = {"aud": domain, "sub": str(sub), "iat": iat, "exp": iat + int(ttl), **claims}
    for name in ("buddies", "rooms"):
        if name in payload and not isinstance(payload[name], str):
            payload[name] = [str(one) for one in payload[name]]
    signed = _part(_json({"alg": "HS256", "typ": "JWT"})) + "." + _part(_json(payload))
    return signed + "." + _part(hmac.new(key, signed.encode("ascii"), hashlib.sha256).digest())
