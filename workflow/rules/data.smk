# Raw images -> slice store and split lists. The phantom's anatomy and the data set's reader name the modules that run.


# Only where params.yaml has a phantom: this rule may never take a raw data set for an output to be made again.
rule phantom:
    input:
        code=lambda wildcards: code(phantom_module(wildcards)),
    output:
        folder=directory("data/{benchmark}"),
        digest="data/{benchmark}.sha256",
    log:
        "results/{benchmark}/logs/phantom.log",
    wildcard_constraints:
        benchmark=one_of(phantom_benchmarks()),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        module=phantom_module,
        parameters=section("phantom"),
    shell:
        "python -m {params.module:q} --parameters {params.parameters:q} --output {output.folder:q} "
        "--digest {output.digest:q} --processes {threads} 3>&2 2>&1 | tee -i {log:q}"


rule extract:
    input:
        raw=phantom_files,
        named=recipe_files,
        code=lambda wildcards: code(reader_module(wildcards)),
    output:
        directory("results/{benchmark}/data"),
    log:
        "results/{benchmark}/logs/extract.log",
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        module=reader_module,
        parameters=section("extract"),
        raw=raw_folder,
        raw_files=raw_files,
    shell:
        "python -m {params.module:q} --parameters {params.parameters:q} --raw={params.raw:q} --output {output:q} "
        "--processes {threads} 3>&2 2>&1 | tee -i {log:q}"


# A list for each fold: drawn from counts and the benchmark's seed, or taken from the list that data.split names.
rule split:
    input:
        data="results/{benchmark}/data",
        published=published_list,
        code=code("stages.data.split"),
    output:
        "results/{benchmark}/split/fold{fold}.csv",
    log:
        "results/{benchmark}/logs/split/{fold}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("split"),
    shell:
        "python -m stages.data.split --parameters {params.parameters:q} --data {input.data:q} --fold {wildcards.fold:q} "
        "--output {output:q} 3>&2 2>&1 | tee -i {log:q}"
