"""Networks from the merged parameters of a benchmark."""

from torch import nn

from stages.networks.unet import EncoderClassifier, UNet

NETWORKS = {"ddpm": UNet, "classifier": EncoderClassifier}


def network(name: str, parameters: dict) -> nn.Module:
    """The network `name` ("ddpm" or "classifier") with random weights.

    `parameters` needs `data.size`, `data.channels` and `<name>.network`, as params.yaml describes them.
    """
    data = parameters["data"]
    return NETWORKS[name](data["size"], len(data["channels"]), **parameters[name]["network"])
