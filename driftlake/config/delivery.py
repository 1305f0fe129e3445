"""Who gets notices of incidents, and how.

Not here: sending (driftlake.delivery.channels).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from driftlake.config.base import Section


def _template(text: str | None) -> str | None:
    if text is not None:
        import jinja2

        try:
            jinja2.Environment(autoescape=True).parse(text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno} of the template: {error.message}") from error
    return text


class Channel(Section):
    """A channel for notices of incidents."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the channel: letters, digits, - and _.")
    kind: Literal["apprise", "webhook", "alertmanager"] = Field(
        description="apprise (mail, Slack, Teams, PagerDuty and a hundred others; needs driftlake[delivery]), webhook "
        "(JSON by "
        "POST) or alertmanager (its API v2)."
    )
    address_variable: str = Field(
        description="Environment variable that holds the address: an apprise URL, or an http(s) URL. The address is a "
        "secret, so it cannot be given in the configuration."
    )
    severities: tuple[Literal["warn", "critical"], ...] = Field(
        default=("warn", "critical"),
        min_length=1,
        description="Severities of incidents for which the channel gets notices.",
    )
    incidents: Literal["paging", "all"] = Field(
        default="paging",
        description="paging: incidents that page; all: every incident, including drift and warnings.",
    )
    follows_redirects: bool = Field(
        default=False,
        description="Whether a webhook or Alertmanager may answer with another address; the message counts as delivered "
        "only if that address gets the POST.",
    )
    title: Annotated[str | None, AfterValidator(_template)] = Field(
        default=None,
        description="Jinja2 template of the first line, over the columns of `incidents`, `change` and `links`, e.g. "
        "'{{ change }}: {{ title }}'; null: severity, change and title.",
    )
    body: Annotated[str | None, AfterValidator(_template)] = Field(
        default=None, description="Jinja2 template of the text; null: beginning, evidence, owner and links."
    )


class DeliverySettings(Section):
    """Notices of incidents, and a file for Prometheus."""

    channels: tuple[Channel, ...] = Field(default=(), description="Channels; each gets one notice of each change.")
    prometheus_file: str | None = Field(
        default=None,
        description="File for the textfile collector of Prometheus' node exporter, e.g. metrics/driftlake.prom; null "
        "writes none.",
    )

    @model_validator(mode="after")
    def _distinct_channels(self) -> DeliverySettings:
        names = [channel.name for channel in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channels: name used twice: {', '.join(twice)}")
        return self
