"""compose.fleet.yaml: its nodes ask the same questions, and one member begins the cluster."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dnslb_backend.config import Config
from tests.packaging.test_descriptions import CONTAINER, FLEET, loaded
from tests.rigs.galera import Galera
from tests.rigs.server import executable

MEMBERS = ("db1", "db2", "db3")


def config(service: str, folder: Path) -> Config:
    """What a daemon of the fleet reads."""
    volumes = (each.split(":") for each in FLEET["services"][service]["volumes"])
    source = next(words[0] for words in volumes if words[1] == "/etc/dnslb/dnslb.toml")
    folder.mkdir()
    return loaded((CONTAINER / Path(source).name).read_text(), folder)


def test_name_servers_and_the_witness_vote_on_the_same_questions(tmp_path: Path) -> None:
    services = ("ns1", "ns2", "witness")
    configs = [config(service, tmp_path / service) for service in services]
    assert len({each.plan.ballot for each in configs}) == 1
    assert all(each.plan.ballot and each.mysql for each in configs)
    names = [FLEET["services"][service]["environment"]["DNSLB_NODE"] for service in services]
    assert names == list(services)
    for each in configs:
        assert each.mysql
        assert each.mysql.hosts == MEMBERS


def test_a_member_with_the_data_of_another_is_healthy_as_well() -> None:
    """The image's own user of the check is gone then; the system user is the same everywhere."""
    checks = [FLEET["services"][member]["healthcheck"]["test"] for member in MEMBERS]
    assert checks == [["CMD", "healthcheck.sh", "--su-mysql", "--connect", "--galera_online"]] * 3
    users = (CONTAINER / "galera-users.sql").read_text()
    assert "mysql@localhost IDENTIFIED VIA unix_socket" in users


@pytest.mark.parametrize(
    ("member", "state", "there", "begins"),
    [
        ("db1", "", (), True),
        ("db1", "", ("db3",), False),
        ("db2", "", (), False),
        ("db1", "safe_to_bootstrap: 0\n", (), False),
        ("db2", "safe_to_bootstrap: 1\n", (), True),
    ],
)
def test_a_member_begins_the_cluster_only_where_no_other_can(
    tmp_path: Path, member: str, state: str, there: tuple[str, ...], begins: bool
) -> None:
    # The only question that is asked with a limit: whether a port is open.
    cases = [f'case "$*" in */{each}/4567*) exit 0 ;; esac' for each in there]
    programs = {"hostname": f"echo {member}", "timeout": "\n".join([*cases, "exit 1"])}
    if state:
        (tmp_path / "grastate.dat").write_text(state)
    options = _options(tmp_path, programs, data=tmp_path)
    assert ("--wsrep-new-cluster" in options) == begins
    assert not [each for each in options if each.startswith("--wsrep-start-position")]


async def test_a_member_that_was_killed_is_told_its_position(tmp_path: Path) -> None:
    async with Galera([("127.0.0.1", ())]) as cluster:
        (member,) = cluster.members
        await cluster.query("CREATE DATABASE lb")
        history, number = [
            await member.status(each) for each in ("cluster_state_uuid", "last_committed")
        ]
        await member.kill()
        # Not as the user of the image, and beside any server of this machine.
        own = f'--no-defaults --user="$(id -un)" --socket={tmp_path}/socket --skip-networking'
        server = f'exec {executable("mariadbd")} {own} "$@"'
        options = _options(tmp_path, {"mariadbd": server}, data=member.directory / "data")
        assert f"--wsrep-start-position={history}:{number}" in options


def _options(folder: Path, programs: Mapping[str, str], *, data: Path) -> list[str]:
    """The options with which galera.sh starts the server; `programs` are first in its PATH."""
    for name, text in {**programs, "docker-entrypoint.sh": 'printf "%s\\n" "$@"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "DATADIR": str(data)}
    command = ["/bin/bash", str(CONTAINER / "galera.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    server, *options = done.stdout.splitlines()
    assert (server, options[0]) == ("mariadbd", "--wsrep-on=ON")
    return options
