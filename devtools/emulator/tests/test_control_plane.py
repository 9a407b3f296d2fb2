"""Only who has a key uses the control plane; a web page cannot, whatever it sends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import REGION, Emulator, running, unique

ROOT = Credentials("LOCALROOT", "the root user's secret")
HERE = {"LocationConstraint": REGION}
PAGE = "http://localhost:3000"
EVIL = "https://evil.example"
LIST_FUNCTIONS = "/2015-03-31/functions/"
CREDENTIAL = f"LOCALROOT/20260101/{REGION}/lambda/aws4_request"
SHOW_CREDENTIALS = "import os\ndef handler(event, context):\n    return dict(os.environ)"


class Guarded(Emulator):
    """An emulator whose root key is ROOT."""

    def client(self, service: str, credentials: Credentials = ROOT) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
        )

    def signed(self, method: str, path: str, body: bytes = b"", **changes: Any) -> httpx.Response:
        """A request that is signed by ROOT; `sent_body` and `sent_headers` are not what was signed."""
        request = AWSRequest(method, self.url + path, data=body)
        auth = changes.get("auth", SigV4Auth)
        auth(changes.get("credentials", ROOT), changes.get("service", "lambda"), REGION).add_auth(request)
        headers = dict(request.headers) | changes.get("sent_headers", {})
        content = changes.get("sent_body", body)
        return httpx.request(method, request.url or "", content=content, headers=headers)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    key = {"AWS_ACCESS_KEY_ID": ROOT.access_key, "AWS_SECRET_ACCESS_KEY": ROOT.secret_key}
    folder = tmp_path_factory.mktemp("guarded")
    with running(folder, AUTH="true", **key) as emulator:
        trust = {"Effect": "Allow", "Principal": {"AWS": "*", "Service": "lambda.amazonaws.com"}}
        document = {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
        guarded = Guarded(emulator.process, emulator.port, emulator.temporary, emulator.log, emulator.output)
        guarded.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(document))
        yield guarded


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


# --- What a web page can send ---


def test_a_page_cannot_list_create_or_run_a_function(emulator: Guarded) -> None:
    """What a page could do before: simple requests, which need no preflight."""
    name = emulator.function("def handler(event, context):\n    return 1")
    presigned = {"X-Amz-Credential": CREDENTIAL}
    plain = {"Content-Type": "text/plain", "Origin": EVIL}
    answers = [
        httpx.get(emulator.url + LIST_FUNCTIONS, params=presigned),  # <img src>
        httpx.get(emulator.url + LIST_FUNCTIONS, params=presigned, headers={"Origin": EVIL}),
        httpx.get(emulator.url + LIST_FUNCTIONS),
        httpx.post(emulator.url + LIST_FUNCTIONS, params=presigned, headers=plain, content=b"{}"),
        httpx.post(f"{emulator.url}{LIST_FUNCTIONS}{name}/invocations", params=presigned, headers=plain),
        httpx.post(f"{emulator.url}/_ministack/reset", headers=plain),
        httpx.post(f"{emulator.url}/_ministack/config", headers=plain, content=b"{}"),
        httpx.get(f"{emulator.url}/_aws/sqs/messages"),
        httpx.get(emulator.url + "/?Action=ListTopics", params=presigned),
    ]
    assert {answer.status_code for answer in answers} <= {400, 403}
    assert not [n for answer in answers for n in answer.headers if n.startswith("access-control-")]


def test_a_page_that_has_a_valid_signature_is_refused_by_its_origin_and_host(emulator: Guarded) -> None:
    for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert emulator.signed("GET", LIST_FUNCTIONS, sent_headers=headers).status_code == 403
    assert emulator.signed("GET", LIST_FUNCTIONS).status_code == 200


def test_no_preflight_is_granted(emulator: Guarded) -> None:
    headers = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    for path in (LIST_FUNCTIONS, "/", "/_ministack/reset", "/bucket/key"):
        answer = httpx.options(emulator.url + path, headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_answers_of_the_control_plane_may_not_be_read_by_other_origins(emulator: Guarded) -> None:
    for answer in (emulator.signed("GET", LIST_FUNCTIONS), httpx.get(f"{emulator.url}/_ministack/health")):
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]


# --- Keys and signatures ---


def test_the_root_key_does_everything(emulator: Guarded) -> None:
    emulator.client("s3").create_bucket(Bucket="files", CreateBucketConfiguration=HERE)
    emulator.client("s3").put_object(Bucket="files", Key="a b/ü", Body=b"body")
    assert emulator.client("s3").get_object(Bucket="files", Key="a b/ü")["Body"].read() == b"body"
    assert emulator.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"
    emulator.client("sns").create_topic(Name="topic")
    assert emulator.client("dynamodb").list_tables()["TableNames"] == []


@pytest.mark.parametrize("key", ["test", "local", "000000000000", "LOCALROOT", "AKIAUNKNOWN"])
def test_another_key_or_secret_is_refused(emulator: Guarded, key: str) -> None:
    for secret in ("test", "local", key):
        client = emulator.client("lambda", Credentials(key, secret))
        assert code(client.list_functions) in {"UnrecognizedClientException", "InvalidSignatureException"}


def test_an_unsigned_call_is_refused_in_the_form_of_its_service(emulator: Guarded) -> None:
    answer = httpx.get(emulator.url + LIST_FUNCTIONS)
    assert (answer.status_code, answer.json()["message"]) == (403, "Missing Authentication Token")
    target = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    assert (
        httpx.post(emulator.url, headers=target)
        .json()["__type"]
        .endswith("MissingAuthenticationTokenException")
    )
    assert httpx.get(f"{emulator.url}/bucket/key").status_code == 403


def test_a_signature_covers_body_headers_and_path(emulator: Guarded) -> None:
    invocations = f"{LIST_FUNCTIONS}{emulator.function(SHOW_CREDENTIALS)}/invocations"
    assert emulator.signed("POST", invocations, b"{}").status_code == 200
    assert emulator.signed("POST", invocations, b"{}", sent_body=b'{"a":1}').status_code == 403
    hashed = {"X-Amz-Content-SHA256": sha256(b"{}").hexdigest()}
    assert (
        emulator.signed("POST", invocations, b"{}", sent_body=b"[]", sent_headers=hashed).status_code == 403
    )
    s3 = {"service": "s3", "auth": S3SigV4Auth}
    assert emulator.signed("PUT", "/files/k", b"{}", sent_body=b"[]", **s3).status_code in (400, 403)
    later = {"X-Amz-Date": "20200101T000000Z"}
    assert emulator.signed("GET", LIST_FUNCTIONS, sent_headers=later).status_code in (400, 403)


def test_two_credentials_in_one_header_are_no_way_around(emulator: Guarded) -> None:
    user = access_key(emulator)
    request = AWSRequest("GET", emulator.url + LIST_FUNCTIONS)
    SigV4Auth(user, "lambda", REGION).add_auth(request)
    forged = request.headers["Authorization"].replace(
        "Credential=", f"Credential={CREDENTIAL}, Credential=", 1
    )
    answer = httpx.get(
        emulator.url + LIST_FUNCTIONS, headers=dict(request.headers) | {"Authorization": forged}
    )
    assert answer.status_code == 403


def test_a_signature_in_the_query_string_is_as_good(emulator: Guarded) -> None:
    assert emulator.signed("GET", LIST_FUNCTIONS, auth=SigV4QueryAuth).status_code == 200
    wrong = Credentials("LOCALROOT", "wrong")
    assert emulator.signed("GET", LIST_FUNCTIONS, auth=SigV4QueryAuth, credentials=wrong).status_code == 403
    emulator.client("s3").create_bucket(Bucket="presigned", CreateBucketConfiguration=HERE)
    emulator.client("s3").put_object(Bucket="presigned", Key="k", Body=b"body")
    url = emulator.client("s3").generate_presigned_url("get_object", {"Bucket": "presigned", "Key": "k"})
    assert httpx.get(url).text == "body"


def access_key(emulator: Guarded) -> Credentials:
    iam, name = emulator.client("iam"), unique("user")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def test_users_and_roles_do_what_they_may_and_nothing_of_the_emulators_own(emulator: Guarded) -> None:
    user = access_key(emulator)
    assert (
        emulator.client("sts", user)
        .get_caller_identity()["Arn"]
        .startswith("arn:aws:iam::000000000000:user/")
    )
    assert code(emulator.client("lambda", user).list_functions) == "AccessDeniedException"
    role = "arn:aws:iam::000000000000:role/any"
    taken = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    session = Credentials(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    assert "assumed-role/any" in emulator.client("sts", session).get_caller_identity()["Arn"]
    for credentials in (user, session):
        answer = emulator.signed("POST", "/_ministack/config", b"{}", credentials=credentials, service="s3")
        assert answer.status_code == 403
    assert emulator.signed("POST", "/_ministack/config", b"{}", service="s3").status_code == 200


def test_the_key_of_a_functions_role_cannot_be_computed_and_is_not_the_root_key(emulator: Guarded) -> None:
    function = emulator.function(SHOW_CREDENTIALS)
    _, environment = emulator.invoke(function)
    arn = emulator.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    digest = sha256(f"{arn}:arn:aws:iam::000000000000:role/any".encode()).hexdigest()
    assert environment["AWS_ACCESS_KEY_ID"] != f"ASIA{digest[:16].upper()}"
    given = [environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
    who = emulator.client("sts", Credentials(*given)).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::000000000000:assumed-role/any/{function}"
    assert ROOT.secret_key not in environment.values()


# --- What is open to everybody ---


def test_the_health_check_is_open(emulator: Guarded) -> None:
    assert httpx.get(f"{emulator.url}/_ministack/health").status_code == 200
    assert httpx.post(f"{emulator.url}/_ministack/health").status_code == 403


def test_rest_apis_are_open_and_an_allowed_page_may_call_them(emulator: Guarded) -> None:
    path = f"{emulator.url}/_aws/execute-api/unknown/stage/path"
    assert httpx.get(path).status_code == 404
    assert httpx.get(path, headers={"Origin": PAGE}).status_code == 404
    assert "another origin" in httpx.get(path, headers={"Origin": EVIL}).text
    for other in ("/restapis/unknown/stage/_user_request_/", "/_aws/sqs/messages"):
        assert httpx.get(emulator.url + other).status_code == 403
    for host in ("bucket.localhost", "unknown.execute-api.localhost"):
        answer = httpx.post(f"{emulator.url}/_ministack/reset", headers={"Host": host})
        assert answer.status_code == 403


def test_a_users_sign_in_is_open_and_other_calls_of_cognito_are_not(emulator: Guarded) -> None:
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
    assert code(stranger.list_user_pools, MaxResults=1) == "UnrecognizedClientException"
    for file in ("jwks.json", "openid-configuration"):
        assert httpx.get(f"{emulator.url}/{pool}/.well-known/{file}").status_code == 200


def test_without_a_root_key_it_does_not_start() -> None:
    keyless = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [sys.executable, "-m", "devtools.emulator"], env=keyless, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "AWS_SECRET_ACCESS_KEY" in ended.stderr
