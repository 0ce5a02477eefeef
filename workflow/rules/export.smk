# Maps -> files for other programs.


# Maps as NIfTI in the subjects' own space, or as PNG.
rule export:
    input:
        data="results/{benchmark}/data",
        raw=raw_folder,
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        scores=lambda wildcards: score_folders(wildcards.benchmark),
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
    shell:
        "python -m stages.export.export --parameters {params.parameters:q} --data {input.data} --raw {input.raw} "
        "--maps results/{wildcards.benchmark}/maps --scores results/{wildcards.benchmark}/scores "
        "--comparison {input.comparison} --output {output} 3>&2 2>&1 | tee -i {log}"
