"""Batches that do not fit into a card's memory, which is made up here."""

import numpy as np
import pytest
import torch
from torch import nn

from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Pieces
from stages.errors import InputError
from stages.networks.compiled import compile_forward

OPTIONS = {"encode_class": "none", "decode_class": "healthy"}


def test_pieces_are_halved_until_they_fit_and_stay_so(capsys):
    asked = []

    def work(piece: range) -> list[int]:
        asked.append(len(piece))
        if len(piece) > 3:
            raise torch.OutOfMemoryError
        return list(piece)

    pieces = Pieces(10)
    assert list(pieces.of(range(5, 15), work)) == [[5, 6], [7, 8], [9, 10], [11, 12], [13, 14]]
    assert asked == [10, 5, 2, 2, 2, 2, 2]
    assert list(pieces.of(range(15, 18), work)) == [[15, 16], [17]]
    assert capsys.readouterr().out.splitlines() == [
        "a batch of 10 slices does not fit into memory: 5 at a time",
        "a batch of 5 slices does not fit into memory: 2 at a time",
    ]


def test_a_card_too_small_for_one_slice_is_one_sentence():
    def work(piece: range) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(InputError, match="has not the memory for one slice: use a larger card"):
        list(Pieces(4).of(range(4), work))


def test_halves_get_kernels_of_their_own(traced):
    network = nn.Linear(3, 2).requires_grad_(False)
    compile_forward(network, "kernels", torch.device("cpu"))

    def work(piece: range) -> int:
        found = network(torch.ones(len(piece), 3))
        if len(piece) > 2:
            raise torch.OutOfMemoryError
        return len(found)

    assert list(Pieces(4).of(range(4), work)) == [2, 2]
    nodes = [node for graph in traced for node in graph.graph.nodes if node.op == "placeholder"]
    values = [node.meta["example_value"] for node in nodes]
    images = [value for value in values if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter)]
    assert [type(one.shape[0]) for one in images] == [int, int], "not of any size"
    assert [len(one) for one in images] == [4, 2]


def test_latents_of_pieces_are_those_of_the_batch(encoded, request):
    whole = np.load(encoded("whole") / "train/L20.npy")
    seen = request.getfixturevalue("small_card")
    parts = np.load(encoded("parts") / "train/L20.npy")
    assert (max(seen), seen[-1]) == (5, 2)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)


def test_maps_of_pieces_are_those_of_the_batch(parameters, encoded, detected, monkeypatch):
    encoded()
    run = (GuidedDdim, {"L": 20, "s": 3.0}, OPTIONS, ("denoiser", "classifier"))
    whole, original, seen = detected(*run, out="whole"), GuidedDdim.detect, []

    def small_card(self, batch):
        if len(batch.images) > 2:
            raise torch.OutOfMemoryError
        seen.extend(batch.slice_ids)
        return original(self, batch)

    monkeypatch.setattr(GuidedDdim, "detect", small_card)
    parts = detected(*run, out="parts")
    assert len(seen) == len(set(seen)) == 12
    for name, array in whole.items():
        np.testing.assert_allclose(parts[name], array, rtol=2e-3, atol=1e-4)
