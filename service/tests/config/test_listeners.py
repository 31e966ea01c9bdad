"""Listeners in the configuration: what they are when they do not say so, and what cannot be."""

import json
import os
import tomllib
from pathlib import Path

import pytest
import trustme
from certificates import Authority
from skbpool.addresses import TcpAddress, UnixAddress
from skbpool_service.config import ConfigError, Settings, as_toml, load_settings, nest
from skbpool_service.config.lines import line_of

ALL = ["observe", "ingest", "allocate", "administer"]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the person who runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("SKBPOOL_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def load(folder: Path, text: str, **flags: object) -> Settings:
    file = folder / "skbpool.toml"
    file.write_text(text)
    return load_settings(flags, file)


def roles(address: str, more: str = "", **flags: object) -> list[str] | None:
    text = json.dumps(address)
    settings = load_settings(nest([f'listener=[{{"address": {text}{more}}}]']) | flags)
    return list(settings.listeners[0].roles or [])


def test_what_clients_may_do_follows_from_where_they_come_in(authority: Authority) -> None:
    tls = authority.table(client_ca=False)
    both = authority.table(client_ca=True)
    assert roles("unix:/a") == roles("127.0.0.1:0", f', "tls": {both}') == ALL
    assert roles("127.0.0.1:0") == roles("[::1]:0", f', "tls": {tls}') == ALL[:3]
    assert roles("192.0.2.7:1", f', "tls": {tls}') == ALL[:2]
    assert roles("192.0.2.7:1", f', "tls": {both}') == ALL
    assert roles("192.0.2.7:1", insecure_any_address=True) == ALL[:2]
    assert roles("192.0.2.7:1", ', "roles": ["allocate"]', insecure_any_address=True) == ALL[2:3]
    assert roles("unix:/a", ', "roles": []') == []
    short = load_settings({"listen": ["unix:/a", "127.0.0.1:0"]}).listeners
    assert [listener.roles for listener in short] == [ALL, ALL[:3]]


def test_both_forms_stand_beside_each_other(tmp_path: Path) -> None:
    text = 'listen = ["unix:/a"]\n[[listener]]\naddress = "unix:/b"\nmode = "600"\n'
    found = load(tmp_path, text).listeners
    assert [listener.where for listener in found] == [UnixAddress("/a"), UnixAddress("/b")]
    assert [listener.socket_mode for listener in found] == [0o660, 0o600]
    # Each key by itself: a flag for one of them leaves the other.
    over = load(tmp_path, text, listen=["127.0.0.1:7"]).listeners
    assert [listener.where for listener in over] == [TcpAddress("127.0.0.1", 7), UnixAddress("/b")]


def test_lists_of_tables_are_json_in_flags_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBPOOL_LISTENER", '[{"address": "unix:/e", "roles": "observe,ingest"}]')
    assert load_settings({}).listeners[0].granted == {"observe", "ingest"}
    flags = nest(['listener=[{"address": "unix:/f"}]'])
    assert load_settings(flags).listeners[0].where == UnixAddress("/f")
    with pytest.raises(ConfigError, match="listener: is no JSON"):
        load_settings(nest(["listener=["]))
    monkeypatch.setenv("SKBPOOL_LISTENER", '[{"address": "0.0.0.0:1"}]')
    wanted = r"^environment variable SKBPOOL_LISTENER: listener\[0\].address: .*insecure-any"
    with pytest.raises(ConfigError, match=wanted):
        load_settings({})


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('roles = ["look"]', ".roles[0]: 'look' is not a role: one of 'observe', 'ingest'"),
        ("roles = 3", ".roles: 3 is not a list of roles"),
        ("grup = 'x'", ".grup: there is no such key; known are address, roles, unlisted_names"),
        ("mode = 660", ".mode: 660 is not three or four octal digits in quotes"),
        ("mode = '0990'", ".mode: '0990' is not three or four octal digits"),
        ("group = 'no such group'", ".group: there is no group 'no such group'"),
        ("unlisted_names = true", ".unlisted_names: is about names of client certificates"),
        ("tls = { certificate = '/c', private_key = '/k' }", ".tls: is for TCP addresses"),
        ("tls = { certificate = '/c' }", ".tls.private_key: is missing"),
        ("tls.cert = '/c'", ".tls.cert: there is no such key; known are certificate, private_key"),
    ],
)
def test_errors_name_the_line_in_the_right_table(tmp_path: Path, line: str, complaint: str) -> None:
    one = '[[listener]]\naddress = "unix:/a"\nmode = "0600"\nroles = []\n'
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f'{one}[[listener]]\naddress = "unix:/b"\n{line}\n')
    for found in str(caught.value).splitlines():
        assert found.startswith(f"{tmp_path}/skbpool.toml:7: listener[1]"), found
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ('"address": "127.0.0.1:1", "mode": "0600"', "[0].mode: is for Unix sockets"),
        ('"address": "127.0.0.1:1", "group": "root"', "[0].group: is for Unix sockets"),
        ('"address": "grpcs://127.0.0.1:1"', "[0].address: grpcs://127.0.0.1:1 speaks TLS"),
        ('"address": "0.0.0.0:1"', "[0].address: 0.0.0.0:1 can be reached from other"),
        ('"address": "nonsense"', "[0].address: 'nonsense' is not an address"),
        ('"address": "unix:/a"}, {"address": "unix:/a"', "[1].address: unix:/a is named twice"),
        ('"mode": "0600"', "[0].address: is missing"),
    ],
)
def test_what_does_not_fit_together_is_refused(more: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(nest([f"listener=[{{{more}}}]"]))
    assert complaint in str(caught.value)


def test_roles_of_names_need_somebody_who_asks_for_them(authority: Authority) -> None:
    with pytest.raises(ConfigError, match="roles: names of client certificates have roles, and no"):
        load_settings(nest(['roles={"a": ["observe"]}']))
    address = f'"address": "127.0.0.1:1", "tls": {authority.table(client_ca=True)}'
    listener = f"listener=[{{{address}}}]"
    settings = load_settings(nest([listener, 'roles={"a.b": "observe,ingest"}']))
    assert settings.roles == {"a.b": ["observe", "ingest"]}
    with pytest.raises(ConfigError, match=r'roles."a.b"\[0\]: .* is not a role'):
        load_settings(nest([listener, 'roles={"a.b": ["all"]}']))


def test_the_short_form_has_no_certificates() -> None:
    with pytest.raises(ConfigError, match=r"listen: grpcs://127.0.0.1:1 speaks TLS.*\[\[listener"):
        load_settings({"listen": ["grpcs://127.0.0.1:1"]})
    with pytest.raises(ConfigError, match=r"metrics: .*HOST:PORT"):
        load_settings({"metrics": "grpcs://127.0.0.1:1"})


def test_files_that_no_listener_can_use_are_named(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    good = {"certificate": authority.certificate, "private_key": authority.private_key}
    junk = tmp_path / "junk"
    junk.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    locked = tmp_path / "locked.key"
    locked.write_bytes(trustme.CA().private_key_pem.bytes().replace(b"KEY-----\n", b"KEY-----\nA"))
    for changed, complaint in (
        ({"certificate": "/nowhere"}, "tls.certificate: /nowhere: cannot be read: No such file"),
        ({"certificate": str(junk)}, f"tls.certificate: {junk}: holds no PEM certificate"),
        ({"private_key": other.private_key}, "is not the key of the certificate in"),
        ({"private_key": str(locked)}, f"tls.private_key: {locked}: holds no PEM private key"),
        ({"client_ca": str(junk)}, f"tls.client_ca: {junk}: holds no PEM certificate"),
    ):
        table = json.dumps({"address": "127.0.0.1:1", "tls": good | changed})
        with pytest.raises(ConfigError) as caught:
            load_settings(nest([f"listener=[{table}]"]))
        assert complaint in str(caught.value)


def test_what_is_printed_reads_back_to_the_same(authority: Authority, tmp_path: Path) -> None:
    text = f"""
listen = ["unix:/short"]
[[listener]]
address = "unix:/a"
group = "{os.getgid()}"
[[listener]]
address = "0.0.0.0:1"
tls = {{ certificate = "{authority.certificate}", private_key = "{authority.private_key}",
client_ca = "{authority.client_ca}" }}
[roles]
"spiffe://example/\\u00e4" = ["observe"]
[limits]
max_streams = 7
"""
    settings = load(tmp_path, text.replace(",\nclient", ", client"))
    printed = as_toml(settings)
    assert tomllib.loads(printed)["limits"]["max_streams"] == 7
    again = load(tmp_path, printed)
    assert again.model_dump() == settings.model_dump()
    assert again.listeners == settings.listeners
    assert as_toml(again) == printed


def test_lines_of_tables_in_lists() -> None:
    text = "[[a]]\nx = 1\n[a.b]\ny = 2\n[[a]]\n[a.b]\ny = 3\n[c]\nd = [{ x = 1 },\n { x = 2 }]\n"
    places = {("a", 0, "x"): 2, ("a", 0, "b", "y"): 4, ("a", 1, "b", "y"): 7, ("a", 1, "x"): 5}
    places[("c", "d", 1, "x")] = 9
    assert {names: line_of(names, text) for names in places} == places


def test_relative_certificates_lie_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc" / "tls").mkdir(parents=True)
    authority = Authority(tmp_path / "etc" / "tls")
    names = {
        "certificate": "tls/server.crt",
        "private_key": "./tls/server.key",
        "client_ca": authority.client_ca,
    }
    lines = "".join(f"{key} = {json.dumps(name)}\n" for key, name in names.items())
    text = f'[[listener]]\naddress = "127.0.0.1:0"\n[listener.tls]\n{lines}'
    (listener,) = load(tmp_path / "etc", text).listeners
    assert listener.tls
    assert listener.tls.certificate == authority.certificate
    assert Path(listener.tls.private_key) == Path(authority.private_key)
    assert listener.tls.client_ca == authority.client_ca
    # Wherever the daemon is started, and however the file is named.
    monkeypatch.chdir(tmp_path)
    (found,) = load_settings({}, Path("etc/skbpool.toml")).listeners
    assert found.tls == listener.tls
    # A flag is no file: its paths begin where the daemon is started.
    table = json.dumps({**names, "client_ca": None})
    flag = nest([f'listener=[{{"address": "127.0.0.1:0", "tls": {table}}}]'])
    with pytest.raises(ConfigError, match=r"tls/server.crt: cannot be read"):
        load_settings(flag)
    monkeypatch.chdir(tmp_path / "etc")
    assert load_settings(flag).listeners[0].asks_certificates is False
