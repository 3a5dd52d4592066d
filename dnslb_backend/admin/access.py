"""Who may do what, as the settings and their token file say; `http.auth` holds requests to it."""

import hmac
from dataclasses import dataclass

from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.admin.tokens import Token, digest_of, load_tokens
from dnslb_backend.network import Address, Network, contains


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what; replaced whole on reload."""

    networks: tuple[Network, ...] = ()
    tokens: tuple[Token, ...] = ()
    warnings: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()

    def allows(self, peer: Address | None) -> bool:
        """Whether this peer may read without a token."""
        return contains(self.networks, peer)

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
    return Access(settings.networks, loaded.tokens, loaded.warnings, hosts)
