"""What the numbers of a benchmark come to together, and no machine or number format could hold.

A single key's bounds are the schema's. As in between_keys.py, each problem is `(path, sentence)`.
"""

import math
from collections.abc import Iterator

from stages import methods
from stages.parameters.by_schema import Problem

RUNS = 10_000
"""Settings in all repeats, at most: each is several jobs, which Snakemake plans all at once."""
LEAST_ALPHA_BAR = 1e-76
"""sqrt(1 / alpha_bar), by which samplers multiply, is then still a float32."""


def limit_problems(parameters: dict) -> Iterator[Problem]:
    """Grids that multiply to too many runs, and noise levels at which nothing of the image is left.

    Grids are not listed for it: five keys of a thousand values each are 10^15 settings.
    """
    every, repeats = methods.of(parameters), parameters["repeats"]
    sizes = {name: sum(map(_size, method["grid"])) for name, method in every.items()}
    runs = repeats["folds"] * len(repeats["seeds"]) * sum(sizes.values())
    if runs > RUNS:
        largest = max(sizes, key=lambda name: sizes[name])
        yield (
            ("methods", largest, "grid"),
            f"has {sizes[largest]:,} settings, which with the other methods' in all repeats are {runs:,} runs: at most "
            f"{RUNS:,} can be planned, so shorten grids or repeats",
        )
    timesteps, (first, last) = parameters["noise_schedule"]["timesteps"], parameters["noise_schedule"]["beta"]
    betas = (first + (last - first) * step / (timesteps - 1) for step in range(timesteps))
    if sum(map(math.log1p, (-beta for beta in betas))) < math.log(LEAST_ALPHA_BAR):
        yield (
            ("noise_schedule", "timesteps"),
            f"must be fewer than {timesteps:,}, or beta smaller: the last level has less of the image left than "
            f"numbers can say (alpha_bar below {LEAST_ALPHA_BAR:g})",
        )


def _size(block: dict) -> int:
    """The number of settings of a grid's block."""
    return math.prod(map(len, block.values()))
