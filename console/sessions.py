"""Sessions: users of the stack's pool sign in, with the operator's AWS credentials and their own password."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import ClientError

# Renew an ID token before it expires during a request.
_RENEW_SECONDS = 60
# Challenge → the name of what the user has to enter.
_ANSWERS = {"NEW_PASSWORD_REQUIRED": "NEW_PASSWORD", "SOFTWARE_TOKEN_MFA": "SOFTWARE_TOKEN_MFA_CODE"}
# Cognito's errors whose message is for the user.
_REFUSALS = {"NotAuthorizedException", "UserNotFoundException", "PasswordResetRequiredException"}
_REFUSALS |= {"InvalidPasswordException", "CodeMismatchException", "ExpiredCodeException"}


class SignInRefused(Exception):
    """The user cannot sign in like this; the message says why."""


class ChallengeRequired(Exception):
    """The user has to enter something else, as `name` says; `user` and `session` are for the answer."""

    def __init__(self, name: str, user: str, session: str) -> None:
        super().__init__(name)
        self.name, self.user, self.session = name, user, session


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user, or nobody. The API accepts the ID token until `expires_at` (epoch seconds)."""

    user: str = ""
    subject: str = ""
    groups: frozenset[str] = frozenset()
    id_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0

    @property
    def is_staff(self) -> bool:
        """Whether the user may see executions and the tickets of all customers."""
        return bool(self.groups & {"agents", "admins"})


NOBODY = Session()


class Sessions:
    """The sessions, by the random id in the browser's cookie. They end with the process or the refresh token.

    To sign in raises SignInRefused or ChallengeRequired; every method raises botocore's errors.
    """

    def __init__(self, cognito: Any, pool_id: str, client_id: str) -> None:
        self._cognito = cognito
        self._pool = {"UserPoolId": pool_id, "ClientId": client_id}
        self._by_id: dict[str, Session] = {}
        self._lock = threading.Lock()

    def sign_in(self, user: str, password: str) -> str:
        """The id of a new session."""
        tokens = self._authenticate("ADMIN_USER_PASSWORD_AUTH", USERNAME=user, PASSWORD=password)
        return self._complete(user, tokens)

    def answer(self, challenge: str, user: str, session: str, answer: str) -> str:
        """The id of a new session, for the answer to a challenge."""
        answers = {"USERNAME": user, _ANSWERS.get(challenge, "ANSWER"): answer}
        arguments = {"ChallengeName": challenge, "Session": session, "ChallengeResponses": answers}
        respond = self._cognito.admin_respond_to_auth_challenge
        return self._complete(user, self._call(respond, **arguments))

    def find(self, session_id: str) -> Session:
        """The session with this id and a valid ID token, or NOBODY."""
        with self._lock:
            session = self._by_id.get(session_id, NOBODY)
            if session.user and session.expires_at - time.time() < _RENEW_SECONDS:
                self._by_id[session_id] = session = self._renewed(session)
            return session

    def end(self, session_id: str) -> None:
        """End the session, if there is one."""
        self._by_id.pop(session_id, None)

    def _renewed(self, session: Session) -> Session:
        try:
            response = self._authenticate("REFRESH_TOKEN_AUTH", REFRESH_TOKEN=session.refresh_token)
        except SignInRefused:
            return NOBODY
        return replace(_session(response["AuthenticationResult"]), refresh_token=session.refresh_token)

    def _authenticate(self, flow: str, **parameters: str) -> Mapping[str, Any]:
        return self._call(self._cognito.admin_initiate_auth, AuthFlow=flow, AuthParameters=parameters)

    def _call(self, operation: Any, **arguments: Any) -> Mapping[str, Any]:
        try:
            return dict(operation(**self._pool, **arguments))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _REFUSALS:
                raise
            raise SignInRefused(error.response["Error"]["Message"]) from error

    def _complete(self, user: str, response: Mapping[str, Any]) -> str:
        if tokens := response.get("AuthenticationResult"):
            session_id = secrets.token_urlsafe(32)
            self._by_id[session_id] = _session(tokens)
            return session_id
        if response["ChallengeName"] not in _ANSWERS:
            raise SignInRefused(f"The console does not support Cognito's {response['ChallengeName']}.")
        # An e-mail address is an alias, which Cognito does not accept in the answer.
        user = response.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", user)
        raise ChallengeRequired(response["ChallengeName"], user, response["Session"])


def _session(tokens: Mapping[str, Any]) -> Session:
    # The token comes from Cognito itself, so that its signature needs no check here.
    claims = json.loads(base64.urlsafe_b64decode(tokens["IdToken"].split(".")[1] + "=="))
    user, groups = str(claims.get("email") or claims["sub"]), frozenset(claims.get("cognito:groups", []))
    id_token, refresh_token = tokens["IdToken"], tokens.get("RefreshToken", "")
    return Session(user, str(claims["sub"]), groups, id_token, refresh_token, float(claims["exp"]))
