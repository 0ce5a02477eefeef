# Maps and masks -> scores -> tables. Inputs are listed from the grid: what a removed setting left behind is not read.


rule score:
    input:
        data="results/{benchmark}/data",
        maps=setting_maps,
        code=code("stages.evaluation.scores"),
    output:
        directory("results/{benchmark}/scores/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/score/{method}/{setting}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("score"),
        maps="results/{benchmark}/maps/{method}/{setting}",
        splits=splits,
    shell:
        "python -m stages.evaluation.scores --parameters {params.parameters:q} --data {input.data} "
        "--maps {params.maps} --splits {params.splits} --output {output} 3>&2 2>&1 | tee -i {log}"


rule tabulate:
    input:
        data="results/{benchmark}/data",
        scores=lambda wildcards: scores(wildcards.benchmark),
        code=code("stages.evaluation.tables"),
    output:
        scores="results/{benchmark}/tables/scores.csv",
        comparison=report(
            "results/{benchmark}/tables/comparison.csv",
            caption="../report/comparison.rst",
            category="{benchmark}",
            labels={"figure": "comparison"},
        ),
        markdown="results/{benchmark}/tables/comparison.md",
        latex="results/{benchmark}/tables/comparison.tex",
        metrics="results/{benchmark}/metrics.json",
    log:
        "results/{benchmark}/logs/tabulate.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("tabulate"),
        scores="results/{benchmark}/scores",
        tables="results/{benchmark}/tables",
        splits=splits,
    shell:
        "python -m stages.evaluation.tables --parameters {params.parameters:q} --scores {params.scores} "
        "--data {input.data} --output {params.tables} --metrics {output.metrics} --splits {params.splits} "
        "3>&2 2>&1 | tee -i {log}"
