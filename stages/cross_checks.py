"""What the keys of a benchmark's parameters say against one another, and against the modules that they name.

As in stages/checks.py, each problem is `(path, sentence)`.
"""

from collections.abc import Iterator

from stages import imports, methods
from stages.checks import Problem, schema_problems
from stages.errors import InputError


def cross_problems(parameters: dict, name: str) -> Iterator[Problem]:
    """What is wrong with the parameters of benchmark `name`, which fit the schema, as a whole."""
    problems = list(_module_problems(parameters))
    yield from problems
    if problems:  # what follows asks these modules
        return
    reader = parameters["data"]["reader"]
    if reader == "brats":
        yield from _brats_problems(parameters)
    if "phantom" in parameters:
        yield from _phantom_problems(parameters, name)
    used = methods.networks_in_use(parameters)
    for network in used:
        yield from _own_network_problems(parameters, network)
        if network in ("ddpm", "classifier"):
            yield from _network_problems(parameters, network)
    yield from _halving_problems(parameters, used)
    yield from _diffusion_problems(parameters, used)
    for method in parameters["methods"]:
        yield from _method_problems(parameters, method)
    yield from _trade_off_problems(parameters)
    yield from _figure_problems(parameters)


def _module_problems(parameters: dict) -> Iterator[Problem]:
    """Readers, detectors and networks that are named but not there, or do not say what they need."""
    data = parameters["data"]
    if data["reader"] not in data:
        yield ("data", data["reader"]), "is missing: it holds the recipe of data.reader"
    asked = {("data", "reader"): lambda: _ask_reader(f"stages.data.{data['reader']}")}
    for name, method in parameters["methods"].items():
        if "detector" in method:
            asked["methods", name, "detector"] = lambda method=method: _ask_detector(method)
    for path, ask in asked.items():
        try:
            ask()
        except InputError as error:
            yield path, f"names what cannot be used: {error}"


def _ask_reader(module: str) -> None:
    imports.constant(module, "RAW_DATA")
    imports.names(module, "RAW_INPUTS")


def _ask_detector(method: dict) -> None:
    methods.grid(method)
    for network in imports.names(f"stages.detection.{method['detector']}", "NETWORKS"):
        if not imports.defines(f"stages.training.{network}", "objective"):
            raise InputError(
                f"it needs the network {network}, but there is no stages/training/{network}.py with an `objective`"
            )
        methods.network_sections([network])


def _brats_problems(parameters: dict) -> Iterator[Problem]:
    data = parameters["data"]
    recipe = data["brats"]
    if recipe["pad"] % data["size"]:
        yield (
            ("data", "brats", "pad"),
            f"must be a multiple of data.size, but {recipe['pad']} is none of {data['size']}",
        )
    if recipe["slices"][0] > recipe["slices"][1]:
        yield ("data", "brats", "slices"), f"must not end before they begin: {recipe['slices']}"
    if recipe["percentiles"][0] >= recipe["percentiles"][1]:
        yield ("data", "brats", "percentiles"), f"must ascend, not {recipe['percentiles']}"


def _phantom_problems(parameters: dict, name: str) -> Iterator[Problem]:
    phantom, data, folder = parameters["phantom"], parameters["data"], f"data/{name}"
    if data["folder"] != folder:
        yield ("data", "folder"), f"must be {folder} in a benchmark with a phantom, not {data['folder']}"
    reader = {"brain": "brats", "chest": "chexpert"}[phantom["anatomy"]]
    if data["reader"] != reader:
        yield (
            ("data", "reader"),
            f"must be {reader} where phantom.anatomy is {phantom['anatomy']}, not {data['reader']}",
        )
        return
    asked = sum(map(methods.total, data["split"].values()))
    key = {"brain": "cases", "chest": "patients"}[phantom["anatomy"]]
    if phantom[key] < asked:
        yield ("phantom", key), f"must be enough for data.split, {asked}, not {phantom[key]}"
    if phantom["anatomy"] == "chest":
        if phantom["size"] < data["size"]:
            yield ("phantom", "size"), f"must be at least data.size = {data['size']}, not {phantom['size']}"
        return
    recipe = data["brats"]
    if max(phantom["shape"][:2]) > recipe["pad"]:
        yield (
            ("phantom", "shape"),
            f"must fit into data.brats.pad = {recipe['pad']} along x and y, not {phantom['shape']}",
        )
    if recipe["slices"][1] >= phantom["shape"][2]:
        yield (
            ("data", "brats", "slices"),
            f"must end before phantom.shape's z = {phantom['shape'][2]}, not {recipe['slices']}",
        )


def _own_network_problems(parameters: dict, name: str) -> Iterator[Problem]:
    """Whether a network has its section, also one that the schema does not know."""
    section = parameters.get(name)
    if not isinstance(section, dict) or not isinstance(section.get("training"), dict):
        yield (name, "training"), "is missing: a network's section says how it is trained"
        return
    if name in ("ddpm", "classifier"):
        return  # the schema has seen them
    for path, sentence in schema_problems(section["training"], "training"):
        yield (name, "training", *path), sentence
    if "iterations" not in section["training"] and "epochs" not in section["training"]:
        yield (name, "training", "epochs"), "is missing (or iterations)"


def _network_problems(parameters: dict, name: str) -> Iterator[Problem]:
    network, size = parameters[name]["network"], parameters["data"]["size"]
    levels = len(network["multipliers"])
    widths = [network["channels"] * multiplier for multiplier in network["multipliers"]]
    if size % 2 ** (levels - 1):
        problem = f"must have fewer levels: data.size = {size} cannot be halved {levels - 1} times"
        yield (name, "network", "multipliers"), problem
        return
    for width in dict.fromkeys([network["channels"], *widths]):
        if width % network["groups"]:
            yield (name, "network", "groups"), f"must divide every width of the network, but {width} is one"
    resolutions = [size // 2**level for level in range(levels)]
    for resolution in network["attention"]:
        if resolution not in resolutions:
            problem = f"may only name resolutions of the network, {resolutions}, not {resolution}"
            yield (name, "network", "attention"), problem
    key = "heads" if "heads" in network else "head_channels"
    attended = [width for width, pixels in zip(widths, resolutions, strict=True) if pixels in network["attention"]]
    for width in dict.fromkeys([*attended, widths[-1]]):  # the middle block attends whatever `attention` says
        if width % network[key]:
            yield (name, "network", key), f"must divide every width with attention, but {width} is one"


def _halving_problems(parameters: dict, used: list[str]) -> Iterator[Problem]:
    """The VAE's and the GAN's networks halve the image a fixed number of times."""
    size = parameters["data"]["size"]
    halvings = {
        ("vae", "network", "widths"): len(parameters["vae"]["network"]["widths"]),
        ("fixed_point_gan", "discriminator", "layers"): parameters["fixed_point_gan"]["discriminator"]["layers"],
    }
    for path, count in halvings.items():
        if path[0] in used and (size % 2**count or size < 2**count):
            yield path, f"must be fewer: data.size = {size} cannot be halved {count} times"
    if "fixed_point_gan" in used and (size % 4 or size < 8):
        yield ("data", "size"), f"must be a multiple of 4 from 8 on for fixed_point_gan, not {size}"


def _diffusion_problems(parameters: dict, used: list[str]) -> Iterator[Problem]:
    diffusion, detection = parameters["diffusion"], parameters["detection"]
    for key in ("beta", "intensity"):
        if diffusion[key][0] >= diffusion[key][1]:
            yield ("diffusion", key), f"must ascend, not {diffusion[key]}"
    for network in [name for name in ("ddpm", "classifier") if name in used]:
        level = parameters[network]["training"]["max_level"]
        if level > diffusion["timesteps"]:
            problem = f"must be at most diffusion.timesteps = {diffusion['timesteps']}, not {level}"
            yield (network, "training", "max_level"), problem
    for key, only in {"stride": 1, "solver": "ddim"}.items():
        if detection["convention"] == "released-code" and detection[key] != only:
            yield ("detection", key), f"must be {only} under convention released-code, not {detection[key]}"


def _method_problems(parameters: dict, name: str) -> Iterator[Problem]:
    method, path = parameters["methods"][name], ("methods", name)
    yield from _grid_problems(parameters, path, method)
    if method["setting"] == "validation":
        if not methods.total(parameters["data"]["split"]["validation"]):
            yield (*path, "setting"), "cannot be chosen on validation: data.split.validation is 0"
    elif not any(_holds(block, method["setting"]) for block in method["grid"]):
        yield (*path, "setting"), f"must be one setting of the grid, not {method['setting']}"


def _holds(block: dict, setting: dict) -> bool:
    return block.keys() == setting.keys() and all(setting[key] in block[key] for key in block)


def _grid_problems(parameters: dict, path: tuple, method: dict) -> Iterator[Problem]:
    """What a detector's GRID asks of the grid, and encoding and the diffusion model of its classes and levels."""
    detector, options = method.get("detector"), method.get("options", {})
    yield from _class_problems(parameters, path, method)
    if detector == "intensity" and options["channel"] not in parameters["data"]["channels"]:
        known = ", ".join(parameters["data"]["channels"])
        yield (*path, "options", "channel"), f"must be one of data.channels, {known}, not {options['channel']}"
    asked = methods.grid(method)
    for index, block in enumerate(method["grid"]):
        where = (*path, "grid", index)
        if asked is not None and set(block) != set(asked):
            wanted = " and ".join(sorted(asked)) or "nothing"
            yield where, f"must name {wanted} for {detector}, not {', '.join(block) or 'nothing'}"
            continue
        if "encode_class" in options and "L" not in block:
            yield where, "must name L, since options.encode_class asks for images encoded to it"
            continue
        problems = list(_value_problems(where, block, asked or dict.fromkeys({"L", "s", "w"} & set(block), ())))
        yield from problems
        if not problems and ("encode_class" in options or detector in ("ddim", "ddpm", "classifier_free")):
            yield from _level_problems(parameters, (*where, "L"), block, parameters["detection"]["stride"])
            released = parameters["detection"]["convention"] == "released-code"
            only = imports.constant("stages.detection.ddpm", "RELEASED_LEVEL")
            if detector == "ddpm" and released and block["L"] != [only]:
                yield (*where, "L"), f"must be [{only}] under convention released-code, not {block['L']}"


def _value_problems(where: tuple, block: dict, asked: dict) -> Iterator[Problem]:
    """Values that are no words where words are asked, or no numbers where there are none."""
    for key, words in asked.items():
        shown = ", ".join(map(str, block[key]))
        if words and not set(block[key]) <= set(words):
            yield (*where, key), f"may hold {', '.join(words)}, not {shown}"
        elif not words and any(isinstance(value, str) for value in block[key]):
            yield (*where, key), f"must hold numbers, not {shown}"


def _class_problems(parameters: dict, path: tuple, method: dict) -> Iterator[Problem]:
    options = method.get("options", {})
    told = {key: options[key] for key in ("encode_class", "decode_class") if key in options}
    for key, value in told.items():
        for _, sentence in schema_problems(value, "class"):
            yield (*path, "options", key), sentence
    without = [(*path, "options", key) for key, value in told.items() if value == "none"]
    if method.get("detector") == "classifier_free":
        without.append((*path, "detector"))
    if parameters["ddpm"]["training"]["label_dropout"] == 0:
        for key in without:
            problem = "cannot work without a class where ddpm.training.label_dropout is 0: every training image has one"
            yield key, problem


def _trade_off_problems(parameters: dict) -> Iterator[Problem]:
    if "trade_off" not in parameters:
        return
    trade_off, path = parameters["trade_off"], ("trade_off",)
    known = [name for name, method in parameters["methods"].items() if method.get("detector") == "ddim"]
    if trade_off["method"] not in known:
        problem = f"must be one of the methods of detector ddim, {', '.join(known) or 'of which there is none'}"
        yield (*path, "method"), f"{problem}, not {trade_off['method']}; `trade_off: null` leaves it out"
        return
    if parameters["detection"]["convention"] == "released-code":
        yield path, "must be null under convention released-code, which knows no strides"
    if methods.trade_off_split(parameters) is None:
        yield path, "needs both classes in data.split.validation or in data.split.test; `trade_off: null` leaves it out"
    yield from _sampled_problems(parameters, (*path, "setting"), trade_off["setting"], stride=1)
    level = trade_off["setting"]["L"]
    for solver, strides in trade_off["solvers"].items():
        for stride in strides:
            if level % stride:
                yield (*path, "solvers", solver), f"must hold divisors of trade_off.setting.L = {level}, not {stride}"


def _figure_problems(parameters: dict) -> Iterator[Problem]:
    name, known = parameters["figures"]["method"], parameters["methods"]
    if name not in known:
        yield ("figures", "method"), f"must be one of the methods {', '.join(known)}, not {name}"
    elif known[name].get("detector") == "ddim":
        stride = parameters["detection"]["stride"]
        yield from _sampled_problems(parameters, ("figures", "scheme"), parameters["figures"]["scheme"], stride)


def _sampled_problems(parameters: dict, path: tuple, setting: dict, stride: int) -> Iterator[Problem]:
    """Problems of a noise level and guidance scale that stand outside a grid."""
    yield from _level_problems(parameters, (*path, "L"), {"L": [setting["L"]], "s": [setting["s"]]}, stride)


def _level_problems(parameters: dict, path: tuple, block: dict, stride: int) -> Iterator[Problem]:
    limits = {"ddpm.training.max_level": parameters["ddpm"]["training"]["max_level"]}
    if any(scale > 0 for scale in block.get("s", [])):
        limits["classifier.training.max_level"] = parameters["classifier"]["training"]["max_level"]
    least = 2 if parameters["detection"]["convention"] == "released-code" else 1
    for level in block["L"]:
        if not isinstance(level, int) or level < least:
            yield path, f"must hold whole numbers from {least} on, not {level}"
        elif level % stride:
            yield path, f"must hold multiples of detection.stride = {stride}, not {level}"
        for key, limit in limits.items():
            if level > limit:
                yield path, f"must stay within {key} = {limit}, not {level}"
