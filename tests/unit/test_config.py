"""Settings come from four places, and nothing that does not fit gets through."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmesh.catalog.config import NOT_SETTINGS, PREFIX, SETTINGS, Settings
from fairmesh.catalog.errors import ConfigError


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(
    options: dict[str, object] | None = None, environment: dict[str, str] | None = None, file: Path | None = None
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Settings.read(options, environment=environment or {}, file=file)
    assert caught.value.remedy
    return caught.value


def test_defaults(tmp_path: Path) -> None:
    settings = Settings.read(environment={})
    assert (settings.data, settings.host, settings.port) == (tmp_path / "data", "127.0.0.1", 8000)
    assert settings.iri_base == "http://localhost/id/"
    assert (settings.opa_url, settings.governance, settings.policies) == (None, None, None)
    assert (settings.max_bytes, settings.max_depth, settings.max_quads) == (5_000_000, 256, 50_000)
    assert 1 <= settings.workers <= 4


def test_the_list_and_the_class_name_the_same_settings() -> None:
    fields = [field.name for field in dataclasses.fields(Settings) if field.name != "sources"]
    assert fields == [setting.name for setting in SETTINGS]
    assert all(setting.doc.endswith(".") and len(setting.doc) < 120 for setting in SETTINGS)


def test_every_default_is_a_value_that_could_be_given(tmp_path: Path) -> None:
    for setting in SETTINGS:
        if setting.default is not None:
            assert setting.read(setting.default, tmp_path) in (setting.default, tmp_path / str(setting.default))


def test_later_places_win(tmp_path: Path) -> None:
    (tmp_path / "fairmesh.toml").write_text("port = 1\nmax_depth = 11\nworkers = 2\n")
    settings = Settings.read(
        {"port": 3, "host": None}, environment={"FAIRMESH_PORT": "2", "FAIRMESH_MAX_DEPTH": "12", "HOME": "/"}
    )
    assert (settings.port, settings.max_depth, settings.workers, settings.host) == (3, 12, 2, "127.0.0.1")
    sources = {name: source for name, _, source, _ in settings.describe()}
    assert (sources["port"], sources["max_depth"], sources["host"]) == ("option", "FAIRMESH_MAX_DEPTH", "default")
    assert sources["workers"].endswith("fairmesh.toml")


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRMESH_PORT", "81")
    assert Settings.read().port == 81
    assert Settings.read(environment={}).port == 8000


def test_describe_lists_everything_in_order() -> None:
    rows = Settings.read(environment={}).describe()
    assert [(name, doc) for name, _, _, doc in rows] == [(setting.name, setting.doc) for setting in SETTINGS]
    assert ("port", 8000, "default") in [row[:3] for row in rows]


def test_relative_folders_start_from_the_file_or_the_working_directory(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "mesh.toml"
    file.parent.mkdir()
    file.write_text('data = "store"\n')
    settings = Settings.read({"policies": Path("p")}, environment={"FAIRMESH_GOVERNANCE": "g"}, file=file)
    assert settings.data == tmp_path / "etc" / "store"
    assert (settings.governance, settings.policies) == (tmp_path / "g", tmp_path / "p")
    assert Settings.read({"data": "/abs"}, environment={}).data == Path("/abs")


def test_unknown_names_are_refused_with_a_hint(tmp_path: Path) -> None:
    assert "prot" in refused({"prot": 1}).message
    variable = refused(environment={"FAIRMESH_PROT": "1"})
    assert "FAIRMESH_PROT" in variable.message
    assert "FAIRMESH_PORT" in variable.remedy
    (tmp_path / "fairmesh.toml").write_text("[server]\nport = 1\n")
    assert "server" in refused().message


def test_unknown_options_are_refused_even_when_not_given() -> None:
    assert "colour" in refused({"colour": None}).message


@pytest.mark.parametrize("variable", NOT_SETTINGS)
def test_variables_read_elsewhere_are_left_alone(variable: str) -> None:
    assert Settings.read(environment={variable: "x"}) == Settings.read(environment={})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"), ("port", "-1"), ("port", "8_000"), ("port", " 80"), ("port", ""), ("port", "٣"),
        ("port", True), ("port", 80.0), ("port", "1" * 5000), ("workers", 0), ("max_bytes", 0), ("max_depth", 1001),
        ("host", ""), ("host", "http://x"), ("host", 1), ("data", ""), ("data", "a\0b"), ("data", 3), ("data",
        "~nobody-here/x"),
        ("log_level", "loud"), ("log_level", 3),
        ("opa_url", "localhost:8181"), ("opa_url", "ftp://x"), ("opa_url", "http://"), ("opa_url", "http://x:99999"),
        ("opa_url", "http://x/?a=1"), ("opa_url", "http://x:y"), ("opa_url", "http://[x"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused(name: str, value: object) -> None:
    error = refused({name: value})
    assert name in error.message
    assert "option" in error.message


def test_a_password_is_not_repeated() -> None:
    error = refused(environment={"FAIRMESH_OPA_URL": "http://user:geheim@opa:8181"})
    assert "FAIRMESH_OPA_URL" in error.message
    assert "geheim" not in str(error)


def test_empty_means_absent_where_absent_is_possible() -> None:
    settings = Settings.read(environment={"FAIRMESH_OPA_URL": "", "FAIRMESH_POLICIES": ""})
    assert (settings.opa_url, settings.policies) == (None, None)


@pytest.mark.parametrize(
    "iri",
    [
        "http://localhost/id/", "https://mesh.example.org/", "https://mesh.example.org:8443/a/b/",
        "urn:example:mesh/",
        "https://example.org/m%C3%A9/", "https://[::1]/id/", "https://exämple.org/é/",
    ],
)  # fmt: skip
def test_iri_bases(iri: str) -> None:
    assert Settings.read({"iri_base": iri}, environment={}).iri_base == iri


@pytest.mark.parametrize(
    "iri",
    [
        "", "id/", "/id/", "//host/id/", "http://host", "http://host/id", "http:///id/", "http://h/a?b/",
        "http://h/a#/",
        "http://h/a//", "http://h//a/", "http://h/../a/", "http://h/./a/", "http://h/a b/", "http://h/<a>/",
        "http://h/%zz/",
        "HTTP://h/", "ftp://h/", "file:///x/", "urn:example:mesh", "urn:x/", "http://u@h/", "http://h:99999/",
        "http://h\\x/",
        "http://h/a\n/", "http://h/a/\n",
    ],
)  # fmt: skip
def test_what_is_no_iri_base(iri: str) -> None:
    assert "iri_base" in refused({"iri_base": iri}).message


@given(st.integers(0, 65535))
def test_a_number_reads_the_same_from_everywhere(port: int) -> None:
    from_option = Settings.read({"port": port}, environment={})
    from_environment = Settings.read(environment={"FAIRMESH_PORT": str(port)})
    assert from_option == from_environment
    assert from_option.port == port


@given(st.sampled_from([setting.name for setting in SETTINGS]), st.text())
def test_any_text_is_taken_or_refused_by_name(name: str, text: str) -> None:
    try:
        settings = Settings.read(environment={PREFIX + name.upper(): text})
    except ConfigError as error:
        said = error.message
    else:
        said = settings.sources[name].lower()
    assert name in said


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    assert "no settings file" in refused(file=tmp_path / "absent.toml").message
    assert "cannot be read" in refused(file=tmp_path).message
    file = tmp_path / "bad.toml"
    file.write_bytes(b"host = '\xff'")
    assert "UTF-8" in refused(file=file).message
    file.write_text("port = 1\nhost =\n")
    error = refused(file=file)
    assert (error.line, error.column) == (2, 7)
    file.write_text("port = 'x'\n")
    assert str(file) in refused(file=file).message


def test_settings_do_not_change() -> None:
    settings = Settings.read(environment={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]
