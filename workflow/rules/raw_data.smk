# Raw data: what extraction is asked for, and what is done without where the slice store is there and the raw files are not.

from snakemake.io import IOFile

from stages.data.litter import is_litter


def phantom_benchmarks():
    return [
        name for name in config["benchmarks"] if "phantom" in benchmark_parameters(name)
    ]


def phantom_module(wildcards):
    anatomy = benchmark_parameters(wildcards.benchmark)["phantom"]["anatomy"]
    return f"stages.phantoms.{anatomy}"


def reader_module(wildcards):
    return f"stages.data.{benchmark_parameters(wildcards.benchmark)['data']['reader']}"


def recipe_files(wildcards):
    data = benchmark_parameters(wildcards.benchmark)["data"]
    return files_named(data.get(data["reader"], {}))


def raw_folder(wildcards):
    return benchmark_parameters(wildcards.benchmark)["data"]["folder"]


def phantom_folder(benchmark):
    """A phantom's folder, as a target; nothing for a raw data set."""
    values = benchmark_parameters(benchmark)
    return [values["data"]["folder"]] if "phantom" in values else []


def has_raw_data(benchmark):
    return Path(benchmark_parameters(benchmark)["data"]["folder"]).is_dir()


def store_of(benchmark):
    return f"results/{benchmark}/data"


def recorded_params(path):
    """The params, as Snakemake compares them, of the job that made a path; none where it knows of none."""
    return workflow.persistence.params(IOFile(path)) or []


def is_as_recorded(path, rule, module, wildcards):
    """Whether a folder that a rule made, here or in another clone, is what it would make of these parameters and code."""
    recorded = recorded_params(path)
    of_now = repr(section(rule)(wildcards))
    made = Path(path, ".snakemake_timestamp")
    edited = made.exists() and any(
        Path(file).stat().st_mtime > made.stat().st_mtime for file in code(module)
    )
    return (not recorded or of_now in recorded) and not edited


def phantom_files(wildcards):
    """What extraction needs of a phantom: its folder, and the hash by which one made again counts as the same.

    Where the folder is not there but its store is, and is up to date, an input that no rule makes, whereupon Snakemake takes
    the store as it is. So a phantom that was deleted is made again alone, when the export needs it.
    """
    benchmark, folder = wildcards.benchmark, raw_folder(wildcards)
    if benchmark not in phantom_benchmarks():
        return []
    if (
        not has_raw_data(benchmark)
        and Path(store_of(benchmark)).is_dir()
        and is_as_recorded(folder, "phantom", phantom_module(wildcards), wildcards)
        and is_as_recorded(
            store_of(benchmark), "extract", reader_module(wildcards), wildcards
        )
    ):
        return f"{folder}/not-needed"
    return [ancient(folder), f"{folder}.sha256"]


def contents(path):
    """What tells a raw file or folder from a changed one, and not from a copy: a table's hash, other files' sizes."""
    if path.is_dir():
        below = sorted(
            (entry.name, entry.lstat().st_size)
            for entry in path.iterdir()
            if not entry.is_dir() and not is_litter(entry.name)
        )
        return hashlib.sha256(json.dumps(below).encode()).hexdigest()
    if path.suffix.lower() in (".csv", ".json") and path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return path.lstat().st_size


class RawFiles(str):
    """What RAW_INPUTS of the reader names in the raw folder: what comes, goes or changes reruns extraction.

    A file that changes but keeps its size is noticed where it is a table; what operating systems add is not.

    One hash, however many files there are. A param, since inputs would have to be there. Where the folder is not,
    Snakemake is told what it has recorded, so that this is no reason for anything; where it never was, as in a clone,
    files that come later are taken for those that the store was made from (the export compares them).
    """

    ABSENT = "raw files: absent"

    def __new__(cls, wildcards):
        folder = Path(raw_folder(wildcards))
        patterns = imports.constant(reader_module(wildcards), "RAW_INPUTS")
        found = {path for pattern in patterns for path in folder.glob(pattern)}
        places = sorted((path.relative_to(folder), path) for path in found)
        noted = json.dumps(
            [
                (str(place), contents(path))
                for place, path in places
                if not any(map(is_litter, place.parts))
            ]
        )
        recorded = [
            text
            for text in recorded_params(store_of(wildcards.benchmark))
            if text.startswith("raw files: ")
        ]
        if recorded and (not folder.is_dir() or recorded == [cls.ABSENT]):
            return super().__new__(cls, recorded[0])
        return super().__new__(
            cls,
            (
                f"raw files: {hashlib.sha256(noted.encode()).hexdigest()}"
                if folder.is_dir()
                else cls.ABSENT
            ),
        )

    def __repr__(self):
        return str(self)


def raw_files(wildcards):
    """`RawFiles` of a raw data set; a phantom's are inputs."""
    return "" if wildcards.benchmark in phantom_benchmarks() else RawFiles(wildcards)


def exports_without_raw_data(benchmark):
    return benchmark not in phantom_benchmarks() and not has_raw_data(benchmark)


def require_raw_data():
    """One sentence for a data set that is not there: what is missing, where it belongs, where it comes from.

    Where its store is there, a line says what is done without it.
    """
    for benchmark in config["run"]:
        if not exports_without_raw_data(benchmark):
            continue
        data = benchmark_parameters(benchmark)["data"]
        if not Path(store_of(benchmark)).is_dir():
            described = imports.constant(f"stages.data.{data['reader']}", "RAW_DATA")
            raise WorkflowError(
                f"{data['folder']} is not there: benchmark {benchmark} needs its raw data set in (or linked as) this "
                f"folder, {described}"
            )
        if workflow.is_main_process and not is_only_data(benchmark):
            print(
                f"{data['folder']} is not there: {store_of(benchmark)} is taken as it is, and the export of {benchmark}, "
                "which needs the raw files, is left as it is",
                file=sys.stderr,
            )
