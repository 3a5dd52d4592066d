"""What [quorum] and `voters` may say, and which questions nodes have in common."""

import pytest

from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.model.quorum import QuestionKind, QuorumRules, judged_by
from tests.config.test_load import HEAD, RECORD, Write, loaded, problems, write

__all__ = ["write"]

MYSQL = '[mysql]\nhost = "db.example"\n'
QUORUM = f"{MYSQL}[quorum]\n"


def test_without_the_table_there_are_no_questions(write: Write) -> None:
    config = loaded(write(HEAD + RECORD))
    assert (config.quorum, config.plan.questions, config.plan.ballot) == (None, {}, "")


def test_the_defaults(write: Write) -> None:
    assert loaded(write(HEAD + RECORD + QUORUM)).quorum == QuorumRules("ns1")


def test_every_key_is_read(write: Write) -> None:
    keys = 'site = "dc1"\ndown = 2\nprobers = 3\nfresh = 5\nvotes = false\nhold = 0\n'
    found = loaded(write(HEAD + RECORD + QUORUM + keys)).quorum
    assert found == QuorumRules("dc1", 2, 5.0, 0.0, False, 3)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("down = 0", "quorum.down: "),
        ('down = "most"', "quorum.down: "),
        ("probers = 1", "quorum.probers: "),
        ("fresh = 2", "quorum.fresh: should be greater than or equal to 3"),
        ("hold = -1", "quorum.hold: should be greater than or equal to 0"),
        ('site = ""', "quorum.site: "),
        ("sites = []", "quorum.sites: unknown key; did you mean site?"),
    ],
)
def test_what_is_refused(write: Write, lines: str, complaint: str) -> None:
    assert complaint in "\n".join(problems(write(f"{HEAD}{RECORD}{QUORUM}{lines}\n")))


def test_it_needs_the_database(write: Write) -> None:
    (found,) = problems(write(f"{HEAD}{RECORD}[quorum]\n"))
    assert "quorum: needs [mysql], the database through which nodes vote" in found


@pytest.mark.parametrize(
    ("lines", "voters", "warning"),
    [
        ('down = "any"', "", 'quorum.down: is "any": one node that is cut off fails everything'),
        ("probers = 2", "", "quorum.probers: is 2: a tie is UP"),
        ("", 'voters = ["dc1"]', "voters: is one site: it fails the record over alone"),
    ],
)
def test_what_is_warned_of(write: Write, lines: str, voters: str, warning: str) -> None:
    config = loaded(write(f"{HEAD}{RECORD}{voters}\n{QUORUM}{lines}\n"))
    assert any(warning in str(each) for each in config.warnings), config.warnings


def test_voters_without_a_quorum_have_no_effect(write: Write) -> None:
    config = loaded(write(f'{HEAD}{RECORD}voters = ["dc1", "dc2"]\n'))
    assert any("no effect without [quorum]" in str(each) for each in config.warnings)
    assert not any(dest.voters for r in config.plan.records.values() for dest in r.dests)


def test_an_empty_name_is_no_voter(write: Write) -> None:
    assert "voters[0]" in "\n".join(problems(write(f'{HEAD}{RECORD}voters = [""]\n{QUORUM}')))


def test_voters_of_a_destination_are_its_own(write: Write) -> None:
    record = (
        '[records."db".A]\nvoters = ["dc1", "dc2"]\n'
        'dest = ["192.0.2.1", { host = "192.0.2.2", voters = ["dc3", "dc1"] }]\n'
        "ttl = 5\ninterval = 5\ntimeout = 2\ndns_timeout = 1\n"
        'check = { type = "tcp", port = 80 }\n'
    )
    plan = loaded(write(HEAD + record + QUORUM)).plan
    (found,) = plan.records.values()
    assert [dest.voters for dest in found.dests] == [("dc1", "dc2"), ("dc1", "dc3")]
    for dest in found.dests:
        question = plan.questions[judged_by(found.checks[0], dest.voters)]
        assert question.voters == dest.voters


# -- questions ------------------------------------------------------------------------------


def asking(write: Write, check: str, more: str = "", node: str = "ns1") -> Config:
    record = (
        '[records."db".A]\ndest = ["192.0.2.1"]\nttl = 5\ninterval = 5\ntimeout = 2\n'
        f"dns_timeout = 1\ncheck = {check}\n{more}\n"
    )
    return loaded(write(HEAD.replace('"ns1"', f'"{node}"') + record + QUORUM))


def text(config: Config) -> str:
    (question,) = config.plan.questions.values()
    return question.text


@pytest.mark.parametrize(
    "check",
    [
        '{{ type = "http", url = "http://h/", user = "u", password = "{}" }}',
        '{{ type = "http", url = "http://h/", token = "{}" }}',
        '{{ type = "http", url = "http://h/?a=1&token={}&b=2" }}',
        '{{ type = "http", url = "http://h/", headers = {{ X-Api-Key = "{}" }} }}',
        '{{ type = "exec", argv = ["/bin/ask", "--password={}"] }}',
        '{{ type = "exec", argv = ["/bin/ask", "-p", "{}"] }}',
        '{{ type = "mariadb", user = "u", password = "{}" }}',
        '{{ type = "postgres", user = "u", password = "{}" }}',
        '{{ type = "tcp", port = 6379, send = "AUTH {}\\r\\n" }}',
    ],
)
def test_no_password_changes_a_question(write: Write, check: str) -> None:
    one, other = (asking(write, check.format(word)) for word in ("hunter2x", "swordfish"))
    assert text(one) == text(other)
    assert one.plan.ballot == other.plan.ballot
    assert one.checks.keys() != other.checks.keys()


@pytest.mark.parametrize(
    ("check", "more"),
    [
        ('{ type = "tcp", port = 81 }', ""),
        ('{ type = "tcp", port = 80, expect = "OK" }', ""),
        ('{ type = "http", url = "http://h/?a=1" }', ""),
        ('{ type = "tcp", port = 80 }', "fall = 2"),
        ('{ type = "tcp", port = 80 }', "fast_interval = 1"),
    ],
)
def test_another_check_rule_or_pace_is_another_question(
    write: Write, check: str, more: str
) -> None:
    base = asking(write, '{ type = "tcp", port = 80 }')
    other = asking(write, check, more)
    assert text(base) != text(other)
    assert base.plan.ballot != other.plan.ballot


def test_when_a_round_begins_and_whose_node_it_is_do_not_matter(write: Write) -> None:
    base = asking(write, '{ type = "tcp", port = 80 }')
    other = asking(write, '{ type = "tcp", port = 80 }', "shift = 1", node="ns2")
    assert text(base) == text(other)
    assert base.plan.ballot == other.plan.ballot


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ('{ type = "static" }', QuestionKind.LOCAL),
        ('{ type = "file", path = "/run/x" }', QuestionKind.LOCAL),
        ('{ type = "push", token = "0123456789", max_silence = 5 }', QuestionKind.REPORTED),
        ('{ type = "icmp" }', QuestionKind.PROBED),
    ],
)
def test_some_kinds_ask_nothing_that_others_could_answer(
    write: Write, check: str, kind: QuestionKind
) -> None:
    (question,) = asking(write, check).plan.questions.values()
    assert question.kind is kind


def test_records_that_a_reload_keeps_keep_their_questions(write: Write) -> None:
    own = 'check = { type = "tcp", port = 443 }\n'
    voters = 'voters = ["dc1", "dc2"]\n'
    paths = write(f"{HEAD}{RECORD}{own}{voters}{QUORUM}")
    before = loaded(paths)
    again = load(ConfigPaths(paths), before)
    assert all(again.plan.records[key] is each for key, each in before.plan.records.items())
    assert len(before.plan.questions) > len(before.plan.records)
    assert (again.plan.questions, again.plan.ballot) == (before.plan.questions, before.plan.ballot)
    assert again.checks == before.checks


def test_records_are_read_anew_where_nodes_begin_to_vote(write: Write) -> None:
    own = 'check = { type = "tcp", port = 443 }\n'
    before = loaded(write(f"{HEAD}{RECORD}{own}"))
    paths = write(f"{HEAD}{RECORD}{own}{QUORUM}")
    assert load(ConfigPaths(paths), before).plan.questions == loaded(paths).plan.questions != {}
