"""One POST of JSON with a time limit. An answer that does not end, or a redirect, does not count as a delivery.

Not here: what is sent and to whom (`driftlake.delivery.channels`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Answers after which the same request may succeed a moment later.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
# Redirects that are followed, if the channel allows them; more would be a loop.
_MOST_REDIRECTS = 3


class NotDeliveredError(Exception):
    """The service answered, but it did not take the message; `is_transient` says whether to ask it again."""

    def __init__(self, reason: str, *, is_transient: bool) -> None:
        self.is_transient = is_transient
        super().__init__(reason)


def post(
    address: str, content: Any, headers: Mapping[str, str], *, timeout_seconds: float, follows_redirects: bool
) -> None:
    """Send `content`. Raises NotDeliveredError unless a POST was answered with 2xx, and what requests raises.

    The body of the answer is not read, because it is not needed and may be endless.
    """
    import requests

    with requests.Session() as session:
        session.max_redirects = _MOST_REDIRECTS
        with session.post(
            address,
            data=json.dumps(content, default=str),
            headers={"Content-Type": "application/json", **headers},
            timeout=timeout_seconds,
            allow_redirects=follows_redirects,
            stream=True,
        ) as answer:
            status, method = answer.status_code, answer.request.method
    if not 200 <= status < 300:
        redirected = ", a redirect, which is not followed" if 300 <= status < 400 else ""
        raise NotDeliveredError(f"the service answered {status}{redirected}", is_transient=status in _TRANSIENT)
    if method != "POST":
        raise NotDeliveredError(
            "the service redirected the message to an address that got only a GET", is_transient=False
        )
