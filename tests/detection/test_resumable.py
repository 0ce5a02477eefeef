"""Arrays of a killed job: gone on with where they are what was written, made again where not."""

import json

import numpy as np
import pytest

from stages.detection.resumable import ResumableArrays

ARRAYS = {"maps": ((6, 4, 4), np.float16), "images": ((3, 2, 4, 4), np.float16)}


def some(n, *shape):
    return np.random.default_rng(n).random((n, *shape))


@pytest.fixture
def state(tmp_path):
    """A job that was killed after four of six maps, one of three images."""
    arrays = ResumableArrays(tmp_path / "state", ARRAYS, {"seed": 0})
    arrays.write(maps=some(4, 4, 4), images=some(1, 2, 4, 4))
    return tmp_path / "state"


def reopened(state):
    return ResumableArrays(state, ARRAYS, {"seed": 0})


def test_it_goes_on_to_the_same_arrays(state, tmp_path):
    arrays = reopened(state)
    assert arrays.done == 4
    arrays.write(maps=some(2, 4, 4), images=some(2, 2, 4, 4))
    arrays = reopened(state)  # killed once more
    assert arrays.done == 6
    arrays.finish(tmp_path / "out")
    expected = np.concatenate([some(4, 4, 4), some(2, 4, 4)]).astype(np.float16)
    np.testing.assert_array_equal(np.load(tmp_path / "out/maps.npy"), expected)


def flipped(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def noted(**changes):
    def damage(state):
        path = state / "progress.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


DAMAGE = {
    "a bit": lambda state: flipped(state / "maps.npy", 130),
    "a bit of the other": lambda state: flipped(state / "images.npy", 130),
    "cut": lambda state: (state / "maps.npy").write_bytes((state / "maps.npy").read_bytes()[:-9]),
    "no array": lambda state: (state / "images.npy").unlink(),
    "more rows than there are": noted(filled={"maps": 7, "images": 1}),
    "fewer than none": noted(filled={"maps": -1, "images": 1}),
    "rows that were not written": noted(filled={"maps": 5, "images": 1}),
    "no count": noted(filled={"maps": "4", "images": 1}),
    "no digests": noted(sha256={}),
    "no note": lambda state: (state / "progress.json").write_text("torn"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_damaged_is_made_again_and_said(state, case, capsys):
    DAMAGE[case](state)
    assert reopened(state).done == 0
    assert "starting from the first slice, since" in capsys.readouterr().out


def test_rows_not_yet_written_do_not_count(state):
    flipped(state / "maps.npy", 128 + 5 * 32)
    assert reopened(state).done == 4
