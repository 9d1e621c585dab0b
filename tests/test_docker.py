"""docker/: valid against the Compose Specification, safe by default, and every command runs natively.

No container engine is needed: the commands of the services are started here as they stand in compose.yaml, with its
environment pointed at a local PostgreSQL, an S3 emulator and free ports, and its own health checks must pass.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import yaml

from catalog import Catalog
from catalog.testing import errors_of, sentences, text_dataset
from flows.prefect_api import PrefectApi, online_workers
from ui.api.tokens import create

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GPU = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
OURS = ["init", "prefect", "api", "web", "worker"]


def schema() -> dict[str, Any]:
    """The JSON schema of the Compose Specification, as check-jsonschema ships it."""
    return json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_files_satisfy_the_compose_specification(name):
    body = yaml.safe_load((DOCKER / name).read_text())
    held = schema()
    validator = jsonschema.validators.validator_for(held)(held)
    assert [error.message for error in validator.iter_errors(body)] == []
    body["services"]["broken"] = {"imagee": "x"}
    assert list(validator.iter_errors(body)), "the schema refuses what it does not know"


def test_services_depend_on_services_and_mount_declared_volumes():
    services = COMPOSE["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, f"{name} depends on {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
            else:
                assert how["condition"] == "service_completed_successfully" and services[other]["restart"] == "no"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
    assert GPU["services"]["worker-gpu"]["extends"]["service"] in services


def test_images_are_pinned_ports_are_local_and_containers_have_no_more_rights_than_they_need():
    for name, service in COMPOSE["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert tag and tag != "latest" and "/" not in tag, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not service.get("privileged") and service.get("network_mode") != "host"
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["init"]


def test_every_variable_is_in_the_example_and_no_secret_has_a_default():
    text = (DOCKER / "compose.yaml").read_text() + (DOCKER / "compose.gpu.yaml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert used == set(re.findall(r"^([A-Z_]+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    for name in ("POSTGRES_PASSWORD", "STORE_PASSWORD", "PREFECT_AUTH"):
        assert not re.search(rf"\$\{{{name}(:-[^}}]*)?\}}", text), f"{name} must be asked for"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_the_images_are_built_in_stages_run_as_nobody_special_and_copy_what_exists(name):
    lines = re.sub(r"\\\n", " ", (DOCKER / name).read_text()).splitlines()
    steps = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    verbs = [verb for verb, _ in steps]
    assert verbs.count("FROM") == 2 and verbs[0] == "FROM" and steps[0][1].endswith(" AS build")
    last = steps[len(verbs) - verbs[::-1].index("FROM") - 1 :]
    assert dict(last)["USER"] == "10001" and dict(last)["ENTRYPOINT"] == '["strata"]'
    for verb, rest in steps:
        assert verb in {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"}
        if verb == "COPY" and "--from=" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
    built = {
        service["build"]["dockerfile"] for service in [*map(COMPOSE["services"].get, OURS), *GPU["services"].values()]
    }
    assert built == {"docker/Dockerfile", "docker/Dockerfile.gpu"}


class Native:
    """Runs services of compose.yaml as processes of this machine."""

    def __init__(self, folder: Path, addresses: dict[str, str], secrets: dict[str, str]) -> None:
        self.folder, self.addresses, self.secrets = folder, addresses, secrets
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def translate(self, text: str) -> str:
        """A value of compose.yaml with variables filled and hosts, ports and folders of this machine."""
        text = re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda found: self.secrets[found[1]], text)
        for inside, here in self.addresses.items():
            text = text.replace(inside, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith(("STRATA_", "PREFECT_", "AWS_"))}
        body = COMPOSE["services"][name].get("environment", {})
        return own | {key: self.translate(str(value)) for key, value in body.items()}

    def command(self, name: str) -> list[str]:
        service = COMPOSE["services"][name]
        program = {"strata": ["-m", "ui.cli.main"], "prefect": ["-m", "prefect"]}[
            service.get("entrypoint", ["strata"])[0]
        ]
        ports = [part.rpartition(":")[2] for part in service.get("ports", [])]
        words = [self.addresses[f"port {word}"] if word in ports else word for word in service["command"]]
        return [sys.executable, *program, *(word.replace("0.0.0.0", "127.0.0.1") for word in words)]

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name), env=self.environment(name), cwd=self.folder, capture_output=True, text=True, timeout=200
        )

    def start(self, name: str) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                self.command(name), env=self.environment(name), cwd=self.folder, stdout=log, stderr=log
            )

    def await_health(self, name: str, seconds: float = 240.0) -> None:
        """Repeat the health check of compose.yaml until it passes."""
        check = [self.translate(word) for word in COMPOSE["services"][name]["healthcheck"]["test"]]
        assert check[:2] == ["CMD", "python"]
        deadline = time.monotonic() + seconds
        while subprocess.run([sys.executable, *check[2:]], capture_output=True).returncode != 0:
            log = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
            assert self.processes[name].poll() is None, f"{name} ended:\n{log}"
            assert time.monotonic() < deadline, f"{name} did not become healthy:\n{log}"
            time.sleep(0.5)

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def native(folder: Path, **more: str) -> Native:
    (folder / "data").mkdir(exist_ok=True)
    ports = {f"port {port}": free_port() for port in ("4200", "8080", "8501")}
    addresses = {
        **more,
        "http://127.0.0.1:8080": f"http://127.0.0.1:{ports['port 8080']}",
        "http://127.0.0.1:8501": f"http://127.0.0.1:{ports['port 8501']}",
        "http://127.0.0.1:4200": f"http://127.0.0.1:{ports['port 4200']}",
        "http://prefect:4200": f"http://127.0.0.1:{ports['port 4200']}",
        **ports,
    }
    secrets = {
        "POSTGRES_PASSWORD": "pw",
        "STORE_USER": "strata",
        "STORE_PASSWORD": "sesame",
        "PREFECT_AUTH": "me:secret",
        "HF_HUB_OFFLINE": "1",
    }
    made = Native(folder, addresses, secrets)
    made.addresses["/data"] = str(folder / "data")
    return made


@pytest.fixture
def alone(tmp_path):
    """init, api and web on the embedded default: SQLite and a folder."""
    made = native(tmp_path)
    made.addresses |= {
        "postgresql://strata:pw@postgres:5432/strata": f"sqlite:///{tmp_path / 'data' / 'meta.db'}",
        "s3://strata/tables": str(tmp_path / "data" / "tables"),
    }
    yield made
    made.stop()


def test_init_and_api_run_as_composed(alone):
    done = alone.run("init")
    assert done.returncode == 0 and (alone.folder / "data" / "meta.db").exists(), done.stderr
    alone.start("api")
    alone.await_health("api")
    url = f"http://127.0.0.1:{alone.addresses['port 8080']}"
    assert json.load(urllib.request.urlopen(f"{url}/health"))["ok"] is True
    secret = create(Catalog.open(alone.folder / "data"), "me", "read")
    request = urllib.request.Request(f"{url}/datasets", headers={"Authorization": f"Bearer {secret}"})
    assert json.load(urllib.request.urlopen(request)) == []


@pytest.mark.slow
def test_the_web_page_runs_as_composed(alone):
    alone.start("web")
    alone.await_health("web")


@pytest.fixture
def store(monkeypatch):
    """An S3-compatible store on loopback, with the bucket that the `bucket` service makes."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "strata"),
        ("AWS_SECRET_ACCESS_KEY", "sesame"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    bucket = COMPOSE["services"]["bucket"]["command"][-1].removeprefix("store/")
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket=bucket)
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_the_whole_topology_scores_through_the_teams_server(tmp_path, postgres, store, monkeypatch):
    """PostgreSQL, object store, Prefect server, worker and API as composed; a run asked for over HTTP is done."""
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE strata")
        connection.execute((DOCKER / "postgres-init.sql").read_text().split("\n", 1)[1])
    where = postgres.removeprefix("postgresql://")
    made = native(tmp_path, **{"http://store:9000": store, "strata:pw@postgres:5432": where})
    try:
        assert made.run("init").returncode == 0
        for name in ("prefect", "api"):
            made.start(name)
        for name in ("prefect", "api"):
            made.await_health(name)
        made.start("worker")
        env = made.environment("api")
        for name in ("STRATA_DATABASE_URL", "STRATA_TABLES_URI", "STRATA_S3_ENDPOINT"):
            monkeypatch.setenv(name, env[name])
        cat = Catalog.open(tmp_path / "data")
        text_dataset(cat, tmp_path, "web", sentences(100))
        at = PrefectApi(env["PREFECT_API_URL"], env["PREFECT_API_AUTH_STRING"])
        deadline = time.monotonic() + 200
        while not online_workers(at, "cpu"):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text(errors="replace")[-2000:]
            time.sleep(0.5)
        told = _post(
            made, create(cat, "me", "write"), "/score", {"name": "web", "scorers": ["gopher_quality"], "on": "team"}
        )
        assert told["place"] == "team"
        while not cat.columns("web"):
            assert time.monotonic() < deadline + 200, (tmp_path / "worker.log").read_text(errors="replace")[-2000:]
            time.sleep(0.5)
        assert cat.columns("web")[0].covered == 100 and errors_of(cat) == []
        run = cat.runs(1)[0]
        assert (run.verb, run.place, run.prefect_id) == ("score", "team", told["flow_run"])
        cat.engine.dispose()
    finally:
        made.stop()


def _post(made: Native, secret: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{made.addresses['port 8080']}{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)
