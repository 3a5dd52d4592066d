"""Who may do what, as the settings and their token file say; `auth` holds requests to it."""

import hmac
from dataclasses import dataclass

from dnslb_backend.admin.http.tokens import Role, Token, digest_of, load_tokens
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.network import Address, Network, contains


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
