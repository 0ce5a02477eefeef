"""How fast devices compute: the one place for it. Estimates, from which hours follow that are right to a factor of 2.

A GPU's rate is its vendor's peak times a share that a whole run of large convolutions may sustain: `SHARE`, assumed,
not measured. Small images (64 x 64 and less) leave a GPU waiting for its next kernel, and take longer than this says.
"""

from dataclasses import dataclass

from stages.costs.work import Work

SHARE = {"float32": 0.6, "mixed": 0.3}
"""Of the peak: most of it where the units that compute are the limit, less where memory is."""


@dataclass(frozen=True)
class Device:
    """A class of devices.

    Attributes:
        name: as it is printed.
        float32: sustained FLOP/s without TF32.
        mixed: sustained FLOP/s in mixed precision: bfloat16, or float16 where the card has no bfloat16 of its own.
        source: what the rates rest on.
    """

    name: str
    float32: float
    mixed: float
    source: str

    def seconds(self, part: Work) -> float:
        """What a part of a benchmark takes."""
        return part.flops / (self.float32 if part.precision == "32-true" else self.mixed)


def _gpu(name: str, float32: float, mixed: float, source: str) -> Device:
    """A GPU by its peaks, in TFLOP/s."""
    return Device(name, 1e12 * float32 * SHARE["float32"], 1e12 * mixed * SHARE["mixed"], source)


DEVICES = (
    # The default's networks on two threads of a Xeon (docs/performance.md): 83 to 105 GFLOP/s in training and detection
    # in float32, 75 to 118 in bfloat16; wide ones reach more.
    Device("2 CPU cores", 0.105e12, 0.105e12, "measured on a Xeon with the default's networks; wide ones run faster"),
    # 576 tensor cores of 64 multiplications and additions a cycle, at 1.77 GHz; mixed precision is float16 there.
    _gpu("RTX 6000 (Turing)", 16.3, 130.5, "peaks 16.3 and 130.5 TFLOP/s (float16), dense; the paper's card"),
    _gpu("A100", 19.5, 312, "peaks 19.5 and 312 TFLOP/s, dense"),
    _gpu("H100 SXM", 67, 989, "peaks 67 and 989 TFLOP/s, dense"),
)
