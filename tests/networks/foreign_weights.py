"""Networks of MONAI and diffusers with known weights: what foreign_networks.json holds, made by their own code.

`python tests/networks/foreign_weights.py` writes that file anew where monai (1.4 or newer), monai-generative and
diffusers are installed. The tests need none of them: names and shapes are in it, the weights follow from the names.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("foreign_networks.json")
CHANNELS, HEAD_CHANNELS, GROUPS, SIZE = (8, 16), 8, 4, 8


def weights(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Weights of the given names and shapes, drawn from the name; their size keeps activations near one."""
    drawn = {}
    for name, shape in shapes.items():
        values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
        values = 1 + 0.1 * values if len(shape) == 1 else values / np.sqrt(np.prod(shape[1:]))
        drawn[name] = torch.tensor(values, dtype=torch.float32)
    return drawn


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """x (2, 1, 8, 8), faint, so that the epsilon of the normalisations is seen; t (2,); classes (2,), healthy first."""
    x = np.random.RandomState(0).standard_normal((2, 1, SIZE, SIZE)) * 0.01
    return torch.tensor(x, dtype=torch.float32), torch.tensor([3, 500]), torch.tensor([0, 1])


def _networks() -> dict:
    from diffusers import UNet2DModel
    from generative.networks.nets.diffusion_model_unet import DiffusionModelUNet as GenerativeModelsUNet
    from monai.networks.nets import DiffusionModelUNet

    monai = {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "channels": CHANNELS, "num_res_blocks": 1}
    monai |= {"attention_levels": (False, True), "norm_num_groups": GROUPS, "num_head_channels": (1, HEAD_CHANNELS)}
    older = {"num_channels" if key == "channels" else key: value for key, value in monai.items()}
    diffusers = {"in_channels": 1, "out_channels": 1, "block_out_channels": CHANNELS, "layers_per_block": 1}
    diffusers |= {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "attention_head_dim": HEAD_CHANNELS}
    diffusers |= {"up_block_types": ("AttnUpBlock2D", "UpBlock2D"), "norm_num_groups": GROUPS, "norm_eps": 1e-6}
    return {
        "monai": DiffusionModelUNet(**monai, num_class_embeds=2),
        "monai-without-classes": DiffusionModelUNet(**monai),
        "monai-combined": DiffusionModelUNet(**monai, use_combined_linear=True),
        "monai-without-projection": DiffusionModelUNet(**monai, include_fc=False),
        "monai-generative": GenerativeModelsUNet(**older, num_class_embeds=2),
        "diffusers": UNet2DModel(**diffusers, num_class_embeds=2),
    }


def _measured(network: torch.nn.Module) -> dict:
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    network.load_state_dict(weights(shapes))
    network.eval()
    x, t, y = inputs()
    with torch.no_grad():
        if hasattr(network, "config"):
            output = network(x, t, class_labels=y).sample
        else:
            output = network(x, t, class_labels=y if network.num_class_embeds else None)
    config = {key: value for key, value in getattr(network, "config", {}).items() if key != "_use_default_values"}
    if config:
        config["_class_name"] = type(network).__name__
    return {"shapes": shapes, "config": config, "output": output.flatten().tolist()}


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: _measured(network) for name, network in _networks().items()}) + "\n")
