"""DPDK beside us: our own program over its mempool, mbuf and ring, and its testpmd."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "peers" / "dpdk.c"
FLAGS = ("-O3", "-march=native")
MEMORY_MIB = 384
FORWARDING = "worker"
"""Part of the name of the thread that forwards; the main one only prints."""


def version() -> str | None:
    """Return the version of DPDK's library and headers; None if there is none."""
    if shutil.which("pkg-config") is None or shutil.which("gcc") is None:
        return None
    asked = subprocess.run(
        ["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else None


def build(folder: Path) -> Path:
    """Compile our program into `folder`."""
    asked = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libdpdk"], capture_output=True, text=True, check=True
    )
    program = folder / "dpdk"
    command = ["gcc", *FLAGS, "-o", str(program), str(SOURCE), *asked.stdout.split()]
    subprocess.run(command, check=True)
    return program


def eal(cores: Sequence[int], memory_mib: int, huge: bool) -> list[str]:
    """Return the options of DPDK's environment."""
    options = ["-l", ",".join(map(str, cores)), "--no-pci", "-m", str(memory_mib)]
    options += ["--no-telemetry", "--log-level=4"]
    return [*options, *(["--in-memory"] if huge else ["--no-huge", "--no-shconf"])]


@dataclass(frozen=True)
class Sample:
    """Frames that testpmd had received when its forwarding thread had run so long."""

    frames: int
    processor_ns: int
    frames_a_second: int
    """What testpmd itself made of it, by the clock on the wall."""


def receive_mpps(size: int, copy: bool, cores: tuple[int, int], huge: bool) -> tuple[float, float]:
    """Run testpmd's receive loop on the first of `cores`; the second prints.

    Returns millions of frames a second of the loop's processor time, and by the clock on the wall.
    """
    forward, main = cores
    command = ["dpdk-testpmd", *eal([main, forward], MEMORY_MIB // 2, huge)]
    command += [f"--main-lcore={main}", f"--vdev=net_null0,size={size},copy={int(copy)}"]
    command += ["--", "--forward-mode=rxonly", "--stats-period=1", "--total-num-mbufs=16384"]
    command += ["--nb-cores=1"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            samples: list[Sample] = []
            said: list[str] = []
            for frames, rate in figures(keep(process.stdout, said)):
                samples.append(Sample(frames, forwarding_ns(process.pid), rate))
                if len(samples) == 4:
                    return mpps(samples[1:])
        finally:
            process.kill()
    raise RuntimeError("testpmd printed no figures:\n" + "".join(said[-20:]))


def keep(lines: Iterable[str], said: list[str]) -> Iterator[str]:
    """Pass lines on and keep them."""
    for line in lines:
        said.append(line)
        yield line


def figures(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield frames received and Rx-pps of each block of statistics that testpmd prints."""
    frames = None
    for line in lines:
        if found := re.search(r"RX-packets:\s*(\d+)", line):
            frames = int(found[1])
        elif (found := re.search(r"Rx-pps:\s*(\d+)", line)) and frames is not None:
            yield frames, int(found[1])


def forwarding_ns(process: int) -> int:
    """Return the processor time of testpmd's forwarding thread."""
    for task in Path(f"/proc/{process}/task").iterdir():
        if FORWARDING in (task / "comm").read_text():
            return int((task / "schedstat").read_text().split()[0])
    raise RuntimeError("testpmd has no forwarding thread")


def mpps(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return millions of frames a second from the first sample to the last."""
    first, last = samples[0], samples[-1]
    processor = (last.frames - first.frames) * 1e3 / (last.processor_ns - first.processor_ns)
    wall = sum(sample.frames_a_second for sample in samples[1:]) / (len(samples) - 1) / 1e6
    return processor, wall
