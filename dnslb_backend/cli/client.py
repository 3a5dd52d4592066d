"""A client of the daemon's API: one request, one response, or an error that says why not."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from dnslb_backend.cli.daemon_address import DaemonAddress
from dnslb_backend.errors import AdminClientError

TIMEOUT = 30.0
"""Seconds; a reload reads every file and looks at every record."""

LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes; more than any response of a daemon."""


class RefusedError(AdminClientError):
    """The daemon refused the request. `errors` are fields and what is wrong with each."""

    def __init__(self, message: str, status: int, errors: list[tuple[str, str]]) -> None:
        super().__init__(message)
        self.status = status
        self.errors = errors


@dataclass(frozen=True, slots=True)
class AdminClient:
    """Speaks to the daemon at `where`; `timeout` is in seconds."""

    where: DaemonAddress
    timeout: float = TIMEOUT

    def get(self, path: str, **query: str) -> Any:
        """The JSON at `path`. Raises AdminClientError."""
        return json.loads(self.get_text(path, **query))

    def get_text(self, path: str, **query: str) -> str:
        """As `get`, but unread: valid JSON as it came."""
        return self._ask("GET", _target(path, query))

    def status_of(self, path: str) -> int:
        """The status of an answer, whichever it is. Raises AdminClientError where there is none."""
        return self._exchange("GET", path, None)[0]

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request that changes something. Raises AdminClientError, RefusedError."""
        return json.loads(self._ask("POST", path, json.dumps(body or {})))

    def delete(self, path: str, **query: str) -> Any:
        """Delete something; errors as with `post`."""
        return json.loads(self._ask("DELETE", _target(path, query)))

    def _ask(self, method: str, target: str, body: str | None = None) -> str:
        status, media, text = self._exchange(method, target, body)
        if 200 <= status < 300 and media == "application/json" and _is_json(text):
            return text
        raise self._refusal(status, media, text)

    def _exchange(self, method: str, target: str, body: str | None) -> tuple[int, str, str]:
        headers = {"Accept": "application/json, application/problem+json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.where.token is not None:
            headers["Authorization"] = f"Bearer {self.where.token}"
        connection = self._connection()
        try:
            connection.request(method, _base_path(self.where.url) + target, body, headers)
            response = connection.getresponse()
            data = response.read(LARGEST_ANSWER)
            if response.length:
                raise http.client.IncompleteRead(data, response.length)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise AdminClientError(self._unreachable(error)) from error
        finally:
            connection.close()
        return response.status, response.headers.get_content_type(), data.decode(errors="replace")

    def _connection(self) -> http.client.HTTPConnection:
        try:
            url = urlsplit(self.where.url)
            host, port = url.hostname, url.port
        except ValueError as error:
            raise AdminClientError(f"{self.where.url!r} is not a URL: {error}") from error
        if url.scheme not in ("http", "https") or not host:
            raise AdminClientError(
                f"{self.where.url!r} is not a URL; example: http://127.0.0.1:8054"
            )
        if url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=context)

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, ConnectionRefusedError):
            return f"no daemon answers at {self.where.url}: is dnslb-backend running?"
        if isinstance(error, TimeoutError):
            return f"the daemon at {self.where.url} did not answer within {self.timeout:g} s"
        words = str(error) or type(error).__name__
        return f"the daemon at {self.where.url} cannot be reached: {words}"

    def _refusal(self, status: int, media: str, text: str) -> AdminClientError:
        if media != "application/problem+json" or not isinstance(problem := _loaded(text), dict):
            return AdminClientError(
                f"{self.where.url} is not a dnslb-backend: it answered {status} {media}"
            )
        errors = _errors(problem)
        detail = str(problem.get("detail") or problem.get("title"))
        words = [f"refused: {detail}"]
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN) and self.where.why_no_token:
            words.append(f"no token was sent: {self.where.why_no_token}")
        words += [f"{field}: {message}" for field, message in errors if message not in detail]
        return RefusedError("\n".join(words), status, errors)


def _target(path: str, query: dict[str, str]) -> str:
    """`path` with those of `query` that are not empty."""
    asked = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(asked, quote_via=quote)}" if asked else path


def _base_path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _errors(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """Field and message of each error in a problem document."""
    errors = problem.get("errors")
    found = errors if isinstance(errors, list) else []
    return [
        (str(error.get("field", "")), str(error.get("message", "")))
        for error in found
        if isinstance(error, dict)
    ]


def _is_json(text: str) -> bool:
    return _loaded(text) is not None
