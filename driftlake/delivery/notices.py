"""Texts of notices: a title, a body and links; a channel may have its own templates.

Not here: who gets a notice, and how (`driftlake.delivery.channels`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from driftlake.config import Channel, Settings
from driftlake.vocabulary.page_names import day_page_name, model_anchor
from driftlake.vocabulary.runbooks import PAGE
from driftlake.vocabulary.wording import printable

Change = Literal["opened", "escalated", "resolved"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice of a change of an incident: its title, and the facts that a person needs first."""

    change: Change
    incident: Mapping[str, Any]
    title: str
    body: str


def links_of(settings: Settings, incident: Mapping[str, Any]) -> dict[str, str]:
    """Web addresses for an incident, as far as they exist: page, data and model of its day, and its runbook."""
    links = {}
    runbook = incident["runbook"] or ""
    if settings.reports.url:
        pages = settings.reports.url.rstrip("/")
        page = f"{pages}/{day_page_name(incident['dt'])}"
        place = model_anchor(incident["model_id"]) if incident["model_id"] else "models"
        links = {"page": page, "data": f"{page}#data", "model": f"{page}#{place}"}
        if runbook.startswith(f"{PAGE}#"):
            runbook = f"{pages}/{runbook}"
    if "://" in runbook:
        links["runbook"] = runbook
    return links


def compose(channel: Channel, change: Change, incident: Mapping[str, Any]) -> Notice:
    """The notice, written with the channel's templates. If a template fails, the standard text is used, with the error."""
    incident = {name: _printable(value) for name, value in incident.items()}
    words = {"change": change, "links": {}, "tier": None, **incident}
    title, body = _standard_title(words), _standard_body(words)
    for name, template in (("title", channel.title), ("body", channel.body)):
        if template is None:
            continue
        try:
            rendered = _render(template, words)
        except Exception as error:  # noqa: BLE001  # whatever a template does, the notice is sent
            fault = f"the template `{name}` of channel {channel.name} cannot be filled in: {error}"
            logging.getLogger(__name__).warning(fault)
            body += f"\n({fault})"
        else:
            title, body = (rendered, body) if name == "title" else (title, rendered)
    return Notice(change, incident, printable(title), printable(body))


def _printable(value: Any) -> Any:
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return printable(value) if isinstance(value, str) else value


def _standard_title(words: Mapping[str, Any]) -> str:
    return f"[{words['severity']}] {words['change']}: {words['title']}"


def _standard_body(words: Mapping[str, Any]) -> str:
    lines = [f"{words['alert_count']} alerts since {words['opened_on']}, as of {words['dt']}."]
    lines += [f"Also: {sentence}" for sentence in words["evidence"]]
    lines += [f"Owner: {words['owner']}."] if words["owner"] else []
    lines += [f"Tier: {words['tier']}."] if words["tier"] not in (None, "normal") else []
    links = words["links"]
    lines += [f"Runbook: {words['runbook']}"] if words["runbook"] and "runbook" not in links else []
    lines += [f"{name.capitalize()}: {address}" for name, address in links.items()]
    return "\n".join(lines)


def _render(template: str, words: Mapping[str, Any]) -> str:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # plain text
    return environment.from_string(template).render(words)
