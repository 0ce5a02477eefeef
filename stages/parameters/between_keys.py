"""What the keys of a benchmark's parameters say against one another, and against the modules that they name.

What a single key may hold is the schema's to say (by_schema.py), what a method needs its own module's
(stages/methods.py); what is said about data alone stands in data_keys.py, about networks in network_keys.py, about
single values of a method in method_keys.py, about what numbers come to together in limits.py. As there, each problem is
`(path, sentence)`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from stages import imports, methods, split_lists
from stages.errors import InputError
from stages.parameters.by_schema import KeyPath, Problem, value_at
from stages.parameters.data_keys import data_problems
from stages.parameters.limits import limit_problems
from stages.parameters.method_keys import number_problems, option_problems
from stages.parameters.network_keys import network_problems, section_problems


def problems_between(parameters: dict, makers: Collection[str]) -> Iterator[Problem]:
    """What is wrong with a benchmark's parameters, which fit the schema, as a whole.

    Args:
        parameters: merged.
        makers: the benchmarks whose phantom is this one's, itself first.
    """
    problems = [*_module_problems(parameters), *limit_problems(parameters)]
    yield from problems
    if problems:  # what follows asks these modules, and lists the grids
        return
    problems = list(data_problems(parameters, makers))
    yield from problems
    if problems or "methods" not in parameters:  # a benchmark may be only data
        return
    used = methods.networks_in_use(parameters)
    problems = [problem for network in used for problem in section_problems(parameters, network)]
    yield from problems
    if problems:  # what follows reads these sections
        return
    for network in used:
        yield from network_problems(parameters, network)
    yield from _diffusion_problems(parameters, used)
    for method in parameters["methods"]:
        yield from _method_problems(parameters, method)
    yield from _trade_off_problems(parameters)
    yield from _figure_problems(parameters)


# --- modules that are named ------------------------------------------------------------------------------------------


def _module_problems(parameters: dict) -> Iterator[Problem]:
    """Readers, detectors and networks that are named but not there, or do not say what they need."""
    data = parameters["data"]
    asked: dict[KeyPath, Callable[[], None]] = {("data", "reader"): partial(_ask_reader, data["reader"])}
    for name, method in methods.of(parameters).items():
        if "detector" in method:
            asked["methods", name, "detector"] = partial(_ask_detector, method)
    for path, ask in asked.items():
        try:
            ask()
        except InputError as error:
            yield path, f"names what cannot be used: {error}"


def _ask_reader(reader: str) -> None:
    imports.constant(f"stages.data.{reader}", "RAW_DATA")
    imports.names(f"stages.data.{reader}", "RAW_INPUTS")


def _ask_detector(method: dict) -> None:
    methods.grid(method)
    methods.options(method)
    for network in imports.names(methods.module(method), "NETWORKS"):
        if methods.trainer(network) is None:
            raise InputError(
                f"it needs the network {network}, but there is no stages/training/{network}.py with a function "
                f"{' or '.join(methods.TRAINERS)}"
            )
        methods.network_sections([network])


def _diffusion_problems(parameters: dict, used: list[str]) -> Iterator[Problem]:
    schedule, detection = parameters["noise_schedule"], parameters["detection"]
    for path in (("noise_schedule", "beta"), ("intensity",)):
        first, last = ends = value_at(parameters, path)
        if first >= last:
            yield path, f"must ascend, not {ends}"
    for network in used:
        level = parameters[network].get("training", {}).get("max_level", 0)
        if level > schedule["timesteps"]:
            problem = f"must be at most noise_schedule.timesteps = {schedule['timesteps']}, not {level}"
            yield (network, "training", "max_level"), problem
    for key, only in {"stride": 1, "solver": "ddim"}.items():
        if detection["convention"] == "released-code" and detection[key] != only:
            yield ("detection", key), f"must be {only} under convention released-code, not {detection[key]}"
    if detection["solver"] == "o-belm":
        problem = "cannot be o-belm, which decodes from two noise levels, while the rule latents hands on one"
        yield ("detection", "solver"), f"{problem}; trade_off.solvers may name it"


# --- methods ---------------------------------------------------------------------------------------------------------


def _method_problems(parameters: dict, name: str) -> Iterator[Problem]:
    method, path = parameters["methods"][name], ("methods", name)
    if {"detector", "trained_on"} <= method.keys():
        yield (
            (*path, "trained_on"),
            "is for maps of someone else: of its networks, their training says it",
        )
    known, optional = methods.options(method), methods.literal(method, "OPTIONAL", ())
    problems = list(option_problems(parameters, (*path, "options"), method.get("options", {}), known, optional))
    yield from problems
    if not problems:  # what follows reads them
        yield from _told_problems(parameters, path, method)
        yield from _grid_problems(parameters, path, method)
    if method["setting"] == "validation":
        if not split_lists.has(parameters["data"], "validation"):
            yield (*path, "setting"), "cannot be chosen on validation: data.split gives it nothing"
    elif method["setting"] not in methods.settings(method):
        yield (*path, "setting"), f"must be one setting of the grid, not {method['setting']}"
    named: dict[str, methods.Setting] = {}
    for setting in methods.settings(method):
        if named.setdefault(setting.name, setting) != setting:
            yield (*path, "grid"), f"has two settings that would both be named {setting.name}"


def _told_problems(parameters: dict, path: KeyPath, method: dict) -> Iterator[Problem]:
    """A network can only be told a class that training has shown it, or none where that was withheld now and then."""
    options = method.get("options", {})
    told = [(*path, "options", key) for key in ("encode_class", "decode_class") if options.get(key) == "diseased"]
    where = [(*path, "options", key) for key in ("encode_class", "decode_class") if options.get(key) == "none"]
    if "none" in methods.literal(method, "TOLD_CLASSES", ()):
        where.append((*path, "detector"))
    networks = {name for setting in methods.settings(method) for name in methods.networks(method, setting)}
    for network in sorted(networks):
        if methods.learns_from(parameters, network) == "healthy":
            for one in told:
                yield one, f"cannot be diseased where {network}.training.labels is healthy: it has seen no such image"
        if parameters[network].get("training", {}).get("label_dropout", 1) == 0:
            key = f"{network}.training.label_dropout"
            for one in where:
                yield one, f"cannot work without a class where {key} is 0: every training image has one"


def _grid_problems(parameters: dict, path: KeyPath, method: dict) -> Iterator[Problem]:
    """What a detector's GRID asks of the grid, and its networks and the sampler of the noise levels."""
    asked = methods.grid(method)
    for index, block in enumerate(method["grid"]):
        where = (*path, "grid", index)
        if asked is not None and set(block) != set(asked):
            wanted = " and ".join(sorted(asked)) or "nothing"
            yield where, f"must name {wanted} for {method['detector']}, not {', '.join(block) or 'nothing'}"
            continue
        if methods.encoding(method) and "L" not in block:
            yield where, "must name L, since options.encode_class asks for images encoded to it"
            continue
        problems = list(_value_problems(where, block, asked or dict.fromkeys({"L", "s", "w"} & set(block), ())))
        problems += number_problems(parameters, where, method, block)
        yield from problems
        if not problems and "L" in block:
            yield from _level_problems(parameters, (*where, "L"), method, block)


def _value_problems(where: KeyPath, block: dict, asked: Mapping) -> Iterator[Problem]:
    """Values that are no words where words are asked, or no numbers where there are none."""
    for key, words in asked.items():
        values = ", ".join(map(str, block[key]))
        if words and not set(block[key]) <= set(words):
            yield (*where, key), f"may hold {', '.join(words)}, not {values}"
        elif not words and any(isinstance(value, str) for value in block[key]):
            yield (*where, key), f"must hold numbers, not {values}"


def _level_problems(
    parameters: dict, path: KeyPath, method: dict, block: Mapping, stride: int | None = None
) -> Iterator[Problem]:
    """Noise levels that the sampler or a network of the method cannot have.

    Args:
        parameters: of the benchmark.
        path: of the levels.
        method: whose they are.
        block: of a grid: L, and what else decides which networks are needed.
        stride: of the sampler, if not detection's.
    """
    keys = {*methods.parameters_of(method), *(methods.encoder_parameters() if methods.encoding(method) else ())}
    released = "detection.convention" in keys and parameters["detection"]["convention"] == "released-code"
    if stride is None:
        stride = parameters["detection"]["stride"] if "detection.stride" in keys else 1
    least = 2 if released else 1
    for level in block["L"]:
        if not isinstance(level, int) or level < least:
            yield path, f"must hold whole numbers from {least} on, not {level}"
        elif level % stride:
            yield path, f"must hold multiples of detection.stride = {stride}, not {level}"
    only = methods.literal(method, "RELEASED_LEVEL", None)
    if released and only is not None and block["L"] != [only]:
        yield path, f"must be [{only}] under convention released-code, not {block['L']}"
    for setting in methods.settings({"grid": [block]}):
        for network in methods.networks(method, setting):
            limit = parameters[network].get("training", {}).get("max_level")
            if limit is not None and setting["L"] > limit:
                yield path, f"must stay within {network}.training.max_level = {limit}, not {setting['L']}"


# --- what samples outside of the grids -------------------------------------------------------------------------------


def _trade_off_problems(parameters: dict) -> Iterator[Problem]:
    if "trade_off" not in parameters:
        return
    trade_off, path, known = parameters["trade_off"], ("trade_off",), methods.samplable(parameters)
    if trade_off["method"] not in known:
        problem = (
            f"must be one of the methods whose sampler can be looked into, {', '.join(known) or '(there is none)'}"
        )
        yield (*path, "method"), f"{problem}, not {trade_off['method']}; `trade_off: null` leaves it out"
        return
    if parameters["detection"]["convention"] == "released-code":
        yield path, "must be null under convention released-code, which knows no strides"
    if methods.trade_off_split(parameters) is None:
        yield path, "needs both classes in data.split.validation or in data.split.test; `trade_off: null` leaves it out"
    yield from _sampled_problems(parameters, (*path, "setting"), trade_off["method"], trade_off["setting"], stride=1)
    level = trade_off["setting"]["L"]
    for solver, strides in trade_off["solvers"].items():
        for stride in strides:
            if level % stride:
                yield (*path, "solvers", solver), f"must hold divisors of trade_off.setting.L = {level}, not {stride}"
            elif solver == "o-belm" and stride == level:
                yield (*path, "solvers", solver), f"must hold strides below trade_off.setting.L = {level}, not {stride}"


def _figure_problems(parameters: dict) -> Iterator[Problem]:
    name, known = parameters["figures"]["method"], parameters["methods"]
    if name not in known:
        yield ("figures", "method"), f"must be one of the methods {', '.join(known)}, not {name}"
    elif name in methods.samplable(parameters):
        yield from _sampled_problems(parameters, ("figures", "scheme"), name, parameters["figures"]["scheme"])
    kept = parameters["detection"].get("kept_slices")
    if kept is not None:
        yield from _kept_problems(parameters["figures"], kept)


def _kept_problems(figures: dict, kept: int) -> Iterator[Problem]:
    """Figures that are to show more slices than keep a reconstruction, two diseased ones to a healthy one."""
    healthy = (kept + 1) // 3  # as stages.detection.selected.two_to_one has it
    of_class = {"diseased_slices": kept - healthy, "healthy_slices": healthy}
    for key, count in figures.items():
        if key.endswith("_slices") and count > kept:
            yield ("figures", key), f"must be at most detection.kept_slices = {kept}, out of which it takes them"
        elif key in of_class and count > of_class[key]:
            shown = f"of the detection.kept_slices = {kept}, {of_class[key]} are {key.removesuffix('_slices')}"
            yield ("figures", key), f"must be at most {of_class[key]}: {shown}"


def _sampled_problems(
    parameters: dict, path: KeyPath, method: str, setting: dict, stride: int | None = None
) -> Iterator[Problem]:
    """Problems of a method, noise level and gradient scale that stand outside a grid."""
    if "channels" in parameters["methods"][method].get("options", {}):
        yield path, f"is sampled with {method}, whose maps are of some channels alone: name a method without `channels`"
    block = {key: [value] for key, value in setting.items()}
    yield from _level_problems(parameters, (*path, "L"), parameters["methods"][method], block, stride)
