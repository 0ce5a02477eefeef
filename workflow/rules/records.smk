# Records: the slice scores that git keeps, from which tables can be made. `scores` writes them, but not as outputs.


def runs(benchmark):
    """Every (benchmark, repeat, method, setting)."""
    for repeat in repeat_names(benchmark):
        for method, setting in method_settings(benchmark):
            yield benchmark, repeat, method, setting.name


def run_of(wildcards):
    setting_of(wildcards)  # which says it where there is none of this name
    return (
        wildcards.benchmark,
        wildcards.repeat,
        wildcards.method,
        wildcards.setting,
    )


def record_file(benchmark, repeat, method, setting, folder="record"):
    return f"results/{benchmark}/{folder}/{repeat}/{method}/{setting}.csv"


@cache
def identity(benchmark, repeat, method, setting):
    """The hash of all parameters that make a run's scores."""
    values = benchmark_parameters(benchmark)
    return sections.identity(
        values,
        repeats.named(values, repeat),
        method,
        methods.setting(values["methods"][method], setting),
    )


def recorded_identity(*run):
    """What a record says of the parameters that made it; None without a record."""
    mark = imports.constant("stages.evaluation.records", "IDENTITY")
    try:
        return first_line(Path(record_file(*run))).removeprefix(mark).strip()
    except (OSError, ValueError):
        return None


@cache
def reused(*run):
    """Whether tables take the record of a run as it is, so that nothing needs its maps.

    Asked once: the records that `scores` writes later change no plan. A job that reads the rules again, as on a cluster,
    finds these reused too, but its stage looks for what is there by itself.
    """
    return config["records"] == "reuse" and recorded_identity(*run) == identity(*run)


class RecordFile(str):
    """Where a job of `scores` writes its record; Snakemake does not compare it.

    A record that is reused stays as it is: where figures ask for the maps and scores nevertheless, their job writes it
    beside its state.
    """

    def __new__(cls, *run):
        folder = "state/record" if reused(*run) else "record"
        return super().__new__(cls, record_file(*run, folder))

    def __repr__(self):
        return "record"


def scored(wildcards):
    """What tables are made from: each run's slice scores, or the record that is reused."""
    say_what_is_not_reused(wildcards.benchmark)
    return [
        record_file(*run) if reused(*run) else score_folder(*run)
        for run in runs(wildcards.benchmark)
    ]


def all_reused(benchmark):
    return all(reused(*run) for run in runs(benchmark))


class Reuse(list):
    """The arguments by which the tables' stage tells records and scores of now from others; Snakemake does not compare it."""

    def __init__(self, benchmark):
        text = json.dumps(benchmark_parameters(benchmark))
        super().__init__(["--reuse", text] if config["records"] == "reuse" else [])

    def __repr__(self):
        return "reuse"


@cache
def say_what_is_not_reused(benchmark):
    """One line, once, about records that other parameters have made."""
    if config["records"] != "reuse" or not workflow.is_main_process:
        return
    other = [
        "/".join(run[1:])
        for run in runs(benchmark)
        if recorded_identity(*run) not in (None, identity(*run))
    ]
    if other:
        shown = ", ".join(other[:3]) + ", ..." * (len(other) > 3)
        print(
            f"results/{benchmark}/record: other parameters made {len(other)} of the records, which are computed again: "
            f"{shown}",
            file=sys.stderr,
        )
