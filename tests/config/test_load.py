"""What a configuration may say, and what an operator reads when it is wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.core.model.records import AllDown, MinHealthy, RecordKey
from dnslb_backend.core.model.rules import Thresholds
from dnslb_backend.errors import ConfigError

EXAMPLES = Path(__file__).parents[2] / "configs"

Write = Callable[..., Path]

GLOBAL = '[global]\ndomain_name = "lb.example"\nnode = "ns1"\n'
DEFAULT = """
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = { type = "tcp", port = 80 }
"""
HEAD = GLOBAL + DEFAULT
RECORD = '[records."www".A]\ndest = ["192.0.2.1"]\n'
WWW = RecordKey("lb.example", "www.lb.example", "A")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str, name: str = "dnslb.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return _write


def problems(path: Path, **switches: object) -> list[str]:
    """Every line an operator reads when this configuration is refused."""
    with pytest.raises(ConfigError) as refused:
        load(ConfigPaths(path, **switches))  # type: ignore[arg-type]
    return [str(problem).removeprefix(f"{path}: ") for problem in refused.value.problems]


def loaded(path: Path, **switches: object) -> Config:
    return load(ConfigPaths(path, **switches))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["minimal.toml", "original.toml", "dnslb.toml"])
def test_every_example_loads(name: str) -> None:
    assert load(ConfigPaths(EXAMPLES / name)).plan.records


def test_there_is_no_example_without_a_test() -> None:
    assert {path.name for path in EXAMPLES.glob("*.toml")} == {
        "minimal.toml",
        "original.toml",
        "dnslb.toml",
    }


def test_a_record_inherits_what_it_leaves_out(write: Write) -> None:
    config = loaded(write(HEAD + RECORD + "interval = 9\n"))
    record = config.plan.records[WWW]
    assert (record.ttl, record.timing.interval, record.timing.timeout) == (5, 9, 2)
    assert record.timing.stale_after == 3 * 9 + 2 + 1


def test_the_original_means_the_same(write: Write) -> None:
    config = loaded(EXAMPLES / "original.toml")
    db = config.plan.records[RecordKey("lb.example", "db.lb.example", "A")]
    assert [(dest.host, dest.prio) for dest in db.dests] == [("db1.example", 2), ("db2.example", 1)]
    assert [dest.host for dest in db.fallback] == ["db1.example"]
    assert (db.all_down, db.thresholds, db.timing.shift) == (AllDown.FALLBACK, Thresholds(1, 1), 0)
    assert db.timing.dns_ttl == 300 + 0.05 * 10
    worker = config.plan.records[RecordKey("lb.example", "worker.lb.example", "A")]
    assert worker.prio_min_cnt == 2
    assert RecordKey("lb.example", "smtp.lb.example", "A") in config.plan.records


def test_a_and_aaaa_live_under_one_name(write: Write) -> None:
    both = '[records."www".A]\ndest=["192.0.2.1"]\n[records."www".AAAA]\ndest=["2001:db8::1"]\n'
    assert len(loaded(write(HEAD + both)).plan.records) == 2


def test_the_same_dest_twice_is_one(write: Write) -> None:
    text = HEAD + '[records."www".A]\ndest = ["192.0.2.1@2", "192.0.2.1@2"]\n'
    assert len(loaded(write(text)).plan.records[WWW].dests) == 1


def test_records_with_equal_checks_share_targets(write: Write) -> None:
    text = HEAD + RECORD + '[records."other".A]\ndest = ["192.0.2.1"]\ndns_timeout = 0.5\n'
    config = loaded(write(text + '[records."third".A]\ndest = ["192.0.2.1"]\nrise = 2\n'))
    prints = [record.checks for record in config.plan.records.values()]
    # stale_after follows dns_timeout, so the second is watched differently.
    assert len(set(prints)) == 3
    same = loaded(write(HEAD + RECORD + '[records."other".A]\ndest = ["192.0.2.2"]\n'))
    assert len({record.checks for record in same.plan.records.values()}) == 1


def test_what_a_zone_leaves_out_is_synthesised_with_a_warning(write: Write) -> None:
    config = loaded(write(HEAD + RECORD))
    zone = config.plan.zones["lb.example"]
    assert (zone.soa.mname, zone.soa.rname) == ("ns1.lb.example", "hostmaster.lb.example")
    assert zone.ns == ("ns1.lb.example",)
    warned = " ".join(map(str, config.warnings))
    assert all(key in warned for key in ("soa.mname", "soa.rname", ".ns"))


def test_static_names_are_relative_unless_they_end_in_a_dot(write: Write) -> None:
    zone = """
[zones."lb.example"]
static = [
  { name = "a", type = "A", content = "192.0.2.9" },
  { name = "b.lb.example.", type = "CNAME", content = "a" },
  { name = "c", type = "MX", content = "10 mail.example." },
  { name = "@", type = "TXT", content = "one two" },
]
"""
    rows = loaded(write(HEAD + zone)).plan.zones["lb.example"].static
    assert [(row.qname, row.qtype, row.content) for row in rows] == [
        ("a.lb.example", "A", "192.0.2.9"),
        ("b.lb.example", "CNAME", "a.lb.example."),
        ("c.lb.example", "MX", "10 mail.example."),
        ("lb.example", "TXT", '"one" "two"'),
    ]


def test_everything_but_interval_may_be_absent(write: Write) -> None:
    assert loaded(write('[global]\ndomain_name = "lb.example"\n')).plan.records == {}
    assert loaded(write('[zones."lb.example"]\n')).plan.records == {}


@pytest.mark.parametrize("text", ["", DEFAULT, "[global]\n"])
def test_without_any_zone_there_is_nothing_to_serve(write: Write, text: str) -> None:
    (problem,) = problems(write(text))
    assert problem.startswith("global.domain_name: is missing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{GLOBAL}[default]\nttl = {'9' * 5000}\n", "has an invalid number"),
        (f"{GLOBAL}[default]\ndest = {'[' * 3000}{']' * 3000}\n", "more than 20 levels"),
        (f"{GLOBAL}[{'.'.join('a' * 5000)}]\n", "more than 20 levels"),
        (f'{GLOBAL}[default]\nexpect = "a{{99999999999999999999}}"\n', "not a regular expression"),
        (f'{GLOBAL}[default]\nprio_regex = "{"(" * 3000}{")" * 3000}"\n', "regular expression"),
        (f"{GLOBAL}[default]\ninterval = 1e-320\n", "default.interval: must be at least"),
    ],
)
def test_what_no_parser_bears_is_refused_as_well(write: Write, text: str, expected: str) -> None:
    (problem,) = problems(write(text))
    assert expected in problem


def test_a_bad_check_in_default_is_told_of_once_and_there(write: Write) -> None:
    main = HEAD.replace("port", "prot").replace("[default]", 'load_records = ["x/*"]\n[default]')
    for number in (1, 2):
        write(f'["r{number}".A]\ndest = ["192.0.2.1"]\n', f"x/{number}.toml")
    own = 'check = { type = "tcp", prot = 1 }\n'
    found = problems(write(f"{main}{RECORD}{own}"))
    assert [problem.partition(":")[0] for problem in found] == [
        "records.www.A.check.prot",
        "default.check.prot",
    ]


def test_a_dest_may_be_listed_twice_for_two_views(write: Write) -> None:
    views = '[views.office]\nnetworks = ["10.0.0.0/8"]\n[views.lab]\nnetworks = ["10.1.0.0/16"]\n'
    dests = (
        '[{ host = "192.0.2.1", views = ["office"] }, { host = "192.0.2.1", views = ["lab"] }, '
        '{ host = "192.0.2.2", views = ["office"] }, "192.0.2.2"]'
    )
    config = loaded(write(f'{HEAD}{views}[records."www".A]\ndest = {dests}\n'))
    assert [dest.views for dest in config.plan.records[WWW].dests] == [("office", "lab"), ()]


def test_labels_are_read_in_the_order_of_their_keys(write: Write) -> None:
    dests = '[{ host = "192.0.2.1", labels = { rack = "12", dc = "fra" } }, "192.0.2.2"]'
    config = loaded(write(f'{HEAD}[records."www".A]\ndest = {dests}\n'))
    assert [dest.labels for dest in config.plan.records[WWW].dests] == [("dc=fra", "rack=12"), ()]


@pytest.mark.parametrize(
    ("written", "least", "all_down"),
    [
        ('"50%"', MinHealthy(50, is_percent=True), AllDown.ALL),
        ("3", MinHealthy(3), AllDown.ALL),
        ('3\nfallback = "192.0.2.99"', MinHealthy(3), AllDown.FALLBACK),
        ('3\nall_down = "nodata"', MinHealthy(3), AllDown.NODATA),
    ],
)
def test_min_healthy_is_a_number_or_a_share(
    write: Write, written: str, least: MinHealthy, all_down: AllDown
) -> None:
    config = loaded(
        write(f'{HEAD}[records."www".A]\ndest = ["192.0.2.1"]\nmin_healthy = {written}\n')
    )
    record = config.plan.records[WWW]
    assert (record.min_healthy, record.all_down) == (least, all_down)


@pytest.mark.parametrize("written", ["0", "-1", "0.5", '"0%"', '"101%"', '"50"', '"5.5%"', "true"])
def test_a_min_healthy_that_cannot_be_is_refused(write: Write, written: str) -> None:
    text = f'{HEAD}[records."www".A]\ndest = ["192.0.2.1"]\nmin_healthy = {written}\n'
    found = problems(write(text))
    assert found
    assert all(problem.startswith("records.www.A.min_healthy: ") for problem in found)


SEVENTEEN = ", ".join(f"k{number} = 'v'" for number in range(17))


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ('{ dc = "FRA" }', "labels: 'FRA': allowed are 1 to 63 of a-z, 0-9"),
        ('{ dc = "" }', "labels: '': allowed are"),
        ('{ "a=b" = "c" }', "'a=b': allowed are"),
        ("{ dc = 1 }", "labels: should be a valid string"),
        (f'{{ dc = "{"x" * 1000}" }}', "labels: 'xxxxxxxxxxxxxxxxxxxx'… has 1000 characters"),
        (f"{{ {SEVENTEEN} }}", "labels: Dictionary should have"),
        ('["dc=fra"]', "labels: should be a valid dictionary"),
    ],
)
def test_labels_that_are_not_allowed_are_refused(write: Write, labels: str, complaint: str) -> None:
    dests = f'[{{ host = "192.0.2.1", labels = {labels} }}]'
    (problem,) = problems(write(f'{HEAD}[records."www".A]\ndest = {dests}\n'))
    assert problem.startswith("records.www.A.dest[0]")
    assert complaint in problem
    assert len(problem) < 200


def test_a_dest_that_is_listed_twice_and_not_alike_is_refused(write: Write) -> None:
    dests = '[{ host = "192.0.2.1", check_port = 80 }, { host = "192.0.2.1", check_port = 81 }]'
    (problem,) = problems(write(f'{HEAD}[records."www".A]\ndest = {dests}\n'))
    assert problem == "records.www.A.dest[1]: 192.0.2.1 is listed twice; only the views may differ"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[global\n", "is not valid TOML"),
        ("[nonsense]\n", "nonsense: unknown section; allowed here: admin, brake"),
        (
            "[global]\nlogleve = 1\n",
            "global.logleve: unknown key; did you mean loglevel? Allowed here: delete_unknowns",
        ),
        ('[global]\ndelete_unknowns = "false"\n', "global.delete_unknowns: should be a valid bool"),
        ("[global]\nmax_record_checks = 0\n", "global.max_record_checks: should be greater"),
        ('[global]\nloglevel = "loud"\n', "global.loglevel: should be 'debug', 'info'"),
        ('[global]\nload_records = "x"\n', "global.load_records: should be a valid list"),
        ('[global]\ndomain_name = "a..b"\n', "global.domain_name: 'a..b.' is not a domain name"),
        (RECORD, "records: needs global.domain_name"),
        (GLOBAL + RECORD, "records.www.A: needs ttl, interval, timeout, dns_timeout, check"),
        (HEAD + '[records."www".A]\n', "records.www.A: needs dest"),
        (HEAD + '[records."www".A]\ndest = []\n', "records.www.A.dest: List should have at least"),
        (HEAD + '[records."www".A]\ndest = "abc"\n', "records.www.A.dest: should be a valid list"),
        (HEAD + '[records."www".A]\ndest = ["a@x"]\n', "records.www.A.dest[0]: 'a@x': after '@'"),
        (HEAD + '[records."www".A]\ndest = ["a@"]\n', "records.www.A.dest[0]: 'a@': after '@'"),
        (HEAD + '[records."www".A]\ndest = [""]\n', "records.www.A.dest[0]: '' is neither"),
        (HEAD + '[records."www".A]\ndest = ["a@1", "a@2"]\n', "dest[1]: a has two priorities"),
        (
            HEAD + '[records."www".A]\ndest = ["::1"]\n',
            "dest[0]: '::1' is not an address for a record",
        ),
        (HEAD + '[records."www".AAAA]\ndest = ["10.0.0.1"]\n', "'10.0.0.1' is not an address for"),
        (
            HEAD + '[records."www".A]\ndest = ["0.0.0.0"]\n',
            "dest[0]: 0.0.0.0 is not a server's address",
        ),
        (
            HEAD + '[records."www".A]\ndest = ["255.255.255.255@2"]\n',
            "255.255.255.255 is not a server's",
        ),
        (HEAD + '[records."www".A]\ndest = ["224.0.0.1"]\n', "224.0.0.1 is not a server's address"),
        (HEAD + '[records."www".AAAA]\ndest = ["::"]\n', ":: is not a server's address"),
        (HEAD + RECORD + 'fallback = "0.0.0.0"\n', "fallback: 0.0.0.0 is not a server's address"),
        (
            HEAD + '[records."www".A]\ndest = [{ host = "10.0.0.1", check_address = "ff02::1" }]\n',
            "dest[0]: ff02::1 is not a server's address",
        ),
        (HEAD + RECORD + "interval = 0\n", "records.www.A.interval: should be greater than 0"),
        (HEAD + RECORD + "interval = -1\n", "records.www.A.interval: should be greater than 0"),
        (HEAD + RECORD + "interval = nan\n", "records.www.A.interval: should be a finite number"),
        (HEAD + RECORD + 'interval = "5s"\n', "records.www.A.interval: should be a valid number"),
        (HEAD + RECORD + 'rise = "2"\n', "records.www.A.rise: should be a valid integer"),
        (HEAD + RECORD + "ttl = -1\n", "records.www.A.ttl: should be greater than or equal to 0"),
        (HEAD + RECORD + "ttl = 2147483648\n", "records.www.A.ttl: should be less than or equal"),
        (HEAD + RECORD + "timeout = -1\n", "records.www.A.timeout: should be greater"),
        (HEAD + RECORD + "dns_timeout = -1\n", "records.www.A.dns_timeout: should be greater"),
        (HEAD + RECORD + 'fallback = "a@2"\n', "records.www.A.fallback: 'a@2': a fallback has no"),
        (HEAD + RECORD + "colour = 1\n", "records.www.A.colour: unknown key; allowed here: all_d"),
        (HEAD + '[records."www".CAT]\n', "records.www.CAT: unknown record type; allowed here: A,"),
        (HEAD + "[records]\nwww = 3\n", "records.www: must be a table of record types"),
        (HEAD + '[records."a..b".A]\ndest=["192.0.2.1"]\n', 'records."a..b".A: '),
        (HEAD + RECORD + 'expect = "x"\n', "records.www.A.expect: belongs to a command check"),
        (HEAD + RECORD + 'check = ["true"]\n', "records.www.A: needs expect"),
        (
            HEAD + RECORD + 'check = ["true"]\nexpect = "("\n',
            "expect: '(' is not a regular expression",
        ),
        (HEAD + RECORD + 'check = ["x", "%d"]\nexpect = ""\n', "records.www.A.check"),
        (HEAD + RECORD + 'check = ["x", "%s"]\nexpect = ""\n', "records.www.A.check"),
        (HEAD + RECORD + 'check = ["x", "50%"]\nexpect = ""\n', "records.www.A.check"),
        (HEAD + RECORD + 'check = ["x", "%(port)s"]\nexpect = ""\n', "records.www.A.check"),
        (HEAD + RECORD + 'check = []\nexpect = ""\n', "records.www.A.check"),
        (HEAD + RECORD + 'check = "true"\n', "records.www.A.check: "),
        (HEAD + RECORD + 'check = { type = "telepathy" }\n', "records.www.A.check.type: "),
        (
            HEAD + RECORD + 'check = { type = "tcp", prt = 1 }\n',
            "check.prt: unknown key; did you mean port?",
        ),
        (HEAD + RECORD + 'check = { type = "http", url = "http://%s/" }\n', "A.check.url: "),
        (
            HEAD + RECORD + 'checks = [{ type = "tcp" , port = 1 }]\nrequire = 2\n',
            "A.require: is 2",
        ),
        (
            HEAD + '[zones."lb.example"]\nns = "x"\n',
            'zones."lb.example".ns: should be a valid list',
        ),
        (HEAD + '[zones."lb.example".soa]\nserial = 1\n', 'zones."lb.example".soa.serial: unknown'),
        (HEAD + '[zones."lb.example".soa]\nmname = "a..b"\n', ".soa.mname: 'a..b' is not a domain"),
        (
            HEAD + '[zones."lb.example".soa]\nttl = -1\n',
            ".soa.ttl: should be greater than or equal",
        ),
        (HEAD + "[zones]\nx = 1\n", "zones.x: must be a table"),
        (HEAD + '[server]\nhttp = "0.0.0.0:8053"\n', "server: "),
        (HEAD + '[admin]\nlisten = "nowhere"\n', "admin.listen: "),
        (
            HEAD + '[views.x]\nnetworks = ["10.0.0.1/8"]\n',
            "views.x.networks[0]: '10.0.0.1/8' is no",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(write: Write, text: str, expected: str) -> None:
    assert any(expected in line for line in problems(write(text))), problems(write(text))


STATIC = HEAD + RECORD + '[zones."lb.example"]\nstatic = [%s]\n'


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('{ name = "a", type = "A", content = "::1" }', "static[0].content: is not valid data for"),
        (
            '{ name = "a", type = "MX", content = "mail" }',
            "static[0].content: is not valid data for",
        ),
        (
            '{ name = "a", type = "CAT", content = "x" }',
            "static[0].type: 'CAT' is not a record type",
        ),
        ('{ name = "a", type = "ANY", content = "x" }', "static[0].type: 'ANY' exists only in"),
        ('{ name = "a", type = "SOA", content = "x" }', "static[0].type: 'SOA' belongs in"),
        ('{ name = "a", type = "A" }', "static[0].content: is required"),
        ('{ name = "a.other.", type = "A", content = "192.0.2.1" }', "static[0].name: a.other is"),
        ('{ name = "%s", type = "A", content = "192.0.2.1" }' % ("x" * 64), "static[0].name: "),
        ('{ name = "a", type = "A", content = "192.0.2.1", ttl = -1 }', "static[0].ttl: "),
        ('{ name = "www", type = "A", content = "192.0.2.1" }', "has static A rows too"),
        ('{ name = "www", type = "CNAME", content = "a" }', "has a CNAME, so it may not have A"),
        (
            ", ".join(['{ name = "a", type = "A", content = "192.0.2.1" }'] * 2),
            "static[1]: a.lb.example A is listed twice",
        ),
    ],
)
def test_static_rows_are_tried_at_load(write: Write, rows: str, expected: str) -> None:
    assert any(expected in line for line in problems(write(STATIC % rows)))


def test_a_record_in_two_files_names_both(write: Write) -> None:
    main = write(HEAD.replace("node", 'load_records = ["d/*.toml"]\nnode') + RECORD)
    write('["www".A]\ndest = ["192.0.2.7"]\n', "d/x.toml")
    with pytest.raises(ConfigError) as refused:
        load(ConfigPaths(main))
    (line,) = map(str, refused.value.problems)
    assert "d/x.toml: www.A: is defined already" in line
    assert str(main) in line


def test_all_problems_are_told_in_one_run(write: Write) -> None:
    lines = problems(write(HEAD + RECORD + 'ttl = -1\n[global2]\n[admin]\nlisten = "x"\n'))
    assert len(lines) == 3


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml: cannot be read: No such file"):
        load(ConfigPaths(tmp_path / "no.toml"))


DROP_IN = '["www".A]\ndest = ["192.0.2.7"]\n'


def test_values_load_as_the_original_took_them(write: Write) -> None:
    written = (
        '[global]\ndomain_name = "lb.example"\nnode = "ns1"\n'
        'loglevel = "INFO"\ndelete_unknowns = 1\nmax_record_checks = "10"\n'
    )
    numbers = 'ttl = 5.0\ninterval = "10"\ntimeout = "2.5"\nshift = "0"\nprio_min_cnt = "2"\n'
    config = loaded(write(written + DEFAULT + RECORD + numbers))
    record = config.plan.records[WWW]
    assert (record.ttl, record.prio_min_cnt) == (5, 2)
    assert (record.timing.interval, record.timing.timeout, record.timing.shift) == (10, 2.5, 0)
    settings = config.settings
    assert (settings.loglevel, settings.max_record_checks) == ("info", 10)
    assert settings.delete_unknowns is True


def test_a_byte_order_mark_is_no_part_of_the_file(write: Write) -> None:
    assert loaded(write("\ufeff" + HEAD + RECORD)).plan.records


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "loop", "huge"])
def test_what_is_no_regular_file_is_refused_at_once(
    write: Write, tmp_path: Path, kind: str
) -> None:
    path = write(GLOBAL.replace("node", 'load_records = ["records.d/*.toml"]\nnode') + DEFAULT)
    odd = tmp_path / "records.d" / "odd.toml"
    odd.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "directory":
        odd.mkdir()
    elif kind == "huge":
        with odd.open("wb") as file:
            file.truncate(1 << 30)
    else:
        odd.symlink_to("/dev/zero" if kind == "device" else odd)
    found = problems(path)
    assert any("cannot be read: " in line for line in found), found


def test_a_drop_in_written_as_the_main_file_is_explained(write: Write) -> None:
    path = write(GLOBAL.replace("node", 'load_records = ["*.d/*.toml"]\nnode') + DEFAULT)
    drop_in = write('[records."b".A]\ndest = ["192.0.2.1"]\n', "records.d/b.toml")
    (found,) = problems(path)
    expected = 'records: is not allowed in a drop-in: write ["NAME".TYPE], without "records."'
    assert found == f"{drop_in}: {expected}"
    write('["records".A]\ndest = ["192.0.2.1"]\n', "records.d/b.toml")
    assert RecordKey("lb.example", "records.lb.example", "A") in loaded(path).plan.records


def test_two_stars_are_one_as_in_the_original(write: Write) -> None:
    path = write(GLOBAL.replace("node", 'load_records = ["**/*.toml"]\nnode') + DEFAULT + RECORD)
    write('["deep".A]\ndest = ["192.0.2.1"]\n', "a/b.toml")
    write('["deeper".A]\ndest = ["192.0.2.1"]\n', "a/c/b.toml")
    names = {key.name for key in loaded(path).plan.records}
    assert "deep.lb.example" in names
    assert "deeper.lb.example" not in names


def test_drop_ins_start_at_the_main_file_or_at_base(write: Write, tmp_path: Path) -> None:
    main = write(HEAD.replace("node", 'load_records = ["*.d/*.toml", "none/*"]\nnode'))
    write(DROP_IN, "r.d/www.toml")
    assert WWW in loaded(main).plan.records
    assert loaded(main, base=tmp_path / "elsewhere").plan.records == {}


def test_a_changed_drop_in_is_tried_in_place_of_the_old(write: Write) -> None:
    main = write(HEAD.replace("node", 'load_records = ["r.d/*.toml"]\nnode'))
    write(DROP_IN, "r.d/www.toml")
    new = write(DROP_IN.replace("7", "8"), "new.toml")
    assert any("is defined already" in line for line in problems(main, records=(new,)))
    tried = loaded(main, records=(new,), exclude=(Path("r.d/www.toml"),))
    assert tried.plan.records[WWW].dests[0].host == "192.0.2.8"


@pytest.mark.parametrize("switch", ["records", "exclude"])
def test_named_files_must_exist(write: Write, switch: str) -> None:
    lines = problems(write(HEAD), **{switch: (Path("/nowhere/x.toml"),)})
    assert any("/nowhere/x.toml: no such file" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RECORD + "timeout = 4.5\n", "records.www.A: dns_timeout + timeout (1 + 4.5 s) should be"),
        (
            RECORD + 'check = ["x"]\nexpect = ""\nprio_regex = "x"\n',
            "records.www.A.prio_regex: has no group",
        ),
        (RECORD + 'proto = "TCP"\n', "records.www.A.proto: has no effect"),
        (
            RECORD + 'all_down = "fallback"\n',
            'records.www.A.all_down: is "fallback", but there is no fallback',
        ),
        (RECORD + "stale_after = 0.5\n", "records.www.A.stale_after: is below interval"),
    ],
)
def test_what_deserves_a_warning_loads(write: Write, text: str, expected: str) -> None:
    config = loaded(write(HEAD + text))
    assert any(expected in str(warning) for warning in config.warnings)


def test_nested_zones_keep_their_names_apart(write: Write) -> None:
    nested = '[zones."sub.lb.example"]\n'
    inside = '[records."www.sub".A]\ndest = ["192.0.2.1"]\n'
    assert any(
        "in another configured zone" in line for line in problems(write(HEAD + nested + inside))
    )


# -- answers that depend on who asks ---------------------------------------------------------------


def test_what_is_no_address_is_served_as_content_and_probed_elsewhere(write: Write) -> None:
    text = """
[records."mail".MX]
dest = [
  { host = "192.0.2.1", content = "10 mx1" },
  { host = "mx2.example", content = "10 mx2.example.", check_address = "192.0.2.2", prio = 2 },
]
[records."alias".CNAME]
dest = [{ host = "web.example", check_address = "192.0.2.3" }]
fallback = "sorry.example."
"""
    records = loaded(write(HEAD + text)).plan.records
    mail = records[RecordKey("lb.example", "mail.lb.example", "MX")]
    assert [(d.content, d.check_address) for d in mail.dests] == [
        ("10 mx1.lb.example.", "192.0.2.1"),
        ("10 mx2.example.", "192.0.2.2"),
    ]
    alias = records[RecordKey("lb.example", "alias.lb.example", "CNAME")]
    assert alias.dests[0].content == "web.example."
    assert [dest.host for dest in alias.fallback] == ["sorry.example."]


def test_views_are_for_members(write: Write) -> None:
    text = """
[views.office]
networks = ["10.0.0.0/8"]
[records."www".A]
dest = ["192.0.2.1", { host = "10.0.0.1", views = ["office"] }]
"""
    plan = loaded(write(HEAD + text)).plan
    assert plan.records[WWW].dests[1].views == ("office",)
    assert plan.views["office"].networks == ("10.0.0.0/8",)


def test_the_ttl_may_follow_the_checks(write: Write) -> None:
    config = loaded(write(HEAD + RECORD + 'ttl = "auto"\nttl_min = 2\nttl_max = 30\n'))
    record = config.plan.records[WWW]
    assert (record.ttl, record.ttl_range) == (2, (2, 30))


ALL_ZERO = '[{ host = "192.0.2.1", weight = 0 }, { host = "192.0.2.2", weight = 0 }]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'policy = "weighted"\ndest = {ALL_ZERO}', "A.dest: every weight is 0"),
        ('dest = [{ host = "192.0.2.1", weight = -1 }]', "dest[0].weight: should be greater"),
        ('dest = [{ host = "192.0.2.1", weight = "1" }]', "dest[0].weight: should be a valid int"),
        ('dest = [{ host = "192.0.2.1", views = ["x"] }]', "dest[0].views: no view 'x'; known: "),
        ('dest = [{ host = "192.0.2.1", content = "x" }]', "dest[0]: content: a record of type A"),
        ('dest = ["192.0.2.1"]\nttl = "auto"\nttl_min = 9\nttl_max = 3', "A.ttl_min: is above"),
        ('dest = ["192.0.2.1"]\npolicy = "luck"', "A.policy: should be 'all', 'weighted' or"),
        ('dest = ["192.0.2.1"]\nmax_answers = 0', "A.max_answers: should be greater than or"),
        ('dest = ["192.0.2.1"]\nsticky = { ipv4 = 33 }', "A.sticky.ipv4: should be less than"),
        ('dest = ["192.0.2.1"]\nclient_networks = ["x"]', "A.client_networks[0]: 'x' is no"),
    ],
)
def test_answers_that_cannot_be_are_refused(write: Write, text: str, expected: str) -> None:
    lines = problems(write(HEAD + f'[records."www".A]\n{text}\n'))
    assert any(expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('MX]\ndest = [{ host = "192.0.2.1" }]', "MX needs content"),
        ('MX]\ndest = [{ host = "m", content = "10 m" }]', "MX needs check_address"),
        ('MX]\ndest = [{ host = "192.0.2.1", content = "m" }]', "content: is not valid data for a"),
        ('CNAME]\ndest = [{ host = "w", check_address = "x" }]', "check_address 'x' is not an IP"),
    ],
)
def test_contents_are_tried_at_load(write: Write, record: str, expected: str) -> None:
    lines = problems(write(HEAD + f'[records."www".{record}\n'))
    assert any(expected in line for line in lines), lines


def test_a_place_needs_a_database(write: Write, tmp_path: Path) -> None:
    view = '[views.nz]\ncountries = ["NZ"]\n'
    assert any("need [geo] database" in line for line in problems(write(view)))
    missing = problems(write(view + '[geo]\ndatabase = "no.mmdb"\n'))
    assert any("no.mmdb cannot be read: No such file" in line for line in missing)
    (tmp_path / "bad.mmdb").write_bytes(b"x" * 100)
    bad = problems(write(view + '[geo]\ndatabase = "bad.mmdb"\n'))
    assert any("bad.mmdb cannot be read" in line for line in bad)


def test_clients_that_would_always_pick_the_same_server_are_pointed_out(write: Write) -> None:
    text = '[records."www".A]\ndest = ["10.0.0.159", "10.0.0.160"]\nclient_networks = ["%s"]\n'
    near = loaded(write(HEAD + text % "10.0.0.128/28"))
    assert any("RFC 6724" in str(warning) for warning in near.warnings)
    far = loaded(write(HEAD + text % "10.0.0.192/28"))
    assert not any("RFC 6724" in str(warning) for warning in far.warnings)


def test_a_check_must_know_its_port(write: Write) -> None:
    bare = HEAD + RECORD + 'check = { type = "tcp" }\n'
    assert any("A.check: needs a port, here or as check_port" in p for p in problems(write(bare)))
    dest = '[records."www".A]\ndest = [{ host = "192.0.2.1", check_port = 80 }]\n'
    assert loaded(write(HEAD + dest + 'check = { type = "tcp" }\n')).plan.records


@pytest.mark.parametrize(
    "text",
    [
        HEAD + '[records."www".A]\ndest = ["192.0.2.1"]\ncheck = "mysql -pSECRET"\n',
        HEAD + '[records."www".A]\ndest = ["192.0.2.1"]\nchecks = "curl http://u:SECRET@h/"\n',
        HEAD + '[records."www".A]\ndest = ["192.0.2.1"]\ncheck = ["mysql", "-pSECRET%d"]\n',
        *(
            f'{HEAD}[records."www".A]\ndest = ["192.0.2.1"]\n'
            f'check = {{ type = "http", url = "http://h/", {keys} }}\n'
            for keys in (
                'url2 = "http://h/?token=SECRET"',
                'headers = { "Authorization: Bearer SECRET" = "" }',
                'headers = { Authorization = "Bearer SECRET\\n" }',
                'headers = "Authorization: Bearer SECRET"',
                'host = "u:SECRET@h"',
                'host = "h/?token=SECRET"',
                'token = ["SECRET"]',
                'user = "u:SECRET"',
            )
        ),
        *(
            f'{HEAD}[pdns]\napi = "{url}"\napi_key_file = "/key"\n'
            for url in (
                "http://u:SECRET@127.0.0.1:8081",
                "http://127.0.0.1:8081/?api-key=SECRET",
                "ftp://u:SECRET@h",
            )
        ),
        f'{HEAD}[pdns]\napi = "http://127.0.0.1:8081"\napi_key = "SECRET"\n',
        f'{HEAD}[pdns]\ncontrol_socket = "http://u:SECRET@127.0.0.1"\n',
        f'{HEAD}[pdns]\ncontrol_socket = ["/run/pdns.controlsocket", "u:SECRET@127.0.0.1:53000"]\n',
        f'{HEAD}[server]\nhttp = "http://u:SECRET@127.0.0.1:8053"\n',
        f'{HEAD}[admin]\nlisten = "http://u:SECRET@127.0.0.1:8054"\n',
        f'{HEAD}[admin]\nhosts = ["http://u:SECRET@ns1.example"]\n',
        f'{HEAD}[brake]\ncanaries = ["http://u:SECRET@192.0.2.1:53"]\n',
        f'{HEAD}[records."www".A]\ndest = ["http://u:SECRET@192.0.2.1"]\n',
        f'{HEAD}[mysql]\nuser = "u"\npassword = ["SECRET"]\n',
        f'{HEAD}[mysql]\nhost = "u:SECRET@db.example"\n',
        f'{HEAD}[mysql]\nhost = "mysql://u:SECRET@db.example/dnslb"\n',
        f'mysql = "mysql://u:SECRET@h"\n{HEAD}',
    ],
)
def test_no_problem_shows_a_secret(write: Callable[[str], Path], text: str) -> None:
    found = problems(write(text))
    assert found
    assert "SECRET" not in "\n".join(found)


def test_where_an_unknown_answer_takes_others_with_it_there_is_a_warning(write: Write) -> None:
    apex = '[records."@".A]\ndest = ["192.0.2.1"]\n'
    (found,) = of_unknown_answers(loaded(write(HEAD + apex)))
    assert 'records."@".A' in found
    assert "consistent-backends=no" in found
    both = RECORD + 'all_down = "servfail"\n[records."www".AAAA]\ndest=["2001:db8::1"]\n'
    (found,) = of_unknown_answers(loaded(write(HEAD + both)))
    assert "records.www.A: " in found
    assert "SERVFAIL for AAAA" in found
    alone = RECORD + 'all_down = "servfail"\n'
    assert not of_unknown_answers(loaded(write(HEAD + alone)))


def of_unknown_answers(config: Config) -> list[str]:
    return [text for warning in config.warnings if "SERVFAIL" in (text := str(warning))]


OTHER = '[records."other".A]\ndest = ["192.0.2.2"]\n'
OTHER_KEY = RecordKey("lb.example", "other.lb.example", "A")


def reloaded(write: Write, before: str, after: str) -> tuple[Config, Config]:
    first = loaded(write(before))
    path = write(after)
    again, afresh = load(ConfigPaths(path), first), loaded(path)
    for field in ("plan", "checks", "fingerprint", "warnings", "digests"):
        assert getattr(again, field) == getattr(afresh, field)
    return first, again


def test_a_record_that_is_written_as_before_stays_the_same_object(write: Write) -> None:
    first, again = reloaded(write, HEAD + RECORD + OTHER, HEAD + OTHER + RECORD + "ttl = 9\n")
    assert again.plan.records[OTHER_KEY] == first.plan.records[OTHER_KEY]
    assert again.plan.records[WWW].ttl == 9
    text = HEAD + RECORD + OTHER
    first, again = reloaded(write, text, text)
    assert again.plan.records[OTHER_KEY] is first.plan.records[OTHER_KEY]


TCP = 'check = { type = "tcp", port = 80 }'
SECRET = HEAD.replace(TCP, 'check = { type = "mariadb", user = "u", password = "%s" }')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD, HEAD.replace("interval = 5", "interval = 6")),
        (SECRET % "one", SECRET % "two"),
        (HEAD, HEAD.replace("lb.example", "LB.example")),
        (HEAD.replace("lb.example", "a.example"), HEAD),
    ],
)
def test_what_a_record_inherits_changes_it(write: Write, before: str, after: str) -> None:
    first, again = reloaded(write, before + RECORD + OTHER, after + RECORD + OTHER)
    assert again.plan.records != first.plan.records
    assert again.fingerprint != first.fingerprint


def test_a_file_that_went_meanwhile_is_warned_of(write: Write, tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.touch()
    check = f'check = ["{program}"]\nexpect = "x"\n'
    text = HEAD + OTHER + RECORD + check
    first = loaded(write(text))
    assert not any("check" in str(warning) for warning in first.warnings)
    program.unlink()
    again = load(ConfigPaths(write(text)), first)
    assert [str(w).rpartition(": ")[2] for w in again.warnings if "program" in str(w)] == [
        f"the program {program} does not exist"
    ]


def test_a_warning_is_given_again(write: Write) -> None:
    text = HEAD + RECORD.replace('"192.0.2.1"', '"192.0.2.1", "192.0.2.1"') + OTHER
    first, again = reloaded(write, text, text)
    assert again.warnings == first.warnings
    assert any("is listed twice" in str(warning) for warning in again.warnings)
