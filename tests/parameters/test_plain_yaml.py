"""params.yaml as an enemy would write it: one sentence with the line, before anything is built."""

import os
from pathlib import Path

import pytest

from stages.errors import InputError
from stages.parameters import plain_yaml, reading

ROOT = Path(__file__).parents[2]
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: 1\nseed: 2020-13-45", "line 2: not YAML: a timestamp"),
        (b"seed: !!int x", "line 1: not YAML: 'x' is no int"),
        (b"seed: !!bool x", "line 1: not YAML: 'x' is no bool"),
        (b"\nseed: " + b"9" * 5000, "line 2: not YAML: a value of 5,000 characters"),
        (b"seed: " + b"[" * 5000, "more than 32 levels"),
        (b"a: &a [*a]", r"\*a stands inside of what it repeats"),
        (BOMB.encode(), "more than 50,000 values"),
        (b"a: !!python/object/apply:os.system [ls]", "os.system is none of the kinds"),
        (b"a: 1\nb: \0", r"line 2: .*U\+0000"),
        (b"a: 1\nb: \xff", "line 2: not UTF-8"),
        (b"? [a]\n: b", "line 1: a key of the file is no word"),
        (b"#" * (2**20 + 1), "1,048,577 bytes"),
    ],
)
def test_hostile_yaml_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        plain_yaml.read(path)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        plain_yaml.read(tmp_path / "params.yaml")


def test_aliases_that_stand_for_little_are_read(tmp_path):
    (tmp_path / "params.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: *a}")
    assert plain_yaml.read(tmp_path / "params.yaml") == {"a": {"x": 1}, "b": {"x": 1, "y": {"x": 1}}}


def test_values_from_the_command_line():
    with pytest.raises(InputError, match="has the key 1, which is no text"):
        reading.load({1: 2})
    config = reading.read(ROOT / "params.yaml")
    config["paper"]["seed"] = 10**400
    with pytest.raises(InputError, match=r"paper\.seed must be a whole number, not a number beyond 64 bits"):
        reading.load(config)
