"""The embedded AWS of one stack, as its users reach it."""

import os
import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from local.settings import REGION


@dataclass(frozen=True, slots=True)
class EmbeddedAws:
    """Its address, and the key of its root user, who may do everything, as in an account."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def with_new_key(cls, endpoint_url: str) -> "EmbeddedAws":
        """One whose key nobody can guess."""
        return cls(endpoint_url, f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))

    def client(self, service: str) -> Any:
        """A boto3 client, whatever AWS settings the user has."""
        return _client(self, service)

    def variables(self) -> dict[str, str]:
        """The variables by which AWS tools reach it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
            # StartSyncExecution would go to the host sync-127.0.0.1.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }

    def environment(self) -> dict[str, str]:
        """An environment in which AWS tools reach it, and nothing of the user's own AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | self.variables()


@cache
def _client(aws: EmbeddedAws, service: str) -> Any:
    session = boto3.Session(aws.access_key_id, aws.secret_access_key, region_name=REGION)
    return session.client(  # type: ignore[call-overload]
        service, endpoint_url=aws.endpoint_url, config=Config(inject_host_prefix=False)
    )
