"""What describes containers is true: files, users, ports, paths and names agree with each other."""

import ipaddress
import json
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dnslb_backend import __version__
from dnslb_backend.config import Config, ConfigPaths, load
from dnslb_backend.pdns.settings import UNIX_PATH_LIMIT
from tests.packaging.dockerfile import Stage, is_sent, read
from tests.packaging.services import (
    COMPOSE_FLEET,
    HTTP_VARIANT,
    ROOT,
    read_compose,
    target_of,
)

CONTAINER = ROOT / "configs/container"
DOCKERFILES = {"ours": ROOT / "Dockerfile", "pdns": CONTAINER / "powerdns.Dockerfile"}
OURS, PDNS = (read(path)[-1] for path in DOCKERFILES.values())
COMPOSE = read_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FLEET = read_compose(base=COMPOSE_FLEET)
EVERY = [
    pytest.param(compose, name, id=f"{compose['name']}-{name}")
    for compose in (COMPOSE, FLEET)
    for name in compose["services"]
]
KUBERNETES = {
    each["kind"] + "/" + each["metadata"]["name"]: each
    for each in yaml.safe_load_all((ROOT / "configs/kubernetes/dnslb.yaml").read_text())
}
BUILD_TOOLS = {"build-essential", "gcc", "python3-pip", "python3-venv", "python3-dev", "git"}

# The keys of a service that are used here, and what the Compose Specification lets them be.
KEYS: dict[str, type | tuple[type, ...]] = {
    "build": (str, dict),
    "cap_drop": list,
    "command": list,
    "depends_on": dict,
    "entrypoint": list,
    "environment": dict,
    "healthcheck": dict,
    "hostname": str,
    "image": str,
    "init": bool,
    "networks": (list, dict),
    "ports": list,
    "pull_policy": str,
    "read_only": bool,
    "restart": str,
    "secrets": list,
    "security_opt": list,
    "stop_grace_period": str,
    "sysctls": dict,
    "tmpfs": list,
    "volumes": list,
}


@pytest.mark.parametrize("path", DOCKERFILES.values(), ids=DOCKERFILES)
def test_a_linter_finds_nothing(path: Path) -> None:
    command = [str(Path(sys.executable).parent / "hadolint"), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("stage", [OURS, PDNS], ids=DOCKERFILES)
def test_an_image_has_no_root_and_no_build_tools(stage: Stage) -> None:
    uid, _, gid = stage.last("USER").text.partition(":")
    made = " ".join(stage.commands)
    assert f"--uid {uid} " in made
    assert f"--gid {gid} pdns" in made
    assert not stage.packages & BUILD_TOOLS
    assert stage.base.endswith("-slim")
    assert stage.last("STOPSIGNAL").text == "SIGTERM"
    assert not {"curl", "wget"} & set(stage.health_check)


def test_of_our_tree_the_image_has_what_was_installed_only() -> None:
    copies = OURS.every("COPY")
    assert [copy.flags for copy in copies] == [{"from": "build"}]
    ignore = ROOT / ".dockerignore"
    assert not is_sent("secrets/admin_tokens", ignore)
    assert not is_sent("dnslb_backend/core/__pycache__/x.pyc", ignore)
    assert is_sent("dnslb_backend/core/model/names.py", ignore)


def test_what_is_read_of_the_distribution_is_the_same_python() -> None:
    build, final = read(DOCKERFILES["ours"])
    assert build.base == final.base
    assert {"python3"} <= build.packages & final.packages


@pytest.mark.parametrize(("compose", "name"), EVERY)
def test_a_service_is_as_the_specification_has_it(compose: dict[str, Any], name: str) -> None:
    services = compose["services"]
    service = services[name]
    for key, value in service.items():
        assert isinstance(value, KEYS[key]), key
    assert re.fullmatch(r"no|always|unless-stopped|on-failure(:\d+)?", service["restart"])
    ours = service["image"].startswith("dnslb-")
    assert service.get("pull_policy") == (
        ("build" if "build" in service else "never") if ours else None
    )
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] in {
            "service_started",
            "service_healthy",
            "service_completed_successfully",
        }
        if how["condition"] == "service_healthy":
            assert "healthcheck" in services[other] or services[other]["image"] == "dnslb-backend"
    assert "$" not in json.dumps(service), "the engine would put a variable there"


@pytest.mark.parametrize(("compose", "name"), EVERY)
def test_a_service_names_what_is_there(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]
    assert set(service.get("secrets", [])) <= set(compose["secrets"])
    assert set(service.get("networks", [])) <= set(compose["networks"])
    assert set(service.get("depends_on", {})) <= set(compose["services"])
    match service.get("build"):
        case {"context": str(context), "dockerfile": str(dockerfile)}:
            assert (ROOT / context / dockerfile).exists()
        case str(context):
            assert (ROOT / context / "Dockerfile").exists()


@pytest.mark.parametrize("compose", [COMPOSE, FLEET], ids=["one", "fleet"])
def test_nothing_is_declared_for_nobody(compose: dict[str, Any]) -> None:
    services = compose["services"].values()
    used = [each.split(":")[0] for one in services for each in one.get("volumes", [])]
    assert set(compose["volumes"]) <= set(used)
    assert set(compose["secrets"]) == {each for one in services for each in one.get("secrets", [])}


def test_secrets_are_files_that_are_made_by_chance(tmp_path: Path) -> None:
    for each in SERVICES.values():
        for key, value in each.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|KEY", key) or key.endswith("_FILE")
            assert not key.endswith("_FILE") or value.startswith("/run/secrets/")
    make = [str(CONTAINER / "make-secrets"), str(tmp_path / "secrets")]
    subprocess.run(make, check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"./secrets/{name}" for name in made} == {
        each["file"] for each in COMPOSE["secrets"].values()
    }
    assert len(set(made.values())) == len(made)
    assert all(re.search(r"\b[0-9a-f]{48}\b", text) for text in made.values())
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    (tmp_path / "secrets/mariadb_root").unlink()
    subprocess.run(make, check=True)
    again = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert again.pop("mariadb_root") != made.pop("mariadb_root")
    assert again == made


def loaded(text: str, folder: Path) -> Config:
    """The configuration, with the files of secrets that it names."""
    for name in re.findall(r'^(?:token_file|password_file) += "(.*)"', text, re.MULTILINE):
        secret = folder / Path(name).name
        secret.write_text("operate 0123456789abcdef0123456789abcdef operator\n")
        secret.chmod(0o600)
        text = text.replace(name, str(secret))
    (folder / "dnslb.toml").write_text(text)
    return load(ConfigPaths(folder / "dnslb.toml"))


def conf(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z-]+)=(.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("variant", ["", "-http"])
def test_the_files_of_a_composition_fit_together(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in OURS.environment.items():
        monkeypatch.setenv(key, value)
    config = loaded((CONTAINER / f"dnslb{variant}.toml").read_text(), tmp_path)
    pdns = conf((CONTAINER / f"pdns{variant}.conf").read_text())
    assert not config.warnings
    _speak_to_each_other(config, pdns, "dnslb")
    _listen_where_it_is_published(config, pdns)
    assert config.mysql is not None
    assert config.mysql.host in SERVICES
    subnet = ipaddress.ip_network(COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"])
    assert subnet in config.admin.networks
    web = {SERVICES[name]["networks"]["default"]["ipv4_address"] for name in ("web1", "web2")}
    assert {dest.host for record in config.plan.records.values() for dest in record.dests} == web
    assert all(ipaddress.ip_address(address) in subnet for address in web)


def _speak_to_each_other(config: Config, pdns: dict[str, str], host: str) -> None:
    """The connector, and the control socket, are where the other side looks for them."""
    remote = pdns["remote-connection-string"]
    endpoint = config.server.endpoint
    if endpoint is None:
        assert remote == f"unix:path={config.server.unix},timeout=2000"
    else:
        assert remote == f"http:url=http://{host}:{endpoint.port}/dns,timeout=2000"
    assert config.pdns.control_socket == (f"{pdns['socket-dir']}/pdns.controlsocket",)
    assert f"--gid {OURS.last('USER').text.split(':')[1]} {pdns['setgid']}" in " ".join(
        PDNS.commands
    )
    shared = Path(config.pdns.control_socket[0]).parent
    assert str(shared) in OURS.last("VOLUME").words
    assert str(shared) in PDNS.last("VOLUME").words
    assert len(config.pdns.control_socket[0]) <= UNIX_PATH_LIMIT


def _listen_where_it_is_published(config: Config, pdns: dict[str, str]) -> None:
    admin = config.admin.endpoint
    assert admin is not None
    assert SERVICES["dnslb"]["ports"] == [f"127.0.0.1:{admin.port}:{admin.port}"]
    dns = pdns["local-port"]
    assert [port.rsplit(":", 1)[1] for port in SERVICES["pdns"]["ports"]] == [
        f"{dns}/udp",
        f"{dns}/tcp",
    ]
    assert PDNS.last("EXPOSE").words == [f"{dns}/udp", f"{dns}/tcp"]
    assert str(admin.port) in OURS.last("EXPOSE").words


def test_the_variant_replaces_files_at_the_same_places() -> None:
    http = read_compose(HTTP_VARIANT)["services"]
    for name, service in SERVICES.items():
        mounted = {target_of(volume) for volume in service.get("volumes", [])}
        assert {target_of(volume) for volume in http[name].get("volumes", [])} == mounted


def test_kubernetes_would_take_it() -> None:
    for each in KUBERNETES.values():
        kubernetes_validate.validate(each, "1.30", strict=True)


def test_the_parts_of_a_pod_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = KUBERNETES["StatefulSet/dnslb"]["spec"]["template"]["spec"]
    (daemon,), (pdns,) = pod["initContainers"], pod["containers"]
    for key, value in OURS.environment.items():
        monkeypatch.setenv(key, value)
    data = KUBERNETES["ConfigMap/dnslb"]["data"]
    config = loaded(data["dnslb.toml"], tmp_path)
    _speak_to_each_other(config, conf(data["pdns.conf"]), "localhost")
    shipped = conf((CONTAINER / "pdns.conf").read_text())
    assert conf(data["pdns.conf"]) == shipped
    users = [each["securityContext"]["runAsUser"] for each in (daemon, pdns)]
    group = pod["securityContext"]["runAsGroup"]
    assert [f"{user}:{group}" for user in users] == [
        stage.last("USER").text for stage in (OURS, PDNS)
    ]
    assert daemon["restartPolicy"] == "Always"
    admin = config.admin.endpoint
    assert admin is not None
    assert not ipaddress.ip_address(admin.host).is_loopback
    assert daemon["ports"] == [{"name": "admin", "containerPort": admin.port}]
    assert daemon["image"] == f"dnslb-backend:{__version__}"
    assert pdns["livenessProbe"]["exec"]["command"] == PDNS.health_check
    _mounts_what_there_is(pod, KUBERNETES["StatefulSet/dnslb"])


def _mounts_what_there_is(pod: dict[str, Any], owner: dict[str, Any]) -> None:
    claims = {each["metadata"]["name"] for each in owner["spec"]["volumeClaimTemplates"]}
    volumes = claims | {each["name"] for each in pod["volumes"]}
    (daemon,), (pdns,) = pod["initContainers"], pod["containers"]
    mounts = {each["mountPath"]: each for each in daemon["volumeMounts"] + pdns["volumeMounts"]}
    assert {each["name"] for each in mounts.values()} == volumes
    assert set(OURS.last("VOLUME").words) <= set(mounts)
    data = KUBERNETES["ConfigMap/dnslb"]["data"]
    items = {
        each["name"]: each["configMap"]["items"] for each in pod["volumes"] if "configMap" in each
    }
    for folder, file in (("/etc/dnslb", "dnslb.toml"), ("/etc/powerdns", "pdns.conf")):
        assert items.pop(mounts[folder]["name"]) == [{"key": file, "path": file}]
        assert file in data
    assert not items
    assert not any("subPath" in each for each in mounts.values()), "it would never be updated"
    named = tomllib.loads(data["dnslb.toml"])["admin"]["token_file"]
    assert str(Path(named).parent) in mounts


def test_services_lead_to_the_ports_of_the_pod() -> None:
    pod = KUBERNETES["StatefulSet/dnslb"]["spec"]["template"]["spec"]
    named = {
        port["name"] for each in pod["initContainers"] + pod["containers"] for port in each["ports"]
    }
    labels = KUBERNETES["StatefulSet/dnslb"]["spec"]["template"]["metadata"]["labels"]
    for name in ("Service/dnslb", "Service/dnslb-nodes"):
        spec = KUBERNETES[name]["spec"]
        assert {port["targetPort"] for port in spec["ports"]} <= named
        assert spec["selector"].items() <= labels.items()


def test_everybody_may_ask_dns_and_few_the_admin_listener() -> None:
    policy = KUBERNETES["NetworkPolicy/dnslb"]["spec"]
    labels = KUBERNETES["StatefulSet/dnslb"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    everybody, few = policy["ingress"]
    assert {each["port"] for each in everybody["ports"]} == {
        each["targetPort"] for each in KUBERNETES["Service/dnslb"]["spec"]["ports"]
    }
    assert "from" not in everybody
    assert few["from"]
    assert [each["port"] for each in few["ports"]] == ["admin"]


def test_the_image_is_built_with_versions_that_are_named() -> None:
    build, final = read(DOCKERFILES["ours"])
    assert build.environment["PIP_CONSTRAINT"] == "/build/configs/container/constraints.txt"
    assert "PIP_CONSTRAINT" not in final.environment
    lines = (CONTAINER / "constraints.txt").read_text().splitlines()
    versions = {}
    for line in lines[1:]:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line
        name, _, version = line.partition("==")
        versions[canonicalize_name(name)] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    for extra in ("geo", "grpc"):
        wanted += project["project"]["optional-dependencies"][extra]
    for text in wanted:
        requirement = Requirement(text)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, text
