"""Keys that change no result: how often a run logs and saves, on how many cards, how many slices at a time, compiled,
and under which terms data are used.

They are handed to the stages, but nothing is made again when one of them changes: neither Snakemake nor a run that goes
on from its state compares them.
"""

COMPUTING = ("compile",)  # the same operations, but for rounding
# A batch that several cards share makes the same step, but for rounding.
TRAINING = ("gpus", "log_every", "sheet_every", "save_minutes")
DATA = ("published_slices", "licence")  # printed beside the counts of a split; said in cards
CARD = ("licence",)  # the same, as training is handed it
# What a detector makes of a slice does not depend on its batch, but for rounding. Its seconds and memory do a little:
# they are those of the batch with which it ran.
DETECTION = ("batch", "shards", "runtime_minutes")


def without_inert(section: dict) -> dict:
    """A rule's section of the parameters without the keys that change nothing in what the rule makes.

    Where seconds are measured (`trade_off`), the batch counts, and how its networks are compiled.

    >>> without_inert({"seed": 0, "vae": {"training": {"batch": 4, "save_minutes": 5}}, "detection": {"batch": 8}})
    {'seed': 0, 'vae': {'training': {'batch': 4}}, 'detection': {}}
    """
    result = {}
    for key, value in section.items():
        if key in CARD or (key in COMPUTING and "trade_off" not in section):
            continue
        if key == "data" and isinstance(value, dict):
            value = {name: inner for name, inner in value.items() if name not in DATA}
        elif key == "detection" and isinstance(value, dict) and "trade_off" not in section:
            value = {name: inner for name, inner in value.items() if name not in DETECTION}
        elif isinstance(value, dict) and isinstance(value.get("training"), dict):
            training = {name: inner for name, inner in value["training"].items() if name not in TRAINING}
            value = value | {"training": training}
        result[key] = value
    return result
