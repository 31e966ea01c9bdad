"""Where settings come from, and what is said about wrong ones."""

import re
from pathlib import Path

import pytest
import skbpool
from skbpool._native import Hub, IngestPort, Subscription
from skbpool_service.config import ConfigError, Settings, admission, load_settings, merge, nest


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the person who runs the tests out of them."""
    import os

    for name in [name for name in os.environ if name.startswith("SKBPOOL_")]:
        monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    file = folder / "skbpool.toml"
    file.write_text(text)
    return file


def test_flags_go_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(
        tmp_path,
        'metrics = "127.0.0.1:1"\n[pool]\nbuffers = 200\norder = 1\n[limits]\nmax_streams = 3\n',
    )
    monkeypatch.setenv("SKBPOOL_POOL__ORDER", "2")
    monkeypatch.setenv("SKBPOOL_LIMITS__MAX_STREAMS", "4")
    settings = load_settings({"limits": {"max_streams": "5"}}, file)
    assert settings.metrics == "127.0.0.1:1"
    assert (settings.pool.buffers, settings.pool.order) == (200, 2)
    assert settings.limits.max_streams == 5


def test_listen_is_a_list_in_toml_and_comma_separated_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, 'listen = ["unix:/a", "127.0.0.1:1"]\n')
    assert load_settings({}, file).listen == ["unix:/a", "127.0.0.1:1"]
    monkeypatch.setenv("SKBPOOL_LISTEN", "unix:/b, [::1]:0")
    assert load_settings({}, file).listen == ["unix:/b", "[::1]:0"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[pool]\n\nbuffers = 0\n", ":3: pool.buffers: "),
        ("# c\n'pool'.\"buffers\" = 0\n", ":2: pool.buffers: "),
        ("# c\npool.buffers.x = 1\n", ":2: pool.buffers: "),
        ("# c\n[[pool]]\nbuffers = 1\n", ":2: pool: "),
        ('metrics = """\n[log]\n"""\n[pool]\nbuffers = 0\n', ":5: pool.buffers: "),
        ("listen = [\n  'x',\n]\npool.buffers = 0\n", ":1: listen: "),
        ('"a\\nb" = 1\n', ':1: "a\\nb": there is no'),
        (f"# c\n[pool]\nbuffers = {'9' * 5000}\n", ":3: a number has too many digits"),
        (
            f"pool.buffers = 0x{'f' * 5000}\n",
            ":1: pool.buffers: a number of thousands of digits is",
        ),
        ("[pool]\rbuffers = 1\n", "is not TOML: "),
        ("pool.buffers = 0\n", ":1: pool.buffers: "),
        (
            "x = 1\n[limits]\nmax_streams = 1\nmax_stream = 1\n",
            ":4: limits.max_stream: there is no",
        ),
        ("# c\nlimits = { max_streams = 0 }\n", ":2: limits.max_streams: "),
        ('listen = ["nonsense"]\n', ":1: listen: 'nonsense' is not an address"),
        ("pool = [\n", "is not TOML: "),
        ("[limits]\nmax_message_bytes = 4096\n", ":1: limits.max_frame_bytes: a frame of 262144"),
    ],
)
def test_errors_name_file_line_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings({}, file)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[pool]\nbuffers = true\n", ":2: pool.buffers: true is not a whole number from 1 to "),
        ("[pool]\n\norder = false\n", ":3: pool.order: false is not a whole number from 0 to "),
        ("[limits]\nmax_quota = true\n", ":2: limits.max_quota: true is not a whole number"),
        ("keepalive_time = true\n", ":1: keepalive_time: true is not a number"),
        ("[watch]\ninterval = true\n", ":2: watch.interval: true is not a number"),
    ],
)
def test_truth_is_no_number(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({}, write(tmp_path, text))
    assert complaint in str(caught.value)
    assert load_settings({}, write(tmp_path, "insecure_any_address = true\n")).insecure_any_address


def test_errors_name_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBPOOL_LIMITS__MAX_STREAMS", "many")
    with pytest.raises(ConfigError, match=r"^environment variable SKBPOOL_LIMITS__MAX_STREAMS: "):
        load_settings({})


def test_a_table_in_the_environment_says_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBPOOL_LIMITS", "many")
    with pytest.raises(ConfigError, match=r"^environment variable SKBPOOL_LIMITS: .*__KEY"):
        load_settings({})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing.toml: cannot be read: No such file"):
        load_settings({}, tmp_path / "nothing.toml")


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "192.0.2.7:50051"])
def test_plaintext_on_the_network_has_to_be_asked_for(address: str) -> None:
    for key in ("listen", "metrics"):
        with pytest.raises(ConfigError, match=f"{key}: .*--insecure-any-address"):
            load_settings({key: address})
    # Metrics know no certificates and no sockets.
    with pytest.raises(ConfigError, match=r"metrics: .* a loopback address") as caught:
        load_settings({"metrics": address})
    assert not re.search(r"listener|Unix|listen on", str(caught.value))
    asked = load_settings({"listen": address, "metrics": address, "insecure_any_address": True})
    assert asked.listen == [address]


@pytest.mark.parametrize("address", ["unix:/a", "127.0.0.1:0", "[::1]:1", "127.9.9.9:1"])
def test_this_machine_is_fine(address: str) -> None:
    assert load_settings({"listen": [address]}).listen == [address]


def test_metrics_are_not_served_on_a_unix_socket() -> None:
    for text in ("unix:/a", "garbage"):
        with pytest.raises(ConfigError, match=r"metrics: .*HOST:PORT") as caught:
            load_settings({"metrics": text})
        assert "unix:PATH" not in str(caught.value)


def test_quotas_follow_the_pool_unless_they_are_set() -> None:
    small = load_settings({"pool": {"buffers": 1000}})
    assert (small.default_quota, small.max_quota) == (250, 440)
    large = load_settings({"pool": {"buffers": 1_000_000}})
    assert (large.default_quota, large.max_quota) == (32_768, 500_000)
    told = load_settings({"limits": {"default_quota": 7, "max_quota": 9}})
    assert (told.default_quota, told.max_quota) == (7, 9)
    # A driver has room beside the largest consumer.
    for buffers in (129, 256, 1000, 4096):
        most = load_settings({"pool": {"buffers": buffers}}).max_quota
        reserved = admission.pair(buffers, 4096, 262_144, most)
        assert (reserved <= buffers, most <= max(buffers // 2, 1)) == (True, True)
    # Whoever gives every consumer more means it.
    generous = load_settings({"limits": {"default_quota": 900}, "pool": {"buffers": 1000}})
    assert (generous.default_quota, generous.max_quota) == (900, 900)
    with pytest.raises(ConfigError, match=r"limits.default_quota: 9 is more than max_quota = 7"):
        load_settings({"limits": {"default_quota": 9, "max_quota": 7}})


@pytest.mark.parametrize("key", ["default_quota", "max_quota"])
def test_a_quota_that_no_consumer_can_ever_get_is_refused(tmp_path: Path, key: str) -> None:
    file = write(tmp_path, f"[pool]\nbuffers = 4096\n[limits]\n{key} = 4097\n")
    with pytest.raises(ConfigError, match=rf":4: limits.{key}: 4097 .* pool.buffers = 4096"):
        load_settings({}, file)
    assert load_settings({"limits": {key: 4096}, "pool": {"buffers": 4096}}).max_quota == 4096


@pytest.mark.parametrize("order", [0, 3, 10])
@pytest.mark.parametrize("most", [64, 9000, 262_144])
def test_what_streams_reserve_is_what_the_core_reserves(order: int, most: int) -> None:
    size = 4096 << order
    for buffers in (5, 16, 31, 64, 128, 129, 1023, 1024, 2000):
        if buffers * size > 64 << 20:
            continue
        pool = skbpool.Pool(buffers, order=order)
        hub = Hub(pool)
        wanted = admission.driver(buffers, size, most), admission.consumer(buffers, 1)
        found: list[int | None] = []
        for attach in (
            lambda hub=hub: IngestPort(hub, "nic", max_frame_bytes=most),
            lambda hub=hub: Subscription(hub, "tap", quota=1, max_message_bytes=1 << 20),
        ):
            try:
                with attach():
                    found.append(pool.stats().reserved)
            except skbpool.PoolTooSmall:
                found.append(None)
        assert found == [each if each <= buffers else None for each in wanted]


@pytest.mark.parametrize(
    ("buffers", "order", "most"), [(1, 0, 262_144), (8, 0, 64), (64, 0, 262_144), (128, 0, 262_144)]
)
def test_a_pool_that_nobody_fits_in_is_refused_with_the_least_that_works(
    buffers: int, order: int, most: int
) -> None:
    def settings(buffers: int) -> Settings:
        pool = {"buffers": buffers, "order": order}
        return load_settings({"pool": pool, "limits": {"max_frame_bytes": most}})

    with pytest.raises(ConfigError, match=rf"^pool.buffers: {buffers} buffers") as caught:
        settings(buffers)
    found = re.search(r"at least (\d+) \(--buffers \1\)$", str(caught.value))
    assert found
    least = int(found[1])
    assert least == admission.least_buffers(4096 << order, most) > buffers
    with pytest.raises(ConfigError, match=r"^pool.buffers"):
        settings(least - 1)
    for more in range(least, 2000):
        settings(more)


def test_a_default_quota_without_room_beside_a_driver_is_known() -> None:
    pool = {"buffers": 200}
    told = load_settings({"pool": pool, "limits": {"default_quota": 50}})
    assert not told.default_fits_beside_driver
    assert load_settings({"pool": pool}).default_fits_beside_driver


def test_a_value_for_a_table_is_not_hidden_by_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"pool": {"buffers": 4096}}
    file = write(tmp_path, "# c\npool = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(flags, file)
    told = "pool: 3 is not a table; its keys are name, buffers, order, huge_pages"
    told += ", low_watermark, high_watermark"
    assert str(caught.value) == f"{file}:2: {told}"
    monkeypatch.setenv("SKBPOOL_POOL", "3")
    with pytest.raises(ConfigError) as caught:
        load_settings(flags)
    assert str(caught.value) == f"environment variable SKBPOOL_POOL: {told}"
    monkeypatch.setenv("SKBPOOL_POOL", '{"order": 1}')
    assert load_settings(flags).pool.order == 1


def test_a_default_quota_that_follows_a_small_pool_is_known() -> None:
    assert load_settings({"pool": {"buffers": 4096}}).quota_follows_pool
    assert load_settings({"pool": {"buffers": 200}}).quota_follows_pool
    assert not load_settings({}).quota_follows_pool
    told = {"pool": {"buffers": 4096}, "limits": {"default_quota": 7}}
    assert not load_settings(told).quota_follows_pool


@pytest.mark.parametrize(
    ("pair", "complaint"),
    [
        ("pool.buffers=x", "pool.buffers: 'x' is not a whole number from 1 to 16777215"),
        ("pool.buffers=0", "pool.buffers: '0' is not a whole number from 1 to 16777215"),
        ("limits.max_quota=x", "limits.max_quota: 'x' is not a whole number from 1 to 16777216"),
        ("limits.max_pool_bytes=-1", "limits.max_pool_bytes: '-1' is not a whole number from 0 on"),
        ("shutdown_deadline=0", "'0' is not a number above 0 and at most 3600"),
        ("pool.huge_pages=x", "'x' is not one of 'never', 'try', 'require'"),
        ("pool.name=a b", "'a b' is not 1 to 63 letters, digits, '.', '_' or '-'"),
        ("insecure_any_address=maybe", "insecure_any_address: 'maybe' is not true or false"),
        ("log=loud", "log: 'loud' is not a table; its keys are format, level"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(pair: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(nest([pair]))
    assert complaint in str(caught.value)
    assert "nput" not in str(caught.value)


def test_wrong_types_in_a_file_are_told_with_what_is_allowed(tmp_path: Path) -> None:
    file = write(tmp_path, "listen = 3\n[pool]\nname = 7\n")
    with pytest.raises(ConfigError) as caught:
        load_settings({}, file)
    assert str(caught.value).splitlines() == [
        f"{file}:1: listen: 3 is not a list of texts",
        f"{file}:3: pool.name: 7 is not 1 to 63 letters, digits, '.', '_' or '-'",
    ]


def test_what_is_nested_too_deeply_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=rf"^{file}: is nested too deeply"):
        load_settings({}, file)
    monkeypatch.setenv("SKBPOOL_LIMITS", "[" * 100_000)
    with pytest.raises(ConfigError, match="environment is nested too deeply"):
        load_settings({})


def test_set_reaches_every_key() -> None:
    pairs = nest(["limits.max_streams=8", "metrics=", "listen=unix:/a,unix:/b"])
    settings = load_settings(merge({"limits": {"max_pools": 2}}, pairs))
    assert (settings.limits.max_streams, settings.limits.max_pools) == (8, 2)
    assert (settings.metrics, settings.listen) == ("", ["unix:/a", "unix:/b"])


@pytest.mark.parametrize("pair", ["limits", "=3", "Limits.x=3", "a..b=1"])
def test_set_without_a_key_says_how_it_is_written(pair: str) -> None:
    with pytest.raises(ConfigError, match="write KEY=VALUE"):
        nest([pair])


def test_streams_and_sessions_together_can_be_accounted() -> None:
    fitting = {"max_streams": 140, "max_ingest_streams": 36, "max_sessions": 24}
    assert load_settings({"limits": fitting}).limits.max_sessions == 24
    with pytest.raises(ConfigError, match=r"limits.max_sessions: 25 .* max_streams = 140, .* 232"):
        load_settings({"limits": {**fitting, "max_sessions": 25}})
    with pytest.raises(ConfigError, match=r"limits.max_sessions: 64 .* max_ingest_streams = 33"):
        load_settings({"limits": {"max_ingest_streams": 33}})


def test_the_sample_file_says_what_holds_without_it() -> None:
    sample = Path(__file__).parents[3] / "deploy" / "skbpool.toml"
    assert load_settings({}, sample).model_dump() == load_settings({}).model_dump()


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({"low_watermark": 8}, "give both"),
        ({"high_watermark": 8}, "give both"),
        ({"low_watermark": 9, "high_watermark": 8}, "8 is not from low_watermark = 9 to the 200"),
        ({"low_watermark": 9, "high_watermark": 201}, "201 is not from low_watermark = 9"),
        ({"low_watermark": -1, "high_watermark": 8}, "pool.low_watermark: -1 is not"),
    ],
)
def test_watermarks_fit_the_pool(pool: dict[str, int], said: str) -> None:
    assert load_settings({}).pool.watermarks is None
    limits = {"max_frame_bytes": 4096}
    fine = {"buffers": 200, "low_watermark": 0, "high_watermark": 200}
    assert load_settings({"pool": fine, "limits": limits}).pool.watermarks == (0, 200)
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_settings({"pool": {"buffers": 200, **pool}, "limits": limits})
