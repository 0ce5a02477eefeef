# What each milestone leaves behind in a benchmark, when, and how the HTML report shows its figures.


def milestone(files):
    """The files of a milestone, for every benchmark that is run."""
    return [file for benchmark in config["run"] for file in files(benchmark)]


def made_here():
    """What the workflow makes of its benchmarks: their results, and their phantoms."""
    for benchmark in config["run"]:
        yield from Path("results", benchmark).rglob("*")
        for phantom in phantom_folder(benchmark):
            yield from (Path(f"{phantom}.sha256"), *Path(phantom).rglob("*"))


def date_back_what_is_of_the_future():
    """Results that are newer than now, as after a clock that jumped, would hide every edit: runs date them back first.

    Snakemake reads these rules to lint, list or report, too; `execute` is what it calls for a run, or a dry run.
    """
    execute = workflow.execute

    def after_dates(executor_plugin, **others):
        date_back(only_look=executor_plugin.common_settings.dryrun_exec)
        return execute(executor_plugin=executor_plugin, **others)

    if workflow.is_main_process:
        workflow.execute = after_dates


def date_back(only_look):
    found = of_the_future()
    if not found:
        return
    hidden = f"warning: {and_more(found)} are dated in the future, as by a clock that jumped, which hides edits"
    if only_look:
        said = [f"{hidden}: a run dates them back, and may do more than is listed here"]
    else:
        # Snakemake's lock tells of runs on other computers, but a run is at work before it has that lock.
        with at_work.alone() as alone:
            if alone and not any(Path(".snakemake/locks").glob("*")):
                said = what_is_said(dates.set_back(of_the_future()))
            else:
                said = [
                    f"{hidden}: they stay so while another run is at work in this folder"
                ]
    print(*said, sep="\n", file=sys.stderr)


def of_the_future():
    compared = DAGSettings().max_checksum_file_size  # the run's own are not known yet
    return dates.of_the_future(made_here(), time.time(), compared)


def what_is_said(dated):
    said = []
    if dated.back:
        said.append(
            f"{and_more(dated.back)} were dated in the future, as by a clock that jumped: they are dated back, so that "
            "what is edited since reruns its jobs"
        )
    # No reason to refuse: someone else's results, or those on a disk that is only read, can be looked at as they are.
    return said + [f"warning: {sentence}" for sentence in dated.refused[:1]]


def and_more(paths):
    return f"{next(iter(paths))} and {len(paths) - 1} more"


def is_only_data(benchmark):
    return not methods.of(benchmark_parameters(benchmark))


def stores(benchmark):
    """The slice store, and a split list a fold."""
    folds = benchmark_parameters(benchmark)["repeats"]["folds"]
    return [
        f"results/{benchmark}/data",
        *(f"results/{benchmark}/split/fold{n + 1}.csv" for n in range(folds)),
    ]


def checkpoint_file(benchmark, repeat, network):
    return f"results/{benchmark}/checkpoints/{repeat}/{network}.safetensors"


def networks(benchmark):
    """The checkpoints that any setting of any method needs."""
    needed = methods.networks_in_use(benchmark_parameters(benchmark))
    return [
        checkpoint_file(benchmark, repeat, name)
        for repeat in repeat_names(benchmark)
        for name in needed
    ]


def maps_shown(benchmark):
    """The maps of every setting of every method in the first repeat, out of which figures and pages choose."""
    return [
        file
        for method, setting in method_settings(benchmark)
        for file in map_files(
            benchmark, repeat_names(benchmark)[0], method, setting.name
        )
    ]


def require_maps(files):
    """Stop where maps that no rule makes are not there; Snakemake would leave out all that they lead to."""
    lacking = [
        file for file in files if file.endswith(".npy") and not Path(file).exists()
    ]
    if lacking:
        more = f" and {len(lacking) - 5} more" * (len(lacking) > 5)
        # Of any other exception in an input function Snakemake prints a traceback.
        sys.exit(
            f"error: {', '.join(lacking[:5])}{more}: not there, and no rule makes the maps of a method without `detector`; put "
            "them there, or take the method out of params.yaml"
        )


def detections(benchmark):
    """All that the detection chapter makes."""
    extra = methods.sampled(benchmark_parameters(benchmark))
    first = repeat_names(benchmark)[0]
    maps = [file for run in runs(benchmark) for file in map_files(*run)]
    require_maps(maps)
    return [
        *maps,
        *(
            f"results/{benchmark}/maps/{first}/_{rule.removesuffix('_maps')}"
            for rule in extra
        ),
    ]


def score_folder(benchmark, repeat, method, setting):
    return f"results/{benchmark}/scores/{repeat}/{method}/{setting}"


def scores_identity(*run):
    """What a folder of scores says of the parameters that made it; None where it is not there or not whole."""
    name = imports.constant("stages.evaluation.records", "IDENTITY_FILE")
    try:
        return first_line(Path(score_folder(*run), name))
    except (OSError, ValueError):
        return None


def scores_shown(benchmark):
    """The slice scores that belong to these maps."""
    first = repeat_names(benchmark)[0]
    return [
        score_folder(benchmark, first, method, setting.name)
        for method, setting in method_settings(benchmark)
    ]


def tables(benchmark):
    """The tables; without the trade-off, which takes networks, where records spare all else that does."""
    folder = f"results/{benchmark}"
    if is_only_data(benchmark):
        return []
    unscored = [
        run
        for run in runs(benchmark)
        if not (reused(*run) or scores_identity(*run) == identity(*run))
    ]
    require_maps(file for run in unscored for file in map_files(*run))
    spared = {"trade_off.csv"} if all_reused(benchmark) else set()
    names = [name for name in table_names(benchmark) if name not in spared]
    return [
        *(f"{folder}/tables/{name}" for name in names),
        f"{folder}/metrics",
    ]


# As CSV, from the slice scores.
TABLES = (
    "comparison",
    "lesion_size",
    "paired",
    "sensitivity",
    "scores",
    "repeats",
)


def table_names(benchmark):
    names = [
        *(f"{name}.csv" for name in TABLES),
        "comparison.md",
        "comparison.tex",
        "sensitivity.md",
    ]
    return names + ["trade_off.csv"] * ("trade_off" in benchmark_parameters(benchmark))


def csv_tables(benchmark):
    names = [name for name in table_names(benchmark) if name.endswith(".csv")]
    return [f"results/{benchmark}/tables/{name}" for name in names]


# Chapters of a benchmark in the HTML report, which sorts them by name.
PAPER, SUPPLEMENT = "1. The paper's figures", "2. The paper's supplement"
BEYOND, TABLE_PAGE = "3. Beyond the paper", "4. Tables and parameters"
ORIGIN = "5. What made the results"


def captioned(name, chapter, title, extension="png"):
    """A figure, or a page, as an output that the HTML report shows, with the caption of its name."""
    folder = "" if extension == "html" else "figures/"
    return report(
        f"results/{{benchmark}}/{folder}{name}.{extension}",
        caption=f"../report/{name}.rst",
        category="{benchmark}",
        subcategory=chapter,
        labels={"page" if extension == "html" else "figure": title},
    )


def guided_over_levels(method):
    """Whether a method's grid is that of the paper's: noise levels, and how strongly it is guided."""
    grid = methods.settings(method)
    return all("L" in setting and {"s", "w"} & set(setting) for setting in grid)


def figure_names(benchmark):
    """The figures of a benchmark, what is there soonest first: some need several channels, or a grid with L and s or w."""
    values = benchmark_parameters(benchmark)
    names = ["figure-1-scheme"] if "trajectory" in methods.sampled(values) else []
    names += ["figure-7-healthy", "settings", "comparison", "lesion-size"]
    if len(channels.views(values["data"]["channels"])) > 1:
        names += ["figure-3-methods", "supplement-1-diseased", "supplement-2-healthy"]
    else:
        names += ["figure-2-methods", "supplement-3-diseased"]
    if guided_over_levels(values["methods"][values["figures"]["method"]]):
        names += ["figure-4-sensitivity", "figure-5-scales", "figure-6-levels"]
    if any(map(guided_over_levels, values["methods"].values())):
        names.append("heatmap")
    if "trade_off" in values:
        names.append("trade-off")
    return names


def figures(benchmark):
    folder = f"results/{benchmark}"
    if is_only_data(benchmark):
        return []
    require_maps(maps_shown(benchmark))
    return [
        *(
            f"{folder}/figures/{name}.{extension}"
            for name in figure_names(benchmark)
            for extension in ("png", "svg", "pdf")
        ),
        f"{folder}/tables.html",
        f"{folder}/explorer.html",
    ]


def exports(benchmark):
    """The export, where there is the raw data set whose space it is in."""
    if is_only_data(benchmark) or exports_without_raw_data(benchmark):
        return []
    require_maps(maps_shown(benchmark))
    return [f"results/{benchmark}/export"]


def crates(benchmark):
    """The metadata that make the folder of a benchmark's results an RO-Crate."""
    if is_only_data(benchmark):
        return []
    return [f"results/{benchmark}/ro-crate-metadata.json"]
