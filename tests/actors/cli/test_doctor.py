"""Tests of `saccade doctor`'s checks."""

import socket
from pathlib import Path

from pydantic import SecretStr

from actors.cli.doctor import Check, Verdict, examine, is_healthy
from streaming.settings import Settings


def checks_by_name(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(settings)}


def test_the_machine_of_the_tests_passes_the_main_checks(tmp_path: Path) -> None:
    found = checks_by_name(Settings(state_dir=tmp_path, port=0))
    for name in ("python", "torch", "redis", "tracker", "port", "state_dir"):
        assert found[name].verdict is Verdict.OK, found[name]


def test_the_backend_is_named_and_a_missing_one_has_a_remedy(tmp_path: Path) -> None:
    found = checks_by_name(Settings(state_dir=tmp_path))
    assert found["backend"].verdict is Verdict.OK
    assert found["backend"].found.removeprefix("auto: ") in {"tensorrt", "openvino", "torch"}
    if found["tensorrt"].verdict is not Verdict.OK:
        assert found["tensorrt"].verdict is Verdict.MISSING and found["tensorrt"].remedy
        wanted = checks_by_name(Settings(state_dir=tmp_path, backend="tensorrt"))["backend"]
        assert wanted.verdict is Verdict.BROKEN and wanted.remedy == found["tensorrt"].remedy


def test_a_port_in_use_is_reported_as_missing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        checks = examine(Settings(state_dir=tmp_path, port=taken.getsockname()[1]))
    port = next(check for check in checks if check.name == "port")
    assert port.verdict is Verdict.MISSING
    assert "already" in port.remedy


def test_a_missing_checkpoint_is_broken(tmp_path: Path) -> None:
    found = checks_by_name(Settings(state_dir=tmp_path, model=str(tmp_path / "nowhere")))
    assert found["checkpoint"].verdict is Verdict.BROKEN
    assert "nowhere" in found["checkpoint"].found
    assert not is_healthy(list(found.values()))


def test_an_official_tracker_file_is_ok_and_a_missing_one_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    gone = checks_by_name(Settings(state_dir=tmp_path, tracker=str(path)))["tracker"]
    assert gone.verdict is Verdict.BROKEN and path.name in gone.found and ".pt" in gone.remedy
    path.write_bytes(bytes(3_000_000))
    there = checks_by_name(Settings(state_dir=tmp_path, tracker=str(path)))["tracker"]
    assert there.verdict is Verdict.OK and there.found == f"{path}, 3.0 MB"


def test_an_unreachable_redis_is_broken_and_its_password_is_not_shown(tmp_path: Path) -> None:
    url = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    found = checks_by_name(Settings(state_dir=tmp_path, redis_url=url))
    assert found["redis"].verdict is Verdict.BROKEN
    assert "hunter2" not in found["redis"].found + found["redis"].remedy


def test_the_addresses_and_ports_of_webrtc_are_shown_and_checked(tmp_path: Path) -> None:
    def found(**settings: object) -> Check:
        return checks_by_name(Settings(state_dir=tmp_path, **settings))["webrtc"]  # type: ignore[arg-type]

    alone = found()
    assert alone.verdict is Verdict.OK
    assert alone.found.startswith("127.0.0.1") and alone.found.endswith("browsers on this machine only")
    public = found(server_names=["x"], ice_public_addresses=["203.0.113.9"], ice_udp_ports=(50_000, 50_031))
    assert public.found.startswith("203.0.113.9, ") and public.found.endswith("; UDP 50000 to 50031")
    assert found(ice_addresses=["198.51.100.7"]).verdict is Verdict.BROKEN
    unknown = found(ice_public_addresses=["nowhere.invalid"])
    assert unknown.verdict is Verdict.MISSING and "nowhere.invalid does not resolve" in unknown.found
