"""The control plane requires a signature, and refuses web pages whatever they send."""

import os
import subprocess
import sys
from hashlib import sha256
from typing import Any

import httpx
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import REGION, ROLE, ROOT, Emulator, http

IN_THIS_REGION = {"LocationConstraint": REGION}
ALLOWED_PAGE = "http://localhost:3000"
FOREIGN_PAGE = "https://evil.example"
LIST_FUNCTIONS = "/2015-03-31/functions/"
CREDENTIAL = f"{ROOT.access_key}/20260101/{REGION}/lambda/aws4_request"
RETURN_ENVIRONMENT = "import os\ndef handler(event, context):\n    return dict(os.environ)"


@pytest.fixture(scope="module")
def emulator(authorizing_emulator: Emulator) -> Emulator:
    return authorizing_emulator


def send(emulator: Emulator, method: str, path: str, body: bytes = b"", **changes: Any) -> httpx.Response:
    """Send a request signed by ROOT; `sent_body` and `sent_headers` replace what was signed."""
    request = AWSRequest(method, emulator.url + path, data=body)
    auth = changes.get("auth", SigV4Auth)
    auth(changes.get("credentials", ROOT), changes.get("service", "lambda"), REGION).add_auth(request)
    headers = dict(request.headers) | changes.get("sent_headers", {})
    content = changes.get("sent_body", body)
    return http.request(method, request.url or "", content=content, headers=headers)


def error_code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


# --- Web pages ---


def test_a_page_cannot_list_create_or_run_a_function(emulator: Emulator) -> None:
    """Pages can send simple requests, which need no preflight."""
    name = emulator.create_function("def handler(event, context):\n    return 1")
    presigned = {"X-Amz-Credential": CREDENTIAL}
    plain = {"Content-Type": "text/plain", "Origin": FOREIGN_PAGE}
    responses = [
        http.get(emulator.url + LIST_FUNCTIONS, params=presigned),  # <img src>
        http.get(emulator.url + LIST_FUNCTIONS, params=presigned, headers={"Origin": FOREIGN_PAGE}),
        http.get(emulator.url + LIST_FUNCTIONS),
        http.post(emulator.url + LIST_FUNCTIONS, params=presigned, headers=plain, content=b"{}"),
        http.post(f"{emulator.url}{LIST_FUNCTIONS}{name}/invocations", params=presigned, headers=plain),
        http.post(f"{emulator.url}/_ministack/reset", headers=plain),
        http.post(f"{emulator.url}/_ministack/config", headers=plain, content=b"{}"),
        http.get(f"{emulator.url}/_aws/sqs/messages"),
        http.get(emulator.url + "/?Action=ListTopics", params=presigned),
    ]
    assert {response.status_code for response in responses} <= {400, 403}
    assert not [
        name for response in responses for name in response.headers if name.startswith("access-control-")
    ]


def test_a_foreign_origin_or_host_is_refused_even_with_a_valid_signature(emulator: Emulator) -> None:
    for headers in ({"Origin": FOREIGN_PAGE}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert send(emulator, "GET", LIST_FUNCTIONS, sent_headers=headers).status_code == 403
    assert send(emulator, "GET", LIST_FUNCTIONS).status_code == 200


def test_preflight_requests_are_refused(emulator: Emulator) -> None:
    headers = {"Origin": FOREIGN_PAGE, "Access-Control-Request-Method": "POST"}
    for path in (LIST_FUNCTIONS, "/", "/_ministack/reset", "/bucket/key"):
        response = httpx.options(emulator.url + path, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_other_origins_may_not_read_responses_of_the_control_plane(emulator: Emulator) -> None:
    for response in (send(emulator, "GET", LIST_FUNCTIONS), http.get(f"{emulator.url}/_ministack/health")):
        assert response.status_code == 200
        assert not [name for name in response.headers if name.startswith("access-control-")]


# --- Keys and signatures ---


def test_the_root_key_may_do_everything(emulator: Emulator) -> None:
    emulator.client("s3").create_bucket(Bucket="files", CreateBucketConfiguration=IN_THIS_REGION)
    emulator.client("s3").put_object(Bucket="files", Key="a b/ü", Body=b"body")
    assert emulator.client("s3").get_object(Bucket="files", Key="a b/ü")["Body"].read() == b"body"
    assert emulator.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    emulator.client("sns").create_topic(Name="topic")
    assert emulator.client("dynamodb").list_tables()["TableNames"] == []


@pytest.mark.parametrize("key", ["test", "local", "000000000000", ROOT.access_key, "AKIAUNKNOWN"])
def test_another_key_or_secret_is_refused(emulator: Emulator, key: str) -> None:
    for secret in ("test", "local", key):
        client = emulator.client("lambda", Credentials(key, secret))
        assert error_code(client.list_functions) in {
            "UnrecognizedClientException",
            "InvalidSignatureException",
        }


def test_an_unsigned_call_is_refused_in_the_format_of_its_service(emulator: Emulator) -> None:
    response = http.get(emulator.url + LIST_FUNCTIONS)
    assert (response.status_code, response.json()["message"]) == (403, "Missing Authentication Token")
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    assert (
        http.post(emulator.url, headers=target)
        .json()["__type"]
        .endswith("MissingAuthenticationTokenException")
    )
    assert http.get(f"{emulator.url}/bucket/key").status_code == 403


def test_a_signature_covers_body_headers_and_path(emulator: Emulator) -> None:
    invocations = f"{LIST_FUNCTIONS}{emulator.create_function(RETURN_ENVIRONMENT)}/invocations"
    assert send(emulator, "POST", invocations, b"{}").status_code == 200
    assert send(emulator, "POST", invocations, b"{}", sent_body=b'{"a":1}').status_code == 403
    hashed = {"X-Amz-Content-SHA256": sha256(b"{}").hexdigest()}
    assert send(emulator, "POST", invocations, b"{}", sent_body=b"[]", sent_headers=hashed).status_code == 403
    s3 = {"service": "s3", "auth": S3SigV4Auth}
    assert send(emulator, "PUT", "/files/k", b"{}", sent_body=b"[]", **s3).status_code in (400, 403)
    later = {"X-Amz-Date": "20200101T000000Z"}
    assert send(emulator, "GET", LIST_FUNCTIONS, sent_headers=later).status_code in (400, 403)


def test_a_second_credential_in_the_header_does_not_help(emulator: Emulator) -> None:
    _, user = emulator.create_user()
    request = AWSRequest("GET", emulator.url + LIST_FUNCTIONS)
    SigV4Auth(user, "lambda", REGION).add_auth(request)
    forged = request.headers["Authorization"].replace(
        "Credential=", f"Credential={CREDENTIAL}, Credential=", 1
    )
    response = http.get(
        emulator.url + LIST_FUNCTIONS, headers=dict(request.headers) | {"Authorization": forged}
    )
    assert response.status_code == 403


def test_a_signature_may_be_in_the_query_string(emulator: Emulator) -> None:
    assert send(emulator, "GET", LIST_FUNCTIONS, auth=SigV4QueryAuth).status_code == 200
    wrong = Credentials(ROOT.access_key, "wrong")
    assert send(emulator, "GET", LIST_FUNCTIONS, auth=SigV4QueryAuth, credentials=wrong).status_code == 403
    emulator.client("s3").create_bucket(Bucket="presigned", CreateBucketConfiguration=IN_THIS_REGION)
    emulator.client("s3").put_object(Bucket="presigned", Key="k", Body=b"body")
    url = emulator.client("s3").generate_presigned_url("get_object", {"Bucket": "presigned", "Key": "k"})
    assert http.get(url).text == "body"


def test_users_and_roles_have_their_own_permissions_and_may_not_use_the_emulators_paths(
    emulator: Emulator,
) -> None:
    _, user = emulator.create_user()
    assert (
        emulator.client("sts", user)
        .get_caller_identity()["Arn"]
        .startswith("arn:aws:iam::000000000000:user/")
    )
    assert error_code(emulator.client("lambda", user).list_functions) == "AccessDeniedException"
    keys = emulator.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="session")["Credentials"]
    session = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert "assumed-role/any" in emulator.client("sts", session).get_caller_identity()["Arn"]
    for credentials in (user, session):
        response = send(emulator, "POST", "/_ministack/config", b"{}", credentials=credentials, service="s3")
        assert response.status_code == 403
    assert send(emulator, "POST", "/_ministack/config", b"{}", service="s3").status_code == 200


def test_a_functions_credentials_cannot_be_computed_and_are_not_the_root_key(emulator: Emulator) -> None:
    function = emulator.create_function(RETURN_ENVIRONMENT)
    _, environment = emulator.invoke(function)
    arn = emulator.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    digest = sha256(f"{arn}:{ROLE}".encode()).hexdigest()
    assert environment["AWS_ACCESS_KEY_ID"] != f"ASIA{digest[:16].upper()}"
    keys = [environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
    caller = emulator.client("sts", Credentials(*keys)).get_caller_identity()["Arn"]
    assert caller == f"arn:aws:sts::000000000000:assumed-role/any/{function}"
    assert ROOT.secret_key not in environment.values()


# --- Public requests ---


def test_the_health_check_is_public(emulator: Emulator) -> None:
    assert http.get(f"{emulator.url}/_ministack/health").status_code == 200
    assert http.post(f"{emulator.url}/_ministack/health").status_code == 403


def test_rest_apis_are_public_and_the_allowed_page_may_call_them(emulator: Emulator) -> None:
    path = f"{emulator.url}/_aws/execute-api/unknown/stage/path"
    assert http.get(path).status_code == 404
    assert http.get(path, headers={"Origin": ALLOWED_PAGE}).status_code == 404
    assert "another origin" in http.get(path, headers={"Origin": FOREIGN_PAGE}).text
    for other in ("/restapis/unknown/stage/_user_request_/", "/_aws/sqs/messages"):
        assert http.get(emulator.url + other).status_code == 403
    for host in ("bucket.localhost", "unknown.execute-api.localhost"):
        response = http.post(f"{emulator.url}/_ministack/reset", headers={"Host": host})
        assert response.status_code == 403


def test_sign_in_is_public_and_other_calls_of_cognito_are_not(emulator: Emulator) -> None:
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="c", ExplicitAuthFlows=flows)
    client_id = client["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="u", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="u", Password="Passw0rd!", Permanent=True)
    parameters = {"USERNAME": "u", "PASSWORD": "Passw0rd!"}
    stranger = emulator.client("cognito-idp", Credentials("nobody", "knows"))
    signed_in = stranger.initiate_auth(
        ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
    )
    assert "IdToken" in signed_in["AuthenticationResult"]
    assert error_code(stranger.list_user_pools, MaxResults=1) == "UnrecognizedClientException"
    for file in ("jwks.json", "openid-configuration"):
        assert http.get(f"{emulator.url}/{pool}/.well-known/{file}").status_code == 200


def test_the_emulator_does_not_start_without_a_root_key() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [sys.executable, "-m", "devtools.emulator"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "AWS_SECRET_ACCESS_KEY" in ended.stderr
