"""The DDPM ablation: noise of every slice by its name, and what the released code does otherwise."""

import numpy as np
import pytest
import torch

from stages.detection import guided_ddpm
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.guided_ddpm import GuidedDdpm


@pytest.fixture
def sampled(detected):
    """Runs the ablation."""

    def run(out="maps", level=20, scale=0.0, decode_class="healthy"):
        checkpoints = ("denoiser", "classifier") if scale else ("denoiser",)
        return detected(GuidedDdpm, {"L": level, "s": scale}, {"decode_class": decode_class}, checkpoints, out)

    return run


def test_noise_depends_on_the_slice_and_the_seed_alone(parameters):
    def noise(names, seed=3):
        model = DiffusionModel(Sampler.of(parameters | {"seed": seed}), torch.device("cpu"), torch.nn.Identity())
        draw = model.noise(names, torch.zeros(len(names), 2, 8, 8))
        return draw(), draw()

    first, second = noise(["a", "b", "c"])
    again, later = noise(["c", "a"])
    assert torch.equal(again, first[[2, 0]])
    assert torch.equal(later, second[[2, 0]])
    everything = torch.stack([*first, *second, *noise(["a"], seed=4)[0]])
    assert len({one.numpy().tobytes() for one in everything}) == 7
    assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.15


def test_a_killed_job_ends_in_the_same_maps(sampled, killed):
    whole = sampled("whole", scale=2.0)
    result, starts = killed(lambda: sampled(scale=2.0))
    assert starts == [0, 5, 5, 10]
    assert all(result[name].tobytes() == whole[name].tobytes() for name in ("maps", "images"))


def test_seed_guidance_class_and_level_each_matter(parameters, sampled):
    settings = [(20, 0, "healthy"), (20, 5, "healthy"), (10, 0, "healthy"), (20, 0, "diseased"), (20, 0, "none")]
    maps = [sampled(level=level, scale=scale, decode_class=name)["maps"].tobytes() for level, scale, name in settings]
    parameters["seed"] += 1
    maps.append(sampled()["maps"].tobytes())
    assert len(set(maps)) == 6


@pytest.fixture
def sampler(monkeypatch):
    """The arguments of every call of the sampler, which is replaced by one that returns zeros."""
    calls = []

    def sample(prediction, log_probability, x_level, level, scale, schedule, noise, stride, clip):
        calls.append({"x_level": x_level, "level": level, "schedule": schedule, "stride": stride, "clip": clip})
        return torch.zeros_like(x_level)

    monkeypatch.setattr(guided_ddpm.ancestral, "sample", sample)
    return calls


def test_the_image_is_noised_to_level_l_and_comes_back_in_its_own_range(parameters, tiny_slices, sampled, sampler):
    parameters["detection"]["batch"] = 12
    result = sampled(level=20)
    call = sampler[0]
    assert (call["level"], call["stride"], call["clip"]) == (20, 5, False)
    alpha_bar = call["schedule"].alpha_bar[20]
    images = torch.from_numpy(np.asarray(tiny_slices.images, np.float32))
    noise = (call["x_level"] - alpha_bar.sqrt() * (2 * images - 1)) / (1 - alpha_bar).sqrt()
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.var()) == pytest.approx(1, abs=0.05)
    # 0 between -1 and 1 is the grey value 1/2, and the map the summed difference to it
    assert (result["images"] == 0.5).all()
    np.testing.assert_allclose(result["maps"], (images - 0.5).abs().sum(dim=1), atol=2e-3)


def test_the_released_code_clips_and_knows_one_level(parameters, networks, sampled, sampler):
    parameters["detection"] |= {"convention": "released-code", "stride": 1}
    parameters["noise_schedule"]["timesteps"] = 500
    sampled(level=500)
    assert all((call["level"], call["stride"], call["clip"]) == (500, 1, True) for call in sampler)
    assert len(sampler) == 3


def test_guidance_under_the_released_codes_clip_stays_finite(parameters, sampled, monkeypatch):
    parameters["detection"] |= {"convention": "released-code", "stride": 1, "batch": 12}
    plain, guided = sampled(scale=0)["images"], sampled(scale=2)["images"]
    assert plain.min() >= 0
    assert plain.max() <= 1
    assert np.isfinite(guided).all()
    assert (plain != guided).any()
