"""What people mistype: each is refused or warned of, at its key and with what to write instead."""

import re
from pathlib import Path

import pytest

from dnslb_backend.config import ConfigPaths, load
from dnslb_backend.errors import ConfigError
from tests.pdns.geo_databases import place, write_places

BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)

HEAD = """
[global]
domain_name = "lb.example"
{global_}
[zones."lb.example"]
soa = {{ mname = "ns1", rname = "hostmaster" {soa} }}
ns = ["ns1"{ns}]
static = [{{ name = "ns1", type = "A", content = "192.0.2.53" }}{static}]
{zone}
[default]
ttl = 5
interval = 5
timeout = 2
dns_timeout = 1
check = {{ type = "tcp", port = 80 }}
"""


def whole(
    *tables: str, global_: str = "", soa: str = "", ns: str = "", static: str = "", zone: str = ""
) -> str:
    """A configuration without a mistake but for those that are given."""
    return HEAD.format(global_=global_, soa=soa, ns=ns, static=static, zone=zone) + "\n".join(
        tables
    )


def www(*lines: str, dest: str = '"192.0.2.1", "192.0.2.2"', qtype: str = "A") -> str:
    return "\n".join([f'[records."www".{qtype}]', f"dest = [{dest}]", *lines, ""])


def dest(text: str, *, qtype: str = "A") -> str:
    return whole(www(dest=text, qtype=qtype))


def static(name: str, qtype: str, content: str) -> str:
    return whole(static=f', {{ name = "{name}", type = "{qtype}", content = "{content}" }}')


def check(table: str) -> str:
    return whole(www(f"check = {table}"))


def said(text: str, folder: Path) -> list[str]:
    """The problems, or without any the warnings, of a configuration."""
    write_places(folder / "places.mmdb", {"192.0.2.0/24": place("NZ")})
    path = folder / "dnslb.toml"
    path.write_text(text)
    try:
        found = load(ConfigPaths(path)).warnings
    except ConfigError as error:
        found = tuple(error.problems)
    return [str(each).removeprefix(f"{path}: ").replace(str(folder), "FOLDER") for each in found]


GEO = '[geo]\ndatabase = "places.mmdb"\n'
VIEW = '[views.office]\nnetworks = ["10.0.0.0/8"]\n'
OFFICE = '{ host = "192.0.2.3", views = ["office"] }'
NOTIFY = 'also_notify = ["192.0.2.54"]'
CHANNEL = '[pdns]\ncontrol_socket = "/run/pdns.controlsocket"\n'

ADDRESSES = {
    '"192.0.2"': "'192.0.2' is not an IPv4 address: it has four numbers, such as 192.0.2.1",
    '"10.1"': "'10.1' is not an IPv4 address: it has four numbers",
    '"3221225985"': "'3221225985' is not an IPv4 address: it has four numbers",
    '"192.0.2.1.1"': "'192.0.2.1.1' is not an IPv4 address: it has four numbers",
    '"192.0.2.256"': "'192.0.2.256' is not an IPv4 address: 256 is above 255",
    '"192.0.2.01"': "'192.0.2.01' is not an IPv4 address: did you mean 192.0.2.1?",
    '"192.0.2.010@2"': "'192.0.2.010' is not an IPv4 address: did you mean 192.0.2.10?",
    '"192.0.2.1."': "'192.0.2.1.' is not an IPv4 address: did you mean 192.0.2.1?",
    '"0x7f.1"': "'0x7f.1' is not a host name: the last part of one is not a number",
    '"web.0x10"': "'web.0x10' is not a host name",
    '"web.example.80"': "'web.example.80' is not a host name",
    '"192.0.2.1:80"': 'has a port; write { host = "192.0.2.1", check_port = 80 }',
    '"web.example:80"': 'has a port; write { host = "web.example", check_port = 80 }',
    '"[2001:db8::1]:80"': 'has a port; write { host = "2001:db8::1", check_port = 80 }',
    '"[2001:db8::1]"': "did you mean 2001:db8::1?",
    '" 192.0.2.1"': "did you mean 192.0.2.1?",
    '"192.0.2.0/24"': "is a network, not an address; write each address",
    '"http://web.example/"': "is a URL, not a host",
    '"192.0.2.1,192.0.2.2"': "is not one host; write each as an element of its own",
    '"2001:db8:1"': "is neither an IP address nor a host name",
    '{ host = "192.0.2.1", check_address = "10.1" }': "check_address '10.1' is not an IP address",
    '"192.0.2.l0"': "'192.0.2.l0' is a host name, but looks like an address",
    '"192.0.2.1", "192.0.2.1"': "192.0.2.1 is listed twice",
    '"www.lb.example"': "www.lb.example is the name of this record",
    '"web7.lb.example"': "web7.lb.example does not exist in the zone lb.example",
    '{ host = "192.0.2.1", weight = 9 }': 'weight has no effect: policy is "all"; write policy =',
    '"192.0.2.1@0"': "every priority is 0 or below: no member is ever served",
    '{ address = "192.0.2.1" }': "unknown key; did you mean host?",
    '{ host = "192.0.2.1", port = 80 }': "unknown key; did you mean check_port?",
    '{ host = "192.0.2.1", wieght = 80 }': "unknown key; did you mean weight?",
    '{ host = "192.0.2.1", priority = 2 }': "unknown key; did you mean prio?",
}


@pytest.mark.parametrize("written", ADDRESSES)
def test_a_destination_that_is_none_is_named_with_what_to_write(
    written: str, tmp_path: Path
) -> None:
    found = said(dest(written), tmp_path)
    assert any(
        line.startswith("records.www.A.dest") and ADDRESSES[written] in line for line in found
    ), found


NAMES = {
    "ns without its final dot": (
        whole(ns=', "ns1.lb.example"'),
        "ns[1]: is ns1.lb.example.lb.example, with the name of the zone twice; did you mean `ns1.",
    ),
    "ns that does not exist": (whole(ns=', "ns2"'), "ns[1]: ns2.lb.example does not exist in the"),
    "ns of elsewhere without its dot": (
        whole(ns=', "ns1.other.example"'),
        "not exist in the zone lb.example; did you mean `ns1.other.example.`?",
    ),
    "ns that is an address": (
        whole(ns=', "192.0.2.53"'),
        "ns[1]: 192.0.2.53 is an address; NS needs a name that has one",
    ),
    "ns without an address": (
        whole(ns=', "ns2"', static=', { name = "ns2", type = "TXT", content = "x" }'),
        "ns[1]: ns2.lb.example has no address: neither A nor AAAA",
    ),
    "ns that is a CNAME": (
        whole(ns=', "ns2"', static=', { name = "ns2", type = "CNAME", content = "ns1" }'),
        "ns[1]: ns2.lb.example is a CNAME, which NS may not name",
    ),
    "mname without its final dot": (
        whole().replace('mname = "ns1"', 'mname = "ns1.lb.example"'),
        "soa.mname: is ns1.lb.example.lb.example",
    ),
    "mname that does not exist": (
        whole().replace('mname = "ns1"', 'mname = "ns9"'),
        "soa.mname: ns9.lb.example does not exist",
    ),
    "rname with an @": (
        whole().replace('"hostmaster"', '"host.master@lb.example"'),
        "soa.rname: has an @, which is written as a dot; did you mean `host\\.master.lb.example.`?",
    ),
    "rname without its final dot": (
        whole().replace('"hostmaster"', '"hostmaster.lb.example"'),
        "soa.rname: is hostmaster.lb.example.lb.example",
    ),
    "record with the zone's name": (
        whole('[records."api.lb.example".A]\ndest = ["192.0.2.1"]\n'),
        'records."api.lb.example".A: is api.lb.example.lb.example, with the name of the zone twice',
    ),
    "static row with the zone's name": (
        static("api.lb.example", "A", "192.0.2.1"),
        "static[1].name: is api.lb.example.lb.example",
    ),
    "MX without its final dot": (
        static("@", "MX", "10 ns1.lb.example"),
        "static[1].content: is ns1.lb.example.lb.example",
    ),
    "MX that does not exist": (static("@", "MX", "10 mx1"), "content: mx1.lb.example does not"),
    "MX that is an address": (static("@", "MX", "10 192.0.2.1"), "192.0.2.1 is an address; MX"),
    "absolute MX that is an address": (
        static("@", "MX", "10 192.0.2.1."),
        "192.0.2.1 is an address; MX",
    ),
    "SRV that does not exist": (
        static("_sip._tcp", "SRV", "1 1 5060 sip"),
        "content: sip.lb.example does not exist",
    ),
    "CNAME that does not exist": (
        static("a", "CNAME", "b"),
        "content: b.lb.example does not exist",
    ),
    "CNAME to elsewhere without its dot": (
        static("a", "CNAME", "web.other.example"),
        "did you mean `web.other.example.`?",
    ),
    "CNAME to an address": (static("a", "CNAME", "192.0.2.1."), "192.0.2.1 is an address; CNAME"),
    "HTTPS that does not exist": (static("a", "HTTPS", "1 svc"), "svc.lb.example does not exist"),
    "glue that is missing": (
        static("branch", "NS", "ns.branch"),
        "content: ns.branch.lb.example has no address here (glue)",
    ),
    "balanced MX that does not exist": (
        dest('{ host = "192.0.2.1", content = "10 mx1" }', qtype="MX"),
        "records.www.MX.dest: mx1.lb.example does not exist",
    ),
    "balanced CNAME to an address": (
        dest('{ host = "192.0.2.1" }', qtype="CNAME"),
        "records.www.CNAME.dest: 192.0.2.1 is an address; CNAME",
    ),
    "balanced CNAME to itself": (
        dest('{ host = "192.0.2.1", content = "www" }', qtype="CNAME"),
        "records.www.CNAME.dest: www.lb.example is the name of this record",
    ),
}

ANSWERS = {
    "all_down without fallback": (
        whole(www('all_down = "fallback"')),
        'all_down: is "fallback", but there is no fallback',
    ),
    "fallback that is the record": (
        whole(www('fallback = "WWW.lb.example."')),
        "A.fallback: www.lb.example is the name of this record",
    ),
    "fallback that is no address": (whole(www('fallback = "192.0.2"')), "A.fallback: '192.0.2' is"),
    "fallback that does not exist": (
        whole(www('fallback = "sorry.lb.example"')),
        "A.fallback: sorry.lb.example does not exist",
    ),
    "prio_min_cnt": (whole(www("prio_min_cnt = 5")), "prio_min_cnt: is 5, but there are 2 members"),
    "max_answers": (
        whole(www("max_answers = 3", dest='"192.0.2.1"')),
        "max_answers: is 3, but there is 1 member",
    ),
    "sticky without its policy": (
        whole(www("sticky = { ipv4 = 16 }")),
        'A.sticky: has no effect: policy is "all"; write policy = "sticky"',
    ),
    "slow_start without its policy": (
        whole(www("slow_start = 60")),
        'A.slow_start: has no effect: policy is "all"; write policy = "weighted" (or "sticky")',
    ),
    "slow_start that no record uses": (
        whole("slow_start = 60", www()),
        'default.slow_start: has no effect: no record\'s policy is "weighted" or "sticky"',
    ),
    "sticky that no record uses": (
        whole("sticky = { ipv4 = 16 }", www('policy = "weighted"')),
        'default.sticky: has no effect: no record\'s policy is "sticky"',
    ),
    "ttl_max of a number": (whole(www("ttl_max = 60")), "ttl_max: has no effect: ttl is a number"),
    "fast_interval": (whole(www("fast_interval = 9")), "fast_interval: is above interval (5 s)"),
    "damping as a switch": (
        whole(www("damping = true")),
        "A.damping: must be a table such as { flips = 6, window = 300 }",
    ),
    "damping that ends before it begins": (
        whole(www("damping = { hold = 60, max_hold = 30 }")),
        "damping.hold: is above max_hold (30 s)",
    ),
    "policy": (whole(www('policy = "wieghted"')), "not 'wieghted'; did you mean weighted?"),
    "weighted record with secondaries": (
        whole(CHANNEL, www('policy = "weighted"'), zone=NOTIFY),
        'also_notify: www.lb.example/A: secondaries serve all members: policy "weighted" has no',
    ),
    "views with secondaries": (
        whole(CHANNEL, VIEW, www(dest=f'"192.0.2.1", {OFFICE}'), zone=NOTIFY),
        "also_notify: www.lb.example/A: secondaries leave out the members for views",
    ),
    "negative TTL with views": (
        whole(VIEW, www(dest=OFFICE)),
        "soa.minimum: is treated as 0 because www.lb.example/A may be empty for some views",
    ),
    "expire below refresh": (whole(soa=", expire = 120"), "soa.expire: is below refresh, 7200"),
}

KEYS = {
    "fallbak": (whole(www('fallbak = "x"')), "A.fallbak: unknown key; did you mean fallback?"),
    "raise": (whole(www("raise = 2")), "A.raise: unknown key; did you mean rise?"),
    "dests": (whole(www("dests = []")), "A.dests: unknown key; did you mean dest?"),
    "servers": (whole(www("servers = []")), "A.servers: unknown key; did you mean dest?"),
    "backup": (whole(www('backup = ""')), "A.backup: unknown key; did you mean fallback?"),
    "global": (whole(global_='log_level = "info"'), "log_level: unknown key; did you mean loglev"),
    "soa": (whole(soa=", minimun = 5"), "soa.minimun: unknown key; did you mean minimum?"),
    "zone": (whole(zone="allow_transfer = []"), "unknown key; did you mean allow_axfr?"),
    "static row": (
        whole(static=', { name = "a", typ = "A", content = "192.0.2.1" }'),
        "static[1].typ: unknown key; did you mean type?",
    ),
    "check": (check('{ type = "tcp", prot = 80 }'), "check.prot: unknown key; did you mean port?"),
    "type of check": (
        check('{ type = "htpp", url = "http://h/" }'),
        "check.type: unknown type 'htpp'; did you mean http? Allowed here: agent, dns",
    ),
    "check as a URL": (check('"http://%(address)s/"'), "A.check: should be a valid"),
    "server": (whole('[server]\nhtpp = ""\n'), "server.htpp: unknown key; did you mean http?"),
    "pdns": (whole('[pdns]\ncontrolsocket = ""\n'), "unknown key; did you mean control_socket?"),
    "admin": (whole('[admin]\ntokenfile = "x"\n'), "tokenfile: unknown key; did you mean token_"),
    "mysql": (whole('[mysql]\npasswort = "x"\n'), "mysql.passwort: unknown key; did you mean pass"),
    "state": (whole("[state]\nmaxage = 1\n"), "state.maxage: unknown key; did you mean max_age?"),
    "brake": (whole("[brake]\ncanary = []\n"), "brake.canary: unknown key; did you mean canaries?"),
    "view": (whole("[views.x]\nnetwork = []\n"), "network: unknown key; did you mean networks?"),
    "damping": (whole(www("damping = { flip = 6 }")), "damping.flip: unknown key; did you mean"),
    "section": (whole('[record."www".A]\n'), "record: unknown section; did you mean records?"),
    "defaults": (whole("[defaults]\nttl = 5\n"), "unknown section; did you mean default?"),
    "lower type": (whole(www(qtype="a")), "records.www.a: unknown record type; did you mean A?"),
    "no type": (
        whole('[records."www"]\ndest = ["192.0.2.1"]\nrise = 2\n'),
        'records.www: has dest where a record type is expected; write [records."www".A]',
    ),
    "record without quotes": (
        whole('[records.api.v1.A]\ndest = ["192.0.2.1"]\n'),
        'records.api: a name with dots needs quotes: [records."api.v1".A]',
    ),
    "longer record without quotes": (
        whole('[records.a.b.c.AAAA]\ndest = ["192.0.2.1"]\n'),
        'a name with dots needs quotes: [records."a.b.c".AAAA]',
    ),
    "zone without quotes": (
        whole('[zones.other.example]\nns = ["ns1"]\n'),
        'zones.other: a name with dots needs quotes: [zones."other.example"]',
    ),
}

SURROUNDINGS = {
    "program": (
        check('{ type = "exec", argv = ["/nope/check", "%(address)s"] }'),
        "A.check: the program /nope/check does not exist",
    ),
    "program in PATH": (
        check('{ type = "exec", argv = ["no-such-check"] }'),
        "A.check: there is no program 'no-such-check' in PATH",
    ),
    "program that is a directory": (
        check('{ type = "exec", argv = ["/usr/bin"] }'),
        "/usr/bin is a directory, not a program",
    ),
    "program as a list": (
        whole(www('check = ["/nope/check"]', 'expect = ""')),
        "A.check: the program /nope/check does not exist",
    ),
    "program of default": (
        whole(www()).replace('{ type = "tcp", port = 80 }', '["/nope"]\nexpect = ""'),
        "default.check: the program /nope does not exist",
    ),
    "password_file": (
        check('{ type = "mariadb", user = "probe", password_file = "/nope" }'),
        "A.check.password_file: /nope does not exist",
    ),
    "ca_file of the second check": (
        whole(www('checks = [{ type = "static" }, { type = "tls", port = 1, ca_file = "/nope" }]')),
        "A.checks[1].ca_file: /nope does not exist",
    ),
    "mysql.password_file": (
        whole('[mysql]\nuser = "u"\npassword_file = "/nope"\n'),
        "mysql.password_file: /nope does not exist",
    ),
    "pdns.api_key_file": (
        whole('[pdns]\napi = "http://127.0.0.1:8081"\napi_key_file = "/nope"\n'),
        "pdns.api_key_file: /nope does not exist",
    ),
    "admin.token_file": (
        whole('[admin]\ntoken_file = "/nope"\n'),
        "admin.token_file: /nope cannot be read: No such file or directory",
    ),
    "load_records": (
        whole(global_='load_records = ["conf.d/*.toml"]'),
        "global.load_records: there is no file FOLDER/conf.d/*.toml",
    ),
    "braces in a URL": (
        check('{ type = "http", url = "http://{address}/" }'),
        "A.check.url: has braces in the host; did you mean %(address)s?",
    ),
    "braces in a path": (
        check('{ type = "http", url = "http://%(address)s/?of={address}" }'),
        "A.check.url: has {address}, which is not replaced; did you mean %(address)s?",
    ),
    "macro of Nagios": (
        check('{ type = "exec", argv = ["true", "-H", "$HOSTADDRESS$"] }'),
        "A.check.argv[2]: has $HOSTADDRESS$, which is not replaced; did you mean %(address)s?",
    ),
    "listen without a port": (
        whole('[admin]\nlisten = "0.0.0.0"\n'),
        "admin.listen: '0.0.0.0' is not ADDRESS:PORT; it needs a port: 0.0.0.0:PORT",
    ),
    "IPv6 without a port": (
        whole('[server]\nhttp = "[::1]"\n'),
        "server.http: '[::1]' is not ADDRESS:PORT; it needs a port: [::1]:PORT",
    ),
    "canary without a port": (
        whole('[brake]\ncanaries = ["192.0.2.1"]\n'),
        "brake.canaries[0]: '192.0.2.1' is not ADDRESS:PORT; it needs a port: 192.0.2.1:PORT",
    ),
    "admin for everybody": (
        whole('[admin]\nlisten = "0.0.0.0:8054"\nallow = ["0.0.0.0/0"]\n'),
        "admin.allow: has 0.0.0.0/0: every host that reaches 0.0.0.0:8054 may read",
    ),
    "server for everybody": (
        whole('[server]\nhttp = "[::]:8053"\nallow = ["::/0"]\n'),
        "server.allow: has ::/0: every host that reaches [::]:8053 may ask",
    ),
    "view without clients": (
        whole("[views.x]\n"),
        "views.x: has no networks, countries, continents or asns, so no client is in it",
    ),
    "label to count by that nothing has": (
        whole('[admin]\nmetric_labels = ["dc"]\n'),
        "admin.metric_labels: no destination has a label 'dc'",
    ),
    "two views of a network": (
        whole(VIEW, '[views.lab]\nnetworks = ["10.0.0.0/8"]\n'),
        "views.lab.networks[0]: 10.0.0.0/8 is a network of view office as well",
    ),
    "network twice": (
        whole('[views.x]\nnetworks = ["10.0.0.1/32", "10.0.0.1"]\n'),
        "views.x.networks[1]: 10.0.0.1/32 is listed twice",
    ),
    "UK": (
        whole(GEO, '[views.x]\ncountries = ["UK"]\n'),
        "views.x.countries: 'UK' is not an ISO 3166 code of two letters; did you mean GB?",
    ),
    "lower country": (
        whole(GEO, '[views.x]\ncountries = ["nz"]\n'),
        "'nz' is not an ISO 3166 code of two letters; did you mean NZ?",
    ),
    "country by its name": (
        whole(GEO, '[views.x]\ncountries = ["Germany"]\n'),
        "countries: 'Germany' is not an ISO 3166 code of two letters",
    ),
    "continent": (
        whole(GEO, '[views.x]\ncontinents = ["Europe"]\n'),
        "continents: 'Europe' is not a code of a continent; allowed: AF, AN",
    ),
}

MISTAKES = {**NAMES, **ANSWERS, **KEYS, **SURROUNDINGS}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_what_to_write(mistake: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[mistake]
    found = said(text, tmp_path)
    assert any(expected in line for line in found), found


LEGITIMATE = {
    "nothing but the head": whole(),
    "names that look like addresses": dest('"10.0.0.1.example", "web-10.0.2.example", "1.example"'),
    "labels of digits": dest('"192.example", "2001.db8.example", "3com.example"'),
    "absolute host name": dest('"web.example."'),
    "reverse name": dest('"1.2.0.192.in-addr.arpa"'),
    "one host for two views": whole(
        VIEW,
        '[views.lab]\nnetworks = ["10.1.0.0/16"]\n',
        www(dest=f'"192.0.2.1", {OFFICE}, {OFFICE.replace("office", "lab")}'),
        soa=", minimum = 0",
    ),
    "slow start by weight": whole(www('policy = "weighted"\nslow_start = 60')),
    "slow start of one of the records": whole(
        "slow_start = 60", www(), www('policy = "sticky"').replace("www", "api")
    ),
    "defaults of no record": whole("slow_start = 60"),
    "slow start that is off": whole(www("slow_start = 0")),
    "standby that never serves": dest('"192.0.2.1", "192.0.2.2@0"'),
    "priorities by a check": whole(
        www(
            'check = { type = "http", url = "http://h/", priority = { json_path = "p" } }',
            dest='"192.0.2.1@0"',
        )
    ),
    "equal weights of 1": dest('{ host = "192.0.2.1", weight = 1 }, "192.0.2.2"'),
    "weights with a policy": whole(
        www('policy = "weighted"', dest='{ host = "192.0.2.1", weight = 9 }, "192.0.2.2"')
    ),
    "sticky weights": whole(
        www('policy = "sticky"', "sticky = { ipv4 = 16 }", dest='{ host = "192.0.2.1", weight=9 }')
    ),
    "more answers than names": whole(www("max_answers = 4", dest='"web.example"')),
    "prio_min_cnt of all": whole(www("prio_min_cnt = 2")),
    "ttl auto": whole(www('ttl = "auto"', "ttl_max = 60")),
    "limits of ttl in default": whole(www()).replace("ttl = 5", "ttl = 5\nttl_max = 60"),
    "fallback that is a member": whole(www('fallback = "192.0.2.1"')),
    "fallback that is another record": whole(
        www('fallback = "sorry.lb.example"'), '[records."sorry".A]\ndest = ["192.0.2.9"]\n'
    ),
    "dest by a wildcard": whole(
        www(dest='"x.pool.lb.example"'), '[records."*.pool".A]\ndest = ["192.0.2.9"]\n'
    ),
    "absolute names": whole(ns=', "ns1.other.example."').replace('"ns1",', '"ns1.lb.example.",'),
    "absolute record": whole('[records."api.lb.example.".A]\ndest = ["192.0.2.1"]\n'),
    "name with the zone's first label": whole('[records."lb".A]\ndest = ["192.0.2.1"]\n'),
    "MX that is balanced": whole(www(), static=', { name = "@", type = "MX", content = "10 www" }'),
    "null MX": static("@", "MX", "0 ."),
    "SRV that is not offered": static("_sip._tcp", "SRV", "0 0 0 ."),
    "HTTPS of its own name": whole(www(), static=', {name="www",type="HTTPS",content="1 ."}'),
    "MX by a wildcard": whole(
        static=', { name = "*.mx", type = "A", content = "192.0.2.1" }'
        ', { name = "@", type = "MX", content = "10 a.mx" }'
    ),
    "CNAME to a challenge": whole(
        static=', { name = "_acme-challenge", type = "CNAME", content = "proof" }'
        ', { name = "proof", type = "TXT", content = "x" }'
    ),
    "CNAME into a delegation": whole(
        static=', { name = "d", type = "NS", content = "ns.other.example." }'
        ', { name = "a", type = "CNAME", content = "x.d" }'
    ),
    "MX into a delegation": whole(
        static=', { name = "d", type = "NS", content = "ns.other.example." }'
        ', { name = "@", type = "MX", content = "10 mail.d" }'
    ),
    "delegation with glue": whole(
        static=', { name = "d", type = "NS", content = "ns.d" }'
        ', { name = "ns.d", type = "A", content = "192.0.2.1" }'
    ),
    "names of another zone of ours": whole(
        '[zones."other.example"]\nsoa = { mname = "ns1.lb.example.", rname = "hostmaster" }\n'
        'ns = ["ns1.lb.example."]\n',
        static=', { name = "a", type = "CNAME", content = "other.example." }',
    ),
    "rname with an escaped dot": whole().replace('"hostmaster"', "'host\\.master.example.'"),
    "secondaries of a plain record": whole(CHANNEL, www(), zone=NOTIFY),
    "quoted names with dots": whole('[records."api.v1".A]\ndest = ["192.0.2.1"]\n'),
    "record named as a type": whole('[records.A.A]\ndest = ["192.0.2.1"]\n'),
    "wildcard": whole('[records."*".A]\ndest = ["192.0.2.1"]\n'),
    "program that exists": check('{ type = "exec", argv = ["/bin/sh", "-c", "exit 0"] }'),
    "program in PATH": check('{ type = "exec", argv = ["true", "%(address)s"] }'),
    "program by its address": check('{ type = "exec", argv = ["/run/%(address)s/check"] }'),
    "variable of a shell": check('{ type = "exec", argv = ["sh", "-c", "echo ${address}"] }'),
    "address in a URL": check(
        '{ type = "http", url = "http://%(address)s:8080/x?of=%(address)s" }'
    ),
    "path with braces": check('{ type = "http", url = "http://web.example/{id}" }'),
    "file that exists": check('{ type = "mariadb", user = "u", password_file = "/etc/passwd" }'),
    "IPv6 listener": whole('[admin]\nlisten = "[::1]:8054"\n'),
    "no listener": whole('[server]\nhttp = ""\n'),
    "everybody on loopback": whole('[admin]\nlisten = "127.0.0.1:8054"\nallow = ["0.0.0.0/0"]\n'),
    "wide listener for few": whole('[admin]\nlisten = "0.0.0.0:8054"\nallow = ["10.0.0.0/8"]\n'),
    "networks within each other": whole(VIEW, '[views.lab]\nnetworks = ["10.1.0.0/16"]\n'),
    "Kosovo and Britain": whole(GEO, '[views.x]\ncountries = ["XK", "GB"]\ncontinents = ["EU"]\n'),
    "hold at its limit": whole(www("damping = { hold = 60, max_hold = 60 }")),
    "fast_interval": whole(www("fast_interval = 1", "down_interval = 30")),
}


@pytest.mark.parametrize("example", LEGITIMATE)
def test_what_only_looks_like_a_mistake_is_left_alone(example: str, tmp_path: Path) -> None:
    assert said(LEGITIMATE[example], tmp_path) == []


def test_a_check_of_default_is_warned_of_once(tmp_path: Path) -> None:
    other = '[records."other".A]\ndest = ["192.0.2.1"]\n'
    text = whole(www(), other).replace('{ type = "tcp", port = 80 }', '["/nope"]\nexpect = ""')
    assert said(text, tmp_path) == ["default.check: the program /nope does not exist"]


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
SHIPPED = {
    **{str(path): path.read_text() for path in ROOT.glob("configs/*.toml")},
    **{
        f"{page}, {number}": text
        for page in PAGES
        for number, text in enumerate(BLOCK.findall(page.read_text()))
        if "domain_name" in text and "[records" in text
    },
}


@pytest.mark.parametrize("example", SHIPPED)
def test_what_is_shipped_is_without_a_mistake(example: str, tmp_path: Path) -> None:
    (tmp_path / "records.d").mkdir()
    (tmp_path / "records.d/empty.toml").touch()
    found = said(SHIPPED[example], tmp_path)
    # Files of another host, and what a shorter example leaves out.
    assert [line for line in found if not re.search("does not exist$|is missing; serv", line)] == []
