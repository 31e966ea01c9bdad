"""The parts of the benchmark of the daemon, and a short run of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from over_grpc import ONE_STREAM, as_dict, rows_beside_one
from rpc.flow import Flow
from rpc.frames import MIXES, Message, frames_in, has_missed, line_rate, messages, stamped_message
from rpc.paths import WIDE_MIX, all_paths
from rpc.processes import anonymous_of, seconds_of
from rpc.sides import Counter, Mismatch
from skbpool.v1 import drop_reason_pb2, frame_pb2

BENCH = Path(__file__).resolve().parent.parent
PATIENCE = 40.0


@pytest.mark.parametrize("mix", MIXES)
def test_messages_are_full_and_say_how_many_frames_they_have(mix: str) -> None:
    made = messages(mix, 3)
    for number, message in enumerate(made, 1):
        batch = frame_pb2.IngestRequest.FromString(message.data).batch
        assert (batch.sequence, len(batch.length)) == (number, message.frames)
        assert sum(batch.length) == len(batch.frames)
        assert (1 << 20) - 2048 < len(message.data) <= 1 << 20
        lengths = {size - 4 for size in MIXES[mix]}
        assert set(batch.length) == lengths


def test_line_rate_of_64_bytes() -> None:
    assert round(line_rate("64")) == 14_880_952
    assert round(line_rate("1518")) == 812_744


def test_the_last_frame_of_a_stamped_message_has_the_stamp() -> None:
    before = time.monotonic_ns()
    message = stamped_message("1518").stamped(7)
    batch = frame_pb2.IngestRequest.FromString(message.data).batch
    assert len(batch.length) == message.frames
    last = batch.frames[-batch.length[-1] :]
    assert last[12:15] == b"\x08\x00\x45"
    assert last[42:44] == b"SB"
    assert int.from_bytes(last[48:52], "big") == 7
    assert before <= int.from_bytes(last[52:60], "big") <= time.monotonic_ns()


def test_frames_of_a_response_are_counted_without_reading_them() -> None:
    response = frame_pb2.SubscribeResponse()
    response.batch.frames = b"x" * 300
    response.batch.length.extend([100, 200])
    assert frames_in(response.SerializeToString()) == 2
    assert not has_missed(response.SerializeToString())
    response.missed.add(reason=drop_reason_pb2.DropReason.DROP_REASON_QUOTA, frames=1)
    assert has_missed(response.SerializeToString())
    response.ClearField("batch")
    assert frames_in(response.SerializeToString()) == 0
    assert has_missed(response.SerializeToString())


def test_a_message_waits_until_what_was_sent_is_handled() -> None:
    flow = Flow()
    flow.handled(0, 150)
    message = Message(bytes(100), 3)
    assert flow.take(message)
    flow.handled(2)  # not all of it
    assert flow._outstanding == 100
    flow.handled(3)
    assert flow.take(message)
    assert (flow.frames, flow.bytes, flow._outstanding) == (6, 200, 100)
    flow.end()
    assert not flow.take(message)


def test_what_did_not_arrive_is_told() -> None:
    Counter().check({"accepted": 5, "bytes": 5})
    with pytest.raises(Mismatch, match="sent 6 bytes, received 5"):
        Counter().check({"accepted": 5, "bytes": 6})


def test_figures_of_a_process() -> None:
    stat = "7 (a ) b) S " + " ".join(str(number) for number in range(4, 30))
    assert seconds_of(stat) == pytest.approx((14 + 15) / os.sysconf("SC_CLK_TCK"))
    assert anonymous_of("VmRSS:\t9 kB\nRssAnon:\t    5 kB\n") == 5120


def test_every_path_has_a_name_of_its_own() -> None:
    names = [path.name for path in all_paths()]
    rows = [figure.goal.op for path in all_paths() for figure in path.figures]
    assert len(set(names)) == len(names)
    assert len(set(rows)) == len(rows)


def test_many_streams_are_beside_one_of_our_own_and_not_beside_the_bare_server() -> None:
    one = f"ingest_{WIDE_MIX}_unix"
    samples = {
        name: {"ours": [{"bytes": ours}], "bare": [{"bytes": 9e9}]}
        for name, ours in ((one, 4e9), (f"{one}_64_streams", 3e9))
    }
    [row] = rows_beside_one(samples)
    told = as_dict(row, ONE_STREAM)
    assert (told["path"], told["ours"], told["one_stream"]) == ("streams_64_unix", 3, 4)
    assert (told["ratio"], "bare" in told) == (0.75, False)


def command(*options: str) -> list[str]:
    return [sys.executable, str(BENCH / "over_grpc.py"), "--no-write", *options]


def test_a_short_run_prints_a_row_for_each_figure() -> None:
    paths = "ingest_64_unix,latency_1518_tcp,ingest_subscribe_1518_unix,unary_64_tcp"
    options = ["--rounds", "1", "--seconds", "0.05", "--paths", paths]
    ran = subprocess.run(
        command(*options), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr
    rows = {line.split()[0] for line in ran.stdout.splitlines() if line.strip()}
    assert rows >= {"ingest_64_unix", "latency_1518_tcp_p999", "unary_64_tcp"}
    assert "Copies of a payload byte from socket to consumer: bare 3, ours 3 + 0" in ran.stdout


def test_an_unknown_path_is_told_at_once() -> None:
    ran = subprocess.run(
        command("--paths", "what"), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 2
    assert "no such path: what" in ran.stderr


def test_ctrl_c_leaves_nothing_behind() -> None:
    process = subprocess.Popen(command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + PATIENCE
        while len(children := children_of(process.pid)) < 3:
            assert time.monotonic() < ends
            assert process.poll() is None
            time.sleep(0.01)  # between two looks
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
        assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    finally:
        process.kill()
        process.wait()


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
