"""[notify]: what its models cannot check alone: files, and the names of records."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.files import read_file
from dnslb_backend.notifications.events import record_pattern
from dnslb_backend.notifications.settings import (
    SHORTEST_SECRET,
    CommandSettings,
    NotifySettings,
    Receivers,
    ReceiverSettings,
    WebhookSettings,
)
from dnslb_backend.tls_client import build_context

SECRET_FILE_LIMIT = 4096


def read_notify(settings: NotifySettings, records: Iterable[RecordKey], where: Cursor) -> Receivers:
    """The receivers with the secrets of their files; reports what is wrong with them."""
    names = {key.name for key in records}
    webhooks: dict[str, WebhookSettings] = {}
    for name, table in settings.webhooks.items():
        place = where.at("webhooks", name)
        if (webhook := place.parse(WebhookSettings, table)) is not None:
            _warn_of_unmatched(webhook, names, place.at("records"))
            webhooks[name] = _complete(webhook, place)
    commands: dict[str, CommandSettings] = {}
    for name, table in settings.commands.items():
        place = where.at("commands", name)
        if (command := place.parse(CommandSettings, table)) is not None:
            _warn_of_unmatched(command, names, place.at("records"))
            commands[name] = command
    return Receivers(webhooks, commands)


def _warn_of_unmatched(receiver: ReceiverSettings, names: set[str], where: Cursor) -> None:
    for glob in receiver.records:
        pattern = record_pattern([glob])
        if not any(pattern.fullmatch(name) for name in names):
            where.warn(f"no record is named {glob!r}: names are absolute, like www.lb.example")


def _complete(webhook: WebhookSettings, where: Cursor) -> WebhookSettings:
    if webhook.is_encrypted:
        try:
            build_context(webhook.client_settings)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            where.at("tls").refuse(f"its files cannot be used: {why}")
    if webhook.secret_file is None:
        return webhook
    secret = _read_secret(webhook.secret_file, where.at("secret_file"))
    return webhook.model_copy(update={"secret": SecretStr(secret)})


def _read_secret(path: Path, where: Cursor) -> str:
    """The first line of a file; "" after reporting why there is none."""
    try:
        text = read_file(path, SECRET_FILE_LIMIT).decode("utf-8-sig")
    except OSError as error:
        where.refuse(f"{path}: cannot be read: {error.strerror}")
        return ""
    except UnicodeDecodeError:
        where.refuse(f"{path}: is not UTF-8")
        return ""
    secret = text.partition("\n")[0].strip()
    if len(secret) < SHORTEST_SECRET:
        where.refuse(f"{path}: the first line must have at least {SHORTEST_SECRET} characters")
    return secret
