"""Contact sheets of what a network makes of a few slices, to look at while it trains."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from stages.writing import replacing


def write_sheet(path: Path, columns: list[Tensor]) -> None:
    """Write a PNG: a row a slice, and in each column all channels side by side.

    Args:
        path: the file.
        columns: each (B, C, H, W), shown from 0 (black) to 1 (white).
    """
    rows = [
        torch.cat([column[i, c] for column in columns for c in range(column.shape[1])], dim=1)
        for i in range(columns[0].shape[0])
    ]
    sheet = torch.cat(rows, dim=0).float().clamp(0, 1).mul(255).round().byte().cpu().numpy()
    with replacing(path) as partial:
        Image.fromarray(sheet).save(partial, format="png")
