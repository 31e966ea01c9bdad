"""grpc.health.v1 and how it tells that the daemon stops."""

import threading
from typing import Any

import grpc
import pytest
from daemon_support import Stubs, refusal
from grpc_health.v1 import health_pb2, health_pb2_grpc
from skbpool_service.daemon import Daemon


def health(stubs: Stubs) -> Any:
    return health_pb2_grpc.HealthStub(stubs.channel)


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.mark.parametrize("service", ["", "skbpool.v1.FrameService", "skbpool.v1.LeaseService"])
def test_a_running_daemon_serves(stubs: Stubs, service: str) -> None:
    stub = health(stubs)
    assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == SERVING


def test_a_service_that_is_not_there(stubs: Stubs) -> None:
    stub = health(stubs)
    request = health_pb2.HealthCheckRequest(service="nothing")
    assert refusal(lambda: stub.Check(request))[0] == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(request)
    assert next(watch).status == SERVICE_UNKNOWN
    watch.cancel()


def test_watchers_are_told_before_the_daemon_ends(daemon: Daemon, stubs: Stubs) -> None:
    watch = health(stubs).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == SERVING
    stopping = threading.Thread(target=daemon.stop)
    stopping.start()
    assert next(watch).status == NOT_SERVING
    stopping.join()


def test_watchers_are_limited(start) -> None:
    _, stubs = start(limits={"max_tool_streams": 1})
    stub = health(stubs)
    first = stub.Watch(health_pb2.HealthCheckRequest())
    next(first)
    code, text = refusal(lambda: stub.Watch(health_pb2.HealthCheckRequest()))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "limits.max_tool_streams = 1" in text
    first.cancel()
