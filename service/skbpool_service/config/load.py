"""Filling the model from flags, environment and a TOML file, with errors that name the place."""

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from skbpool_service.config.allowed import allowed, known
from skbpool_service.config.lines import line_of, line_of_long_number
from skbpool_service.config.listeners import TlsSettings
from skbpool_service.config.model import Settings
from skbpool_service.regular_file import FLAGS, is_regular

Location = Sequence[str | int]

WRITTEN_AS_JSON = ("listener", "roles")
"""Keys that flags and the environment give as a whole, as JSON."""


class ConfigError(ValueError):
    """A configuration that cannot be used; each line names a key and says what to do."""


_written: ContextVar[dict[str, Any]] = ContextVar("written")
"""What the file holds that is being loaded."""


class _Sourced(Settings):
    """Settings from all three sources. One class, since making one costs more than filling it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What was read and checked is what counts, whatever is in the file by now.
        file = InitSettingsSource(settings_cls, _written.get())
        return init_settings, env_settings, file


def load_settings(flags: Mapping[str, Any], file: Path | None = None) -> Settings:
    """Return the settings: `flags` (nested like the model) over the environment over `file`.

    Raises:
        ConfigError: An unknown key or a value that cannot be used, or a file that cannot be read.
    """
    text, written = _read(file) if file is not None else ("", {})
    if file is not None:
        _resolve(written, file)
    _check_tables(file, text, written)
    token = _written.set(written)
    try:
        return _Sourced(**flags)
    except RecursionError:
        raise ConfigError("a value in the environment is nested too deeply to be read") from None
    except ValidationError as error:
        lines = [_describe(dict(detail), flags, file, text) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    except SettingsError as error:  # a table given as text that is no JSON
        found = re.search(r'field "(\w+)"', str(error))
        variable = f"SKBPOOL_{found[1].upper()}" if found else "SKBPOOL_…"
        raise ConfigError(
            f"environment variable {variable}: is a table: set {variable}__KEY, or write JSON"
        ) from None
    finally:
        _written.reset(token)


def nest(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn `KEY=VALUE` texts, keys with dots, into tables nested like the model.

    Raises:
        ConfigError: A text without a key or without "=".
    """
    tables: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
            raise ConfigError(f"--set {pair}: write KEY=VALUE, as in limits.max_streams=8")
        *parents, name = key.split(".")
        table = tables
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise ConfigError(f"--set {pair}: {parent} is a value, not a table")
        table[name] = value
    return tables


def merge(over: Mapping[str, Any], under: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with what `over` says laid over it, table by table."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = merge(value, below) if both else value  # type: ignore[arg-type]
    return merged


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        # As bytes, since a lone carriage return ends no line in TOML.
        text = _bytes(file).decode()
        return text, tomllib.loads(text)
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text: {error.reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    except ValueError:
        line = line_of_long_number(text)
        raise ConfigError(f"{file}:{line}: a number has too many digits to be read") from None
    except RecursionError:
        raise ConfigError(
            f"{file}: is nested too deeply to be read; a setting is a value or a list in a table"
        ) from None


def _bytes(file: Path) -> bytes:
    with os.fdopen(os.open(file, FLAGS), "rb") as opened:
        if not is_regular(opened.fileno()):
            raise ConfigError(f"{file}: cannot be read: it is no regular file")
        return opened.read()


def _resolve(written: Mapping[str, Any], file: Path) -> None:
    """Have paths of certificates begin in the folder of the file that names them."""
    listeners = written.get("listener")
    for listener in listeners if isinstance(listeners, list) else ():
        tls = listener.get("tls") if isinstance(listener, Mapping) else None
        if not isinstance(tls, dict):
            continue
        for key in TlsSettings.model_fields:
            if isinstance(path := tls.get(key), str) and path:
                tls[key] = str(file.absolute().parent / path)


def _check_tables(file: Path | None, text: str, written: Mapping[str, Any]) -> None:
    """Refuse values in the place of tables, which hide when a key of the table is set over them."""
    for name, field in Settings.model_fields.items():
        if not hasattr(field.annotation, "model_fields"):
            continue
        found = []
        # Not set, or no JSON, which is told later.
        with contextlib.suppress(KeyError, ValueError, RecursionError):
            variable = f"SKBPOOL_{name.upper()}"
            found.append((f"environment variable {variable}", json.loads(os.environ[variable])))
        if name in written:
            found.append((f"{file}:{line_of([name], text)}", written[name]))
        for place, value in found:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place}: {name}: {_short(value)} is not {allowed([name])}")


def _describe(
    detail: Mapping[str, Any], flags: Mapping[str, Any], file: Path | None, text: str
) -> str:
    """Say in one line which key is wrong, where it was set, and what is allowed."""
    names: Location = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        reason = f"there is no such key; known are {', '.join(known(names)) or 'none'}"
    elif kind == "wrong_key":
        named = detail["ctx"]["key"].split(".")
        names = [int(name) if name.isdigit() else name for name in named]
        reason = str(detail["msg"])
    elif kind == "value_error":
        reason = str(detail["msg"]).removeprefix("Value error, ")
    elif kind == "missing":
        reason = f"is missing: it is {allowed(names)}"
    else:
        reason = f"{_short(detail['input'])} is not {allowed(names)}"
    return f"{_place(names, flags, file, text)}{_key(names)}: {reason}"


def _key(names: Location) -> str:
    """A key as TOML has it, what is no bare key in quotes, so that it stays in its line.

    Places in lists of tables stand in brackets, from 0 on.
    """
    key = ""
    for name in names:
        if isinstance(name, int):
            key += f"[{name}]"
        else:
            key += "." if key else ""
            key += name if re.fullmatch(r"[\w-]+", name) else json.dumps(name)
    return key


def _short(value: object) -> str:
    if isinstance(value, bool):  # as TOML has it
        return "true" if value else "false"
    try:
        shown = repr(value)
    except ValueError:  # more digits than Python shows
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _place(names: Location, flags: Mapping[str, Any], file: Path | None, text: str) -> str:
    """Where the value came from, with ": " behind; empty for a flag, whose name says it."""
    if _holds(flags, names):
        return ""
    variable = "SKBPOOL_" + "__".join(name for name in names if isinstance(name, str)).upper()
    if variable in os.environ:
        return f"environment variable {variable}: "
    whole = f"SKBPOOL_{str(names[0]).upper()}" if names else ""
    if whole in os.environ and names[0] in WRITTEN_AS_JSON:
        return f"environment variable {whole}: "
    if file is not None:
        line = line_of(names, text)
        return f"{file}:{line}: " if line else ""
    return ""


def _holds(table: Mapping[str, Any], names: Location) -> bool:
    found: Any = table
    # Lists of tables come from one place as a whole.
    for name in names[:1] if names[0] in WRITTEN_AS_JSON else names:
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    return True
