"""The demo service of a local stack: an IAM user who may submit tickets, and an API key with its own limits.

In an AWS account a service would use a role. The demo service is a user, because curl needs keys that do not
expire.
"""

import json
from pathlib import Path

from local.private_files import write_private
from local.stack import Stack

_USER = "demo-service"


def create_service_client(stack: Stack, folder: Path) -> None:
    """Create the demo service, and write its keys to `service.json` and, for `curl -K`, to `service.curl`."""
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
# Options that make curl sign the request and send the API key.
aws-sigv4 = "aws:amz:{keys["region"]}:execute-api"
user = "{keys["accessKeyId"]}:{keys["secretAccessKey"]}"
header = "x-api-key: {keys["apiKey"]}"
header = "Content-Type: application/json"
"""
