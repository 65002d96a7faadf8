"""The signature of a request, as Java's form encoder and the server's sorting make it.

Only what the product accepts is accepted: a `~` that was left bare, or names sorted without regard to case, are wrong.
"""

import base64
import datetime
import hashlib
import hmac
import re

from . import refusal

BARE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-*_")
EXPIRES = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d(?::?\d\d)?|Z\+0000)")
ENFORCED_AHEAD = datetime.timedelta(minutes=15)


def canonical(params):
    """The text that is signed, of decoded parameters by their raw names."""
    names = sorted((name for name in params if name.lower() != "signature"), key=lambda name: name.encode("utf-16-be"))
    return "&".join(f"{name}={encode(params[name])}" for name in names).lower()


def encode(value):
    return "".join(chr(byte) if byte in BARE else f"%{byte:02X}" for byte in value.encode())


def sign(params, secret):
    digest = hmac.new(secret.encode(), canonical(params).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def expiry(text):
    """The moment that `expires` says, or None when the server cannot read it."""
    match = EXPIRES.fullmatch(text)
    if not match:
        return None
    digits = re.sub(r"[Z:]", "", match[7]) or "+0000"
    minutes = int(digits[1:3]) * 60 + int(digits[3:5] or 0)
    zone = datetime.timezone(datetime.timedelta(minutes=-minutes if digits[0] == "-" else minutes))
    try:
        return datetime.datetime(*(int(part or 0) for part in match.groups()[:6]), tzinfo=zone)
    except ValueError:
        return None


def verify(params, find_user, enforced):
    """The user who signed these parameters, or a refusal that does not say why, as the product's does not."""
    said = {name.lower(): value for name, value in params.items()
            if name.lower() in ("apikey", "signature", "signatureversion", "expires")}
    user = find_user(said.get("apikey"))
    if user is None or "signature" not in said:
        raise refusal.unauthorized()
    version = said.get("signatureversion")
    if enforced and version != "3":
        raise refusal.unauthorized()
    if version == "3":
        check_expiry(said.get("expires", ""), enforced)
    if not hmac.compare_digest(sign(params, user.secret_key).encode(), said["signature"].encode()):
        raise refusal.unauthorized()
    if not user.enabled:
        raise refusal.unauthorized()
    return user


def check_expiry(text, enforced):
    until = expiry(text)
    now = datetime.datetime.now(datetime.timezone.utc)
    if until is None or until < now or (enforced and until > now + ENFORCED_AHEAD):
        raise refusal.unauthorized()
