"""What the doctor says of a machine."""

import socket
from pathlib import Path

from pydantic import SecretStr

from actors.cli.doctor import Check, Verdict, examine, is_healthy
from streaming.settings import Settings


def verdicts(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(settings)}


def test_a_machine_that_runs_the_tests_has_what_the_service_stands_on(tmp_path: Path) -> None:
    found = verdicts(Settings(state_dir=tmp_path, port=0))
    for name in ("python", "torch", "redis", "tracker", "port", "state_dir"):
        assert found[name].verdict is Verdict.OK, found[name]


def test_it_says_which_backend_runs_here_and_why_no_other(tmp_path: Path) -> None:
    found = verdicts(Settings(state_dir=tmp_path))
    assert found["backend"].verdict is Verdict.OK
    assert found["backend"].found.removeprefix("auto: ") in {"tensorrt", "openvino", "torch"}
    if found["tensorrt"].verdict is not Verdict.OK:
        assert found["tensorrt"].verdict is Verdict.MISSING and found["tensorrt"].remedy
        wanted = verdicts(Settings(state_dir=tmp_path, backend="tensorrt"))["backend"]
        assert wanted.verdict is Verdict.BROKEN and wanted.remedy == found["tensorrt"].remedy


def test_a_taken_port_is_said_but_does_not_count_as_broken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        checks = examine(Settings(state_dir=tmp_path, port=taken.getsockname()[1]))
    port = next(check for check in checks if check.name == "port")
    assert port.verdict is Verdict.MISSING
    assert "already" in port.remedy


def test_a_checkpoint_that_is_not_there_is_broken_and_says_what_to_do(tmp_path: Path) -> None:
    found = verdicts(Settings(state_dir=tmp_path, model=str(tmp_path / "nowhere")))
    assert found["checkpoint"].verdict is Verdict.BROKEN
    assert "nowhere" in found["checkpoint"].found
    assert not is_healthy(list(found.values()))


def test_a_tracker_may_be_an_official_file_and_one_that_is_not_there_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    gone = verdicts(Settings(state_dir=tmp_path, tracker=str(path)))["tracker"]
    assert gone.verdict is Verdict.BROKEN and path.name in gone.found and ".pt" in gone.remedy
    path.write_bytes(bytes(3_000_000))
    there = verdicts(Settings(state_dir=tmp_path, tracker=str(path)))["tracker"]
    assert there.verdict is Verdict.OK and there.found == f"{path}, 3.0 MB"


def test_a_redis_that_does_not_answer_is_broken_and_keeps_its_password(tmp_path: Path) -> None:
    url = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    found = verdicts(Settings(state_dir=tmp_path, redis_url=url))
    assert found["redis"].verdict is Verdict.BROKEN
    assert "hunter2" not in found["redis"].found + found["redis"].remedy
