from __future__ import annotations

import pytest

from sentinel import config
from sentinel.config import AgentSettings, HubSettings, quantity
from sentinel.domain import Metric, Mode
from sentinel.errors import ConfigError


def refusal(text, kind=HubSettings):
    with pytest.raises(ConfigError) as error:
        config.parse(kind, text, "x.toml")
    return error.value


def test_an_empty_file_is_the_prudent_configuration():
    settings = config.parse(HubSettings, "", "x.toml")
    assert (settings.host, settings.mode, settings.database) == ("127.0.0.1", Mode.DRY_RUN, "")
    assert settings.engine.kind == "playbook"
    assert config.parse(AgentSettings, "", "x.toml").mode is Mode.DRY_RUN


def test_an_unknown_key_is_refused_with_the_nearest_name():
    error = refusal("prot = 7443")
    assert "x.toml" in error.what
    assert "prot" in error.what
    assert error.hint == "did you mean `port`?"


def test_an_unknown_key_in_a_table_is_refused_with_the_nearest_name():
    assert refusal("[engine]\nmodell = 'x'").hint == "did you mean `model`?"
    rule = "[[rules]]\nid='a'\nmetric='swap_used_permille'\nabove='9%'\n"
    assert refusal(rule + "fro = '1s'", AgentSettings).hint == "did you mean `for`?"


def test_an_unknown_key_like_no_other_gets_the_list():
    assert "heartbeat_s" in refusal("zzzzzz = 1").hint


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("port = 'x'", "$.port"),
        ("port = 70000", "$.port"),
        ("mode = 'yes'", "$.mode"),
        ("site = 'UPPER case'", "$.site"),
        ("[engine]\nkind = 'gpt'", "$.engine.kind"),
        ("heartbeat_s = true", "$.heartbeat_s"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(text, field):
    assert field in refusal(text).what


def test_what_is_not_toml_is_refused_with_its_line():
    assert "line 2" in refusal("site = 'a'\nport = = 3").what


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        config.load(HubSettings, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a directory"):
        config.load(HubSettings, tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"site = '\xe9'")
    with pytest.raises(ConfigError, match="not UTF-8 text: byte 8"):
        config.load(HubSettings, tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("text", "what", "value"),
    [
        ("90%", "permille", 900),
        ("97.5%", "permille", 975),
        ("256MiB", "bytes", 256 << 20),
        ("1.5 GiB", "bytes", 3 << 29),
        ("500ms", "duration", 500),
        ("2m", "duration", 120_000),
        ("1.5", "milli", 1500),
        (4, "milli", 4000),
        (12, "count", 12),
    ],
)
def test_a_quantity_is_written_as_people_say_it(text, what, value):
    assert quantity(text, what, "above") == value


@pytest.mark.parametrize(
    ("text", "what"),
    [("90", "permille"), ("1MB", "bytes"), ("-1s", "duration"), ("1.5", "count"), ("", "bytes")],
)
def test_a_quantity_without_its_unit_is_refused_with_an_example(text, what):
    with pytest.raises(ConfigError, match="above") as error:
        quantity(text, what, "above")
    assert error.value.hint.startswith("write for example")


def test_every_metric_ends_in_a_unit_that_can_be_written():
    assert {config.unit_of(metric) for metric in Metric} <= {"bytes", "permille", "milli", "count"}


def test_what_a_host_is_stands_in_groups_and_role_and_in_no_label():
    settings = config.parse(AgentSettings, 'groups = ["db", "eu-1"]\nrole = "primary"', "x.toml")
    assert (settings.groups, settings.role) == (("db", "eu-1"), "primary")
    for text in ('groups = ["two words"]', 'role = "Primary"', '[labels]\n"sentinel.role" = "x"'):
        assert "x.toml" in refusal(text, AgentSettings).what
