"""Access to s3://: credentials, region and endpoint, the same for DuckDB and for Arrow.

A persistent DuckDB secret whose scope covers a place is used for it; everything else goes through the usual AWS chain as
botocore walks it: environment, profiles, SSO, assumed roles, web identity, container and instance metadata. Temporary
credentials are fetched anew before they expire. Not here: what is read from a place (`driftlake.inputs.partitions`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pyarrow.fs as pafs

from driftlake.errors import StorageError
from driftlake.lake.duckdb_extensions import connect_with, load_extension
from driftlake.lake.queries import literal

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

SCHEME = "s3://"

# DuckDB's region if none is configured; botocore's default is the same.
_DEFAULT_REGION = "us-east-1"
# Timeouts for checking a place before work starts; a working service answers much faster.
_SECONDS_TO_CONNECT, _SECONDS_TO_ANSWER = 3, 5
_AWS_HOST = re.compile(r"s3(\.[a-z0-9-]+)?\.amazonaws\.com")
_PART_OF_SECRET = re.compile(r"(?:^|;)(\w+)=(.*?)(?=;\w+=|$)")
_CREDENTIALS_HINT = (
    "set AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the machine a role, log in with `aws sso "
    "login`,"
    " or create a persistent DuckDB secret"
)


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials and the endpoint of an S3 service; without a key, requests are not signed."""

    key_id: str | None
    secret: str | None = field(repr=False)
    session_token: str | None = field(repr=False)
    region: str
    # host and port; None for the endpoint of AWS in the region
    endpoint: str | None = None
    is_encrypted: bool = True
    is_path_style: bool = False

    @property
    def where(self) -> str:
        """Its name in messages."""
        return self.url or f"AWS, region {self.region}"

    @property
    def url(self) -> str | None:
        """The endpoint with its scheme."""
        return self.endpoint and f"{'https' if self.is_encrypted else 'http'}://{self.endpoint}"

    def secret_parts(self) -> Mapping[str, str]:
        """The parameters of DuckDB's CREATE SECRET."""
        parts = {
            "key_id": self.key_id,
            "secret": self.secret,
            "session_token": self.session_token,
            "region": self.region,
            "endpoint": self.endpoint,
            "url_style": "path" if self.is_path_style else "vhost",
            "use_ssl": str(self.is_encrypted).lower(),
        }
        return {name: value for name, value in parts.items() if value}


def is_on_s3(location: str) -> bool:
    """Whether a place is on S3."""
    return location.startswith(SCHEME)


def extensions_to_reach(locations: Iterable[str]) -> Mapping[str, str | None]:
    """DuckDB's extensions that some places need, each with the extra of driftlake that installs it."""
    return {"httpfs": "s3"} if any(map(is_on_s3, locations)) else {}


def access_to(location: str) -> Access:
    """The access to the service of a place. Raises StorageError if there are no credentials."""
    return _covering(location) or _from_chain(location)


def filesystem_of(location: str) -> tuple[pafs.FileSystem, str]:
    """Arrow's file system for an s3:// place, and the path inside it."""
    return _filesystem(access_to(location)), location.removeprefix(SCHEME).rstrip("/")


class S3Session:
    """Lets a DuckDB connection read and write some places; call `renew` before each piece of work, because credentials expire."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, locations: Sequence[str]) -> None:
        """The connection has the `extensions_to_reach` the places. Raises StorageError if there are no credentials."""
        self._connection = connection
        self._locations = [location for location in locations if is_on_s3(location)]
        self._access: Access | None = None
        if self._locations:
            self.renew()

    def renew(self) -> None:
        """Give the connection the credentials that are valid now, unless it has them or a secret of the user's."""
        location = next((location for location in self._locations if not _covering(location)), None)
        if location is None or (access := _from_chain(location)) == self._access:
            return
        listed = "".join(f", {part} {literal(value)}" for part, value in access.secret_parts().items())
        self._connection.execute(f"create or replace temporary secret driftlake (type s3{listed})")
        self._access = access


def require_places(locations: Mapping[str, str]) -> None:
    """Check that inputs, given by the setting that names them, exist and that DuckDB can read them."""
    for setting, location in locations.items():
        require_place(setting, location, holds_input=True)
    with connect_with(extensions_to_reach(locations.values())) as connection:
        S3Session(connection, list(locations.values()))


def require_place(setting: str, location: str, *, holds_input: bool = False) -> None:
    """Request one object of a place, if it is on S3; there must be one if the place `holds_input`.

    Raises StorageError in one sentence: no credentials, not reached, refused, no bucket, another region, nothing there.
    """
    if not is_on_s3(location):
        return
    access, errors = access_to(location), _botocore_errors(location)
    bucket, _, prefix = location.removeprefix(SCHEME).rstrip("/").partition("/")
    asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": 1}
    try:
        found = _client(access).list_objects_v2(**asked)
    except errors.ClientError as error:
        raise _refusal(setting, location, access, error.response) from error
    except errors.BotoCoreError as error:
        raise StorageError(
            f"{setting}: {location}: {access.where} does not answer: {error}",
            hint="check AWS_ENDPOINT_URL, AWS_REGION, the network and proxies",
        ) from error
    # botocore follows a bucket to its region, which DuckDB and Arrow do not
    if (region := _region_in(found)) and region != access.region:
        raise StorageError(
            f"{setting}: bucket {bucket} is in region {region}, but region {access.region} is configured",
            hint="set AWS_REGION, or the region of the profile or of the DuckDB secret",
        )
    if holds_input and not found.get("KeyCount"):
        raise StorageError(f"{setting}: there is no folder {location}", hint="correct the path")


def _region_in(response: Mapping[str, Any]) -> str | None:
    region: str | None = response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
    return region


def _refusal(setting: str, location: str, access: Access, response: Mapping[str, Any]) -> StorageError:
    code, said = response["Error"].get("Code", ""), response["Error"].get("Message", "")
    if code == "NoSuchBucket":
        bucket = location.removeprefix(SCHEME).partition("/")[0]
        return StorageError(
            f"{setting}: there is no bucket {bucket} at {access.where}", hint="create it, or correct the path"
        )
    return StorageError(
        f"{setting}: {location} cannot be read from {access.where} with key {access.key_id or '(none)'}: {code} ({said})",
        hint="check the key, its secret, and that its owner may list, read and, for the warehouse, write the bucket",
    )


def _botocore_errors(location: str) -> Any:
    """The module of botocore's errors. Raises StorageError if botocore is not installed."""
    try:
        from botocore import exceptions
    except ImportError as error:
        raise StorageError(
            f"{location} is on S3, and botocore is not installed", hint="pip install 'driftlake[s3]'"
        ) from error
    return exceptions


def _from_chain(location: str) -> Access:
    """The credentials and settings of the AWS chain."""
    errors = _botocore_errors(location)
    try:
        session, settings = _chain(_environment())
        credentials = session.get_credentials()
        frozen = credentials and credentials.get_frozen_credentials()
    except (errors.BotoCoreError, errors.ClientError) as error:
        raise StorageError(f"{location}: no AWS credentials: {error}", hint=_CREDENTIALS_HINT) from error
    if not frozen:
        raise StorageError(f"{location}: no AWS credentials were found", hint=_CREDENTIALS_HINT)
    return Access(frozen.access_key, frozen.secret_key, frozen.token, **settings)


def _environment() -> tuple[tuple[str, str], ...]:
    """The environment variables that the chain depends on."""
    return tuple(
        sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_") or name == "HOME")
    )


@lru_cache(maxsize=1)
def _chain(_environment: tuple[tuple[str, str], ...]) -> tuple[Session, Mapping[str, Any]]:
    """A session that renews its credentials, and the endpoint of its S3 service."""
    from botocore.session import get_session

    session = get_session()
    # botocore reads only AWS_DEFAULT_REGION
    region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or _DEFAULT_REGION
    meta = session.create_client("s3", region_name=region).meta
    address = urlsplit(meta.endpoint_url)
    style = (meta.config.s3 or {}).get("addressing_style")
    is_other = not address.netloc.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return session, {
        "region": region,
        "endpoint": None if _AWS_HOST.fullmatch(address.netloc) else address.netloc,
        "is_encrypted": address.scheme == "https",
        "is_path_style": style == "path" or (is_other and style != "virtual"),
    }


@lru_cache(maxsize=4)
def _filesystem(access: Access) -> pafs.S3FileSystem:
    return pafs.S3FileSystem(
        access_key=access.key_id,
        secret_key=access.secret,
        session_token=access.session_token,
        anonymous=not access.key_id,
        region=access.region,
        endpoint_override=access.endpoint,
        scheme="https" if access.is_encrypted else "http",
        force_virtual_addressing=not access.is_path_style,
    )


@lru_cache(maxsize=4)
def _client(access: Access) -> BaseClient:
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import get_session

    return get_session().create_client(
        "s3",
        region_name=access.region,
        endpoint_url=access.url,
        aws_access_key_id=access.key_id,
        aws_secret_access_key=access.secret,
        aws_session_token=access.session_token,
        config=Config(
            connect_timeout=_SECONDS_TO_CONNECT,
            read_timeout=_SECONDS_TO_ANSWER,
            retries={"total_max_attempts": 2},
            s3={"addressing_style": "path" if access.is_path_style else "virtual"},
            **({} if access.key_id else {"signature_version": UNSIGNED}),
        ),
    )


def _covering(location: str) -> Access | None:
    """The access of the user's persistent DuckDB secret with the longest scope that covers a place."""
    files = sorted((Path.home() / ".duckdb" / "stored_secrets").glob("*.duckdb_secret"))
    kept = _persistent_secrets(tuple((str(path), path.stat().st_mtime_ns) for path in files)) if files else {}
    scopes = [scope for scope in kept if location.startswith(scope)]
    return kept[max(scopes, key=len)] if scopes else None


@lru_cache(maxsize=1)
def _persistent_secrets(_files: tuple[tuple[str, int], ...]) -> Mapping[str, Access]:
    """The user's own S3 secrets by scope. Only a connection that may show secrets can hand them to Arrow."""
    with duckdb.connect(config={"allow_unredacted_secrets": "true"}) as connection:
        load_extension(connection, "httpfs", extra="s3")
        found: list[tuple[Sequence[str], str]] = connection.execute(
            "select scope, secret_string from duckdb_secrets(redact => false) where type = 's3' and persistent"
        ).fetchall()
    return {scope: _of_secret(dict(_PART_OF_SECRET.findall(text))) for scopes, text in found for scope in scopes}


def _of_secret(parts: Mapping[str, str]) -> Access:
    return Access(
        parts.get("key_id"),
        parts.get("secret"),
        parts.get("session_token"),
        parts.get("region") or _DEFAULT_REGION,
        parts.get("endpoint"),
        parts.get("use_ssl", "true") not in {"false", "0"},
        parts.get("url_style") == "path",
    )
