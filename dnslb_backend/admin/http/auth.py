"""Who may do what: networks that may read, tokens that may read or operate.

    what is asked for   nothing sent       token of role read   token of role operate   wrong token
    to read             200 from `allow`   200                  200                     401
                        else 401
    to change           401                403                  200                     401

Only an Authorization header carries a token: a browser does not send it by itself, so that no
foreign page can change anything. Peers that may read without one are known by their address;
see `http_hosts` for what that alone would let in.
"""

import hmac
import logging
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from dnslb_backend.admin.http.problems import ProblemError
from dnslb_backend.admin.http.tokens import Role, Token, digest_of, load_tokens
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.http_hosts import is_expected_host
from dnslb_backend.logs import fields
from dnslb_backend.network import Address, Network, contains, peer_address
from dnslb_backend.throttle import LogRateLimiter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: the peer's address, and the name of the token, "" without one."""

    peer: str
    role: Role
    name: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what; replaced whole on reload."""

    networks: tuple[Network, ...] = ()
    tokens: tuple[Token, ...] = ()
    warnings: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()
    has_token_file: bool = False

    def allows(self, peer: Address | None) -> bool:
        """Whether this peer may read without a token."""
        return contains(self.networks, peer)

    @property
    def read_only(self) -> str:
        """Why no caller can change anything; "" where some token is of role operate."""
        if not self.has_token_file:
            return "no token file is configured, so nothing can be changed: set [admin] token_file"
        if not any(token.role is Role.OPERATE for token in self.tokens):
            return "the token file has no token of role operate, so nothing can be changed"
        return ""

    def token(self, text: str) -> Token | None:
        """The token that `text` is, in a time that does not depend on how much of it is right."""
        digest = digest_of(text)
        found = None
        for token in self.tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def load_access(settings: AdminSettings) -> Access:
    """Read the token file that the settings name. Raises ConfigError with every bad line."""
    if settings.token_file is None:
        return Access(settings.networks, hosts=frozenset(settings.hosts))
    loaded = load_tokens(settings.token_file)
    hosts = frozenset(settings.hosts)
    return Access(settings.networks, loaded.tokens, loaded.warnings, hosts, has_token_file=True)


def authorize(
    request: web.Request, access: Access, needed: Role, refusals: LogRateLimiter
) -> Caller:
    """Who sent this request, if they may do it; else raises ProblemError 401 or 403, logged.

    Of one peer that is refused for one reason again and again, `refusals` lets few lines through.
    """
    peer = peer_of(request)

    def refusal(status: HTTPStatus, why: str) -> ProblemError:
        if (kept_back := refusals.admit((peer, status, why))) is not None:
            _log_denied(request, status, why, kept_back)
        return _refusal(status, why)

    header = request.headers.get("Authorization")
    if header is None:
        if needed is Role.READ and access.allows(peer):
            if not _is_foreign(request, access):
                return Caller(str(peer), Role.READ)
            raise refusal(
                HTTPStatus.FORBIDDEN, "[admin] hosts does not name this Host, and no token was sent"
            )
        more = "" if access.has_token_file else ", and no token file is configured"
        raise refusal(HTTPStatus.UNAUTHORIZED, f"a token is needed{more}")
    token = _token_of(header, access)
    if token is None:
        raise refusal(HTTPStatus.UNAUTHORIZED, "no such token")
    if not token.role.includes(needed):
        raise refusal(
            HTTPStatus.FORBIDDEN, f"token {token.name} has the role {token.role}, not {needed}"
        )
    return Caller(str(peer), token.role, token.name)


def may_read(request: web.Request, access: Access) -> bool:
    """Whether the details of a response that is open to everybody may be included."""
    header = request.headers.get("Authorization")
    if header is not None:
        return _token_of(header, access) is not None
    peer = peer_of(request)
    return access.allows(peer) and not _is_foreign(request, access)


def peer_of(request: web.Request) -> Address | None:
    """The address that a request came from."""
    name = request.transport.get_extra_info("peername") if request.transport else None
    return peer_address(name[0]) if isinstance(name, tuple) else None


def bearer_of(request: web.Request) -> str | None:
    """The token that a request carries, whatever it is good for."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() or None if scheme.lower() == "bearer" else None


def _token_of(header: str, access: Access) -> Token | None:
    scheme, _, text = header.partition(" ")
    return access.token(text.strip()) if scheme.lower() == "bearer" else None


def _is_foreign(request: web.Request, access: Access) -> bool:
    """Whether a browser may have been led here by a name that is not ours (DNS rebinding)."""
    return not is_expected_host(request.headers.get("Host", ""), access.hosts)


def _log_denied(request: web.Request, status: HTTPStatus, why: str, kept_back: int) -> None:
    log.warning(
        "request refused",
        extra=fields(
            peer=peer_of(request),
            method=request.method,
            path=request.path,
            status=status.value,
            why=why,
            more_like_it=kept_back or None,
        ),
    )


def _refusal(status: HTTPStatus, why: str) -> ProblemError:
    challenge = {"WWW-Authenticate": 'Bearer realm="dnslb"'}
    return ProblemError(
        status, why, headers=challenge if status is HTTPStatus.UNAUTHORIZED else None
    )
