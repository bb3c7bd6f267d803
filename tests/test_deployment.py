"""Checks the files for Docker, Prometheus and Grafana against the project. Needs no Docker engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from actors.redis_server import find_program
from lab.fixtures.ports import free_port
from streaming.errors import StoreUnavailable
from streaming.results.connection import ping, resolve_redis_url
from streaming.settings import Settings
from tests.brokers import until

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DASHBOARD = json.loads((ROOT / "dashboards/grafana/dashboards/saccade.json").read_text())
RULES = yaml.safe_load((ROOT / "dashboards/prometheus/rules.yml").read_text())
PROMETHEUS = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_ci_runs_what_contributors_run() -> None:
    """The workflow calls .ci/run, which calls `make test`. pre-commit runs the linters of `make lint`."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert commands == [".ci/run"]
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert hooks["repo"] == "local"
    target = (ROOT / "Makefile").read_text().partition("\nlint:")[2].split("\n\n")[0]
    linters = re.findall(r"@\$\(BIN\)/(.+)", target)
    for hook, linter in zip(hooks["hooks"], linters, strict=True):
        assert hook["entry"].startswith(f".venv/bin/{linter.removesuffix(' .').removesuffix(' --check')}")


def test_compose_has_the_documented_services() -> None:
    assert set(SERVICES) == {"saccade-cpu", "saccade-gpu", "redis", "mediamtx", "prometheus", "grafana"}
    assert SERVICES["saccade-cpu"]["profiles"] == ["cpu"]
    assert SERVICES["saccade-gpu"]["profiles"] == ["gpu"]
    devices = SERVICES["saccade-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bound_to_loopback_and_unprivileged(name: str) -> None:
    service = SERVICES[name]
    tag = service["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+\.\d+", tag), service["image"]
    assert service["ports"]
    assert all(port.startswith(("127.0.0.1:", "${ICE_BIND:-127.0.0.1}:")) for port in service["ports"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if "build" not in service:
        assert int(service["user"].split(":")[0]) > 0


@pytest.mark.parametrize("name", ["saccade-cpu", "saccade-gpu"])
def test_orphaned_processes_of_ray_are_reaped(name: str) -> None:
    assert SERVICES[name]["init"] is True


def test_the_address_in_ice_candidates_is_reserved_for_saccade() -> None:
    (pool,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    own = ip_address(SERVICES["saccade-cpu"]["networks"]["inside"]["ipv4_address"])
    assert own in ip_network(pool["subnet"])
    assert own not in ip_network(pool["ip_range"])
    environment = SERVICES["saccade-cpu"]["environment"]
    assert json.loads(environment["SACCADE_ICE_ADDRESSES"]) == [str(own)]
    first, last = json.loads(environment["SACCADE_ICE_UDP_PORTS"])
    assert any(
        port.endswith(f":{first}-{last}:{first}-{last}/udp") for port in SERVICES["saccade-cpu"]["ports"]
    )
    (default,) = re.findall(r":-(.+)\}$", environment["SACCADE_ICE_PUBLIC_ADDRESSES"])
    assert json.loads(default) == ["127.0.0.1"]


def test_secrets_of_read_only_containers_are_files_of_the_host() -> None:
    """Compose 2.33 and newer refuse to write secrets into a read-only container."""
    for service in SERVICES.values():
        for secret in [*service.get("secrets", []), *service.get("configs", [])]:
            assert "file" in (COMPOSE.get("secrets", {}) | COMPOSE.get("configs", {}))[secret]


def test_every_path_that_is_mounted_or_built_from_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert known, volume
        if "build" in service:
            assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()


def test_every_path_the_image_is_built_from_exists_and_is_not_ignored() -> None:
    included = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in included, source


def test_the_image_is_pinned_unprivileged_and_has_a_health_check() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.search(r":\d+\.\d+\.\d+", bases[0])
    assert re.search(r"^USER saccade$", DOCKERFILE, re.MULTILINE)
    assert "/ready" in DOCKERFILE.partition("HEALTHCHECK")[2]


def test_health_checks_use_no_proxy_of_the_environment() -> None:
    """Docker passes the proxies of its configuration to every container."""
    assert "ProxyHandler({})" in DOCKERFILE.partition("HEALTHCHECK")[2]
    for service in SERVICES.values():
        check = service.get("healthcheck", {}).get("test", [])
        assert "wget" not in check or check[check.index("-Y") + 1] == "off"


def test_the_environment_of_the_service_is_made_of_settings() -> None:
    written = set(re.findall(r"SACCADE_[A-Z_]+(?==)", DOCKERFILE))
    for name in ("saccade-cpu", "saccade-gpu"):
        written |= {key for key in SERVICES[name]["environment"] if key.startswith("SACCADE_")}
    assert len(written) >= 6
    assert written <= {f"SACCADE_{name.upper()}" for name in Settings.model_fields}


def test_every_required_variable_is_in_the_example() -> None:
    needed = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    example = (ROOT / ".env.example").read_text()
    assert needed
    assert needed <= set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    # The example has no secrets, so that none is used by mistake.
    assert not re.findall(r"^(?:SACCADE_API_TOKEN|\w+_PASSWORD)=.+$", example, re.MULTILINE)


@pytest.mark.parametrize("password", ["plain", "p@ss/w?rd#1", "100%", '"', "'", "\\", "--x", "a b", "$HOME"])
def test_redis_and_the_service_take_a_password_of_any_characters(tmp_path: Path, password: str) -> None:
    """The command of the container, with a server that is here; Compose writes `$$` for `$`."""
    assert SERVICES["saccade-cpu"]["environment"]["SACCADE_REDIS_PASSWORD"].startswith("${REDIS_PASSWORD")
    assert SERVICES["redis"]["environment"]["REDISCLI_AUTH"].startswith("${REDIS_PASSWORD")
    (tmp_path / "redis-server").symlink_to(find_program())
    port = free_port()
    *shell, script = [part.replace("$$", "$") for part in SERVICES["redis"]["command"]]
    process = subprocess.Popen(
        [*shell, f"{script} --port {port} --bind 127.0.0.1"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDISCLI_AUTH": password},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        url = SecretStr(f"redis://127.0.0.1:{port}/0")
        until(lambda: "user or password" in refusal(url))
        assert refusal(resolve_redis_url(url, SecretStr(password))) == ""
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def refusal(url: SecretStr) -> str:
    try:
        ping(url)
    except StoreUnavailable as exc:
        return exc.message
    return ""


def test_prometheus_scrapes_the_gateway_with_the_token() -> None:
    job = next(job for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "saccade")
    assert job["metrics_path"] == "/metrics"
    token_file = job["authorization"]["credentials_file"]
    written_by = SERVICES["prometheus"]["entrypoint"][-1]
    assert f'"$$SACCADE_API_TOKEN" > {token_file};' in written_by
    assert "SACCADE_API_TOKEN" in SERVICES["prometheus"]["environment"]
    assert [
        mount for mount in SERVICES["prometheus"]["tmpfs"] if token_file.startswith(mount.split(":")[0] + "/")
    ]
    names = job["dns_sd_configs"][0]["names"]
    assert names == SERVICES["saccade-cpu"]["networks"]["inside"]["aliases"]
    for rules in PROMETHEUS["rule_files"]:
        assert (ROOT / "dashboards/prometheus" / rules).is_file()


def shown_metrics() -> set[str]:
    """Return the metrics that panels and alerts use, without the suffixes of histograms."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    names = {name for expr in asked for name in re.findall(r"\bsaccade_[a-z_]+", expr)}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_panels_show_the_documented_metrics() -> None:
    assert shown_metrics() == {
        "saccade_frames_total",
        "saccade_frame_age_seconds",
        "saccade_stage_duration_seconds",
        "saccade_prompt_to_mask_seconds",
        "saccade_stream_up",
        "saccade_reconnects_total",
        "saccade_grounder_seconds",
        "saccade_grounder_queue_depth",
        "saccade_keyframes_total",
        "saccade_results_lost_total",
        "saccade_tracks",
    }


@pytest.mark.parametrize("name", sorted(shown_metrics()))
def test_every_shown_metric_is_exported(name: str) -> None:
    """prometheus_client adds `_total` to the names of counters."""
    sources = "".join(path.read_text() for path in (ROOT / "actors").glob("*.py"))
    assert f'"{name}"' in sources or f'"{name.removesuffix("_total")}"' in sources


def test_panels_do_not_overlap_and_have_descriptions() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"] and panel["description"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_uses_the_provisioned_datasource() -> None:
    folder = ROOT / "dashboards/grafana/provisioning"
    source = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"][0]
    asked = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert asked == {source["uid"]}
    provider = yaml.safe_load((folder / "dashboards/saccade.yml").read_text())["providers"][0]
    mounts = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
