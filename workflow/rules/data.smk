# Raw volumes -> slice stores.


# Only where params.yaml has a phantom: this rule may never take a raw data set for an output to be made again.
rule generate_brain_phantom:
    input:
        code=code("stages.data.brain_phantom"),
    output:
        directory("data/{benchmark}"),
    log:
        "results/{benchmark}/logs/generate_brain_phantom.log",
    wildcard_constraints:
        benchmark=one_of(phantom_benchmarks()),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        parameters=section("generate_brain_phantom"),
    shell:
        "python -m stages.data.brain_phantom --parameters {params.parameters:q} --output {output} "
        "--processes {threads} 3>&2 2>&1 | tee -i {log}"


rule extract_brats:
    input:
        raw=raw_folders,
        code=code("stages.data.brats"),
    output:
        directory("results/{benchmark}/data"),
    log:
        "results/{benchmark}/logs/extract_brats.log",
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        parameters=section("extract_brats"),
        raw=raw_folder,
    shell:
        "python -m stages.data.brats --parameters {params.parameters:q} --raw {params.raw:q} --output {output} "
        "--processes {threads} 3>&2 2>&1 | tee -i {log}"
