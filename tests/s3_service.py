"""A real S3 API that checks signatures, with a user who may do everything. Not here: what driftlake does with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests
from moto.server import ThreadedMotoServer

_EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
_ROLE = "night"


@dataclass(frozen=True, slots=True)
class Service:
    """A running server, its bucket `lake`, and the keys of its user."""

    server: ThreadedMotoServer
    address: str
    key_id: str
    secret: str
    role_arn: str

    @classmethod
    def start(cls) -> Service:
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        iam = _client("iam", address, "first", "first")
        key = _new_key(iam, "team")
        role = iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=_EVERYTHING)["Role"]
        iam.put_role_policy(RoleName=_ROLE, PolicyName="everything", PolicyDocument=_EVERYTHING)
        _client("s3", address, "first", "first").create_bucket(Bucket="lake")
        # from here on every request must be signed by a user with the permission for it
        requests.post(f"{address}/moto-api/reset-auth", data=b"0", timeout=10)
        return cls(server, address, key["AccessKeyId"], key["SecretAccessKey"], role["Arn"])

    @property
    def environment(self) -> dict[str, str]:
        """The usual AWS environment that leads to it."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
        }

    def client(self, name: str) -> Any:
        """A client of the user, whatever the environment says."""
        return _client(name, self.address, self.key_id, self.secret)

    def upload_folder(self, folder: Path, prefix: str) -> None:
        """Put every file of a project except its warehouse under a prefix."""
        copied = [path for path in folder.rglob("*") if path.is_file() and "warehouse" not in path.parts]
        self.upload({f"{prefix}/{path.relative_to(folder)}": path.read_bytes() for path in copied})

    def new_key(self, user: str) -> dict[str, str]:
        """Id and secret of another user who may do everything."""
        return _new_key(self.client("iam"), user)

    def upload(self, files: dict[str, bytes]) -> None:
        """Put objects into the bucket."""
        s3 = self.client("s3")
        for name, content in files.items():
            s3.put_object(Bucket="lake", Key=name, Body=content)


def _client(name: str, address: str, key_id: str, secret: str) -> Any:
    keys = {"aws_access_key_id": key_id, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    return boto3.client(name, endpoint_url=address, **keys)


def _new_key(iam: Any, user: str) -> dict[str, str]:
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="everything", PolicyDocument=_EVERYTHING)
    key: dict[str, str] = iam.create_access_key(UserName=user)["AccessKey"]
    return key
