"""The AWS emulator of a local stack, as its clients reach it."""

import os
import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from local.settings import REGION


@dataclass(frozen=True, slots=True)
class Emulator:
    """The emulator's URL, and the access key of its root user, who may do everything."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def with_random_key(cls, endpoint_url: str) -> "Emulator":
        """An emulator at this URL whose root user has a new random key."""
        return cls(endpoint_url, f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator, which ignores the user's own AWS settings."""
        return _client(self, service)

    def session(self) -> boto3.Session:
        """The only boto3 session with the emulator's access key: a new one reads many files."""
        return _session(self)

    def variables(self) -> dict[str, str]:
        """The environment variables that make AWS tools use the emulator."""
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
        """This process's environment, with these variables in place of the user's own AWS settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | self.variables()


@cache
def _session(emulator: Emulator) -> boto3.Session:
    return boto3.Session(emulator.access_key_id, emulator.secret_access_key, region_name=REGION)


@cache
def _client(emulator: Emulator, service: str) -> Any:
    return emulator.session().client(  # type: ignore[call-overload]
        service, endpoint_url=emulator.endpoint_url, config=Config(inject_host_prefix=False)
    )
