"""The token file."""

from pathlib import Path

import pytest

from dnslb_backend.admin.http.tokens import Role, digest_of, load_tokens
from dnslb_backend.errors import ConfigError

LONG = "0123456789abcdefABCDEF-._~+/=="


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "admin.tokens"
    path.touch(0o600)
    return path


def test_roles_names_comments_and_blank_lines(path: Path) -> None:
    path.write_text(f"# who may\n\n  read {LONG}\n\toperate\t{LONG[:-2]}b  night-shift\r\n")
    first, second = load_tokens(path).tokens
    assert (first.role, first.name) == (Role.READ, "read")
    assert (second.role, second.name) == (Role.OPERATE, "night-shift")
    assert second.digest == digest_of(f"{LONG[:-2]}b")


def test_a_token_is_not_kept(path: Path) -> None:
    path.write_text("read averysecrettoken-1234\n")
    assert "averysecret" not in repr(load_tokens(path))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("admin hunter2-hunter2-hunter2", "ROLE must be read or operate"),
        ("hunter2-hunter2-hunter2", "ROLE must be read or operate"),
        ("read", "ROLE TOKEN [NAME]"),
        ("read hunter2-hunter2-hunter2 two words", "ROLE TOKEN [NAME]"),
        ("read hunter2\u00fcber", "RFC 6750"),
        ("read hunter2\x00hunter2", "RFC 6750"),
        ("read hunter2=hunter2", "RFC 6750"),
        ("operate already-there-0123456", "twice"),
    ],
)
def test_a_bad_line_is_named_without_its_token(path: Path, line: str, complaint: str) -> None:
    path.write_text(f"# first\nread already-there-0123456\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_tokens(path)
    (problem,) = caught.value.problems
    assert problem.file == f"{path}:3"
    assert complaint in problem.message
    assert "hunter2" not in str(problem)


def test_all_bad_lines_are_named_at_once(path: Path) -> None:
    path.write_text("x\nread\n")
    with pytest.raises(ConfigError) as caught:
        load_tokens(path)
    assert [problem.file for problem in caught.value.problems] == [f"{path}:1", f"{path}:2"]


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent", tmp_path, binary):
        with pytest.raises(ConfigError, match=r"cannot be read|is not UTF-8"):
            load_tokens(path)


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o600, False), (0o640, False), (0o644, True), (0o660, True)]
)
def test_open_permissions_are_warned_of(path: Path, mode: int, is_open: bool) -> None:
    path.write_text(f"read {LONG}\n")
    path.chmod(mode)
    warnings = load_tokens(path).warnings
    assert bool(warnings) is is_open
    assert all(str(path) in warning for warning in warnings)


def test_a_short_token_is_warned_of(path: Path) -> None:
    path.write_text("read 123456789012345\n")
    (warning,) = load_tokens(path).warnings
    assert warning.startswith(f"{path}:1")
    assert "12345678" not in warning
