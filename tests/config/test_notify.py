"""What [notify] may say; what is wrong with it is named, and no secret is quoted."""

from pathlib import Path

import pytest

from tests.config.test_load import HEAD, RECORD, Write, loaded, problems, write

__all__ = ["write"]

SECRET = "s3cret-0123456789"
HOOK = '[notify.webhooks.chat]\nurl = "https://chat.example/hook"\n'
COMMAND = '[notify.commands.page]\nargv = ["/bin/page"]\n'


def test_receivers_are_read_with_their_defaults(write: Write) -> None:
    notify = loaded(write(HEAD + RECORD + HOOK + COMMAND)).notify
    chat, page = notify.webhooks["chat"], notify.commands["page"]
    assert (chat.events, chat.records, chat.secret) == (["decision"], ["*"], None)
    assert page.argv == ["/bin/page"]


def test_without_the_table_there_are_none(write: Write) -> None:
    notify = loaded(write(HEAD + RECORD)).notify
    assert (notify.webhooks, notify.commands) == ({}, {})


def test_the_secret_is_the_first_line_of_its_file(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\nmore\n")
    config = loaded(write(HEAD + RECORD + HOOK + f'secret_file = "{path}"\n'))
    secret = config.notify.webhooks["chat"].secret
    assert secret is not None
    assert secret.get_secret_value() == SECRET
    assert SECRET not in repr(config)
    assert "chat.example" not in repr(config.notify)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('url = "ftp://chat.example"', "url: must be a URL with http or https, like"),
        ('url = "https://"', "url: must be a URL with http or https, like"),
        ('url = "https://[::1/x"', "url: must be a URL with http or https, like"),
        ('url = "https://chat.example:0/"', "url: must be a URL with http or https, like"),
        ('url = "https://chat.example/a b"', "url: must be a URL with http or https, like"),
        ('url = "https://u:s3cret@chat.example"', "without user and password"),
        ('url = ["https://chat.example"]', "url: should be a valid string"),
        ("", "url: is required"),
        ('url = "http://h"\nsecret = "s3cret"', "secret: must have at least 16 characters"),
        (f'url = "http://h"\nsecret = "{SECRET}"\nsecret_file = "x"', "keep one of them"),
        ('url = "http://h"\nsecret_file = "/no/such"', "secret_file: /no/such: cannot be read: No"),
        ('url = "http://h"\nevents = ["donw"]', "events[0]: should be 'decision', 'up', 'down'"),
        ('url = "http://h"\nevents = []', "events: "),
        ('url = "http://h"\nrecords = []', "records: "),
        ('url = "http://h"\ntls = { verify = false }', "`tls` has no use for a URL with http"),
        ('url = "https://h"\ntls = { ca_file = "/no/such" }', "tls: its files cannot be used: No"),
        ('url = "https://h"\ntls = { client_key = "k" }', "`client_key` has no use without"),
        ('url = "http://h"\nmax_events = 1001', "max_events: should be less than or equal to 1000"),
        ('url = "http://h"\nqueue_size = 0', "queue_size: should be greater than or equal to 1"),
        ('url = "http://h"\ntimeout = inf', "timeout: "),
        (
            'url = "http://h"\nsecrte = "x"',
            "secrte: unknown key; did you mean secret? Allowed here: ",
        ),
    ],
)
def test_a_bad_webhook_is_refused(write: Write, lines: str, complaint: str) -> None:
    (problem,) = problems(write(f"{HEAD}{RECORD}[notify.webhooks.chat]\n{lines}\n"))
    assert problem.startswith("notify.webhooks.chat")
    assert complaint in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("argv = []", "argv: "),
        ('argv = [""]', "the first element names the command"),
        ('argv = ["a", "\\u0000"]', "argv[1]: must not contain NUL"),
        ('argv = "page-oncall"', "argv: should be a valid list, not a string"),
        ('argv = ["page"]\nurl = "http://h"', "url: unknown key; allowed here: argv,"),
    ],
)
def test_a_bad_command_is_refused(write: Write, lines: str, complaint: str) -> None:
    (problem,) = problems(write(f"{HEAD}{RECORD}[notify.commands.page]\n{lines}\n"))
    assert problem.startswith("notify.commands.page")
    assert complaint in problem


def test_an_unknown_kind_of_receiver_is_refused(write: Write) -> None:
    (problem,) = problems(write(f'{HEAD}{RECORD}[notify.mail.oncall]\nto = "x"\n'))
    assert problem == "notify.mail: unknown key; allowed here: commands, webhooks"


@pytest.mark.parametrize("content", ["short\n", "", "\n0123456789abcdef\n"])
def test_a_file_without_a_secret_is_refused(write: Write, tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    (problem,) = problems(write(HEAD + RECORD + HOOK + f'secret_file = "{path}"\n'))
    assert problem.endswith("the first line must have at least 16 characters")


def test_a_name_that_matches_no_record_is_warned_of(write: Write) -> None:
    config = loaded(write(HEAD + RECORD + HOOK + 'records = ["www", "*.lb.example"]\n'))
    (warning,) = [each for each in config.warnings if "notify" in each.path]
    assert warning.path == "notify.webhooks.chat.records"
    assert "no record is named 'www'" in warning.message
