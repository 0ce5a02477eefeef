# Maps -> files for other programs.


# Maps as NIfTI in the subjects' own space, or as PNG.
rule export:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        raw=lambda wildcards: phantom_folder(wildcards.benchmark),
        maps=lambda wildcards: maps_shown(wildcards.benchmark),
        scores=lambda wildcards: scores_shown(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.export.export"),
    output:
        directory("results/{benchmark}/export"),
    log:
        "results/{benchmark}/logs/export.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        parameters=section("export"),
        raw=raw_folder,
        maps=of_first_repeat("results/{benchmark}/maps/{repeat}"),
        scores=of_first_repeat("results/{benchmark}/scores/{repeat}"),
    shell:
        "python -m stages.export.export --parameters {params.parameters:q} --data {input.data:q} --raw={params.raw:q} "
        "--split-list {input.split:q} --maps {params.maps:q} --scores {params.scores:q} "
        "--comparison {input.comparison:q} --output {output:q} 3>&2 2>&1 | tee -i {log:q}"
