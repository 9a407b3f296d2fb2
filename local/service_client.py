"""The demo service of a local stack: an IAM user who may submit tickets, and an API key that meters it.

A service in an AWS account would have a role; a user has the one thing that a newcomer's curl needs: keys
that do not expire.
"""

import json
from pathlib import Path

from local.private_files import write_private
from local.state import Stack

_USER = "demo-service"


def create_service_client(stack: Stack, folder: Path) -> None:
    """Create the demo service; write its keys to `service.json`, and to `service.curl` for `curl -K`."""
    iam = stack.client("iam")
    iam.create_user(UserName=_USER)
    iam.attach_user_policy(UserName=_USER, PolicyArn=stack.service_client_policy_arn)
    access_key = iam.create_access_key(UserName=_USER)["AccessKey"]
    apigateway = stack.client("apigateway")
    api_key = apigateway.create_api_key(name=_USER, enabled=True)
    apigateway.create_usage_plan_key(usagePlanId=stack.usage_plan_id, keyId=api_key["id"], keyType="API_KEY")
    keys = {
        "accessKeyId": access_key["AccessKeyId"],
        "secretAccessKey": access_key["SecretAccessKey"],
        "apiKey": api_key["value"],
        "region": stack.region,
    }
    write_private(folder / "service.json", json.dumps(keys, indent=2) + "\n")
    write_private(folder / "service.curl", _curl_config(keys))


def _curl_config(keys: dict[str, str]) -> str:
    return f"""\
# A file of options for curl: it signs the request and sends the API key.
aws-sigv4 = "aws:amz:{keys["region"]}:execute-api"
user = "{keys["accessKeyId"]}:{keys["secretAccessKey"]}"
header = "x-api-key: {keys["apiKey"]}"
header = "Content-Type: application/json"
"""
