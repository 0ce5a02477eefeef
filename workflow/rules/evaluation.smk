# Maps and masks -> scores -> tables. Inputs are listed from the grid: what a removed setting left behind is not read.


rule scores:
    input:
        data="results/{benchmark}/data",
        maps=setting_maps,
        code=code("stages.evaluation.scores"),
    output:
        directory("results/{benchmark}/scores/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/scores/{method}/{setting}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("scores"),
        maps="results/{benchmark}/maps/{method}/{setting}",
        splits=splits,
    shell:
        "python -m stages.evaluation.scores --parameters {params.parameters:q} --data {input.data} "
        "--maps {params.maps} --splits {params.splits} --output {output} 3>&2 2>&1 | tee -i {log}"


rule comparison_tables:
    input:
        data="results/{benchmark}/data",
        scores=lambda wildcards: score_folders(wildcards.benchmark),
        code=code("stages.evaluation.comparison_tables"),
    output:
        expand("results/{{benchmark}}/tables/{name}.csv", name=TABLES),
        multiext("results/{benchmark}/tables/comparison", ".md", ".tex"),
        "results/{benchmark}/tables/sensitivity.md",
        metrics="results/{benchmark}/metrics.json",
    log:
        "results/{benchmark}/logs/comparison_tables.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("comparison_tables"),
        scores="results/{benchmark}/scores",
        tables="results/{benchmark}/tables",
        splits=splits,
    shell:
        "python -m stages.evaluation.comparison_tables --parameters {params.parameters:q} --scores {params.scores} "
        "--data {input.data} --output {params.tables} --metrics {output.metrics} --splits {params.splits} "
        "3>&2 2>&1 | tee -i {log}"


rule trade_off_table:
    input:
        data="results/{benchmark}/data",
        maps="results/{benchmark}/maps/_trade_off",
        code=code("stages.evaluation.trade_off_table"),
    output:
        "results/{benchmark}/tables/trade_off.csv",
    log:
        "results/{benchmark}/logs/trade_off_table.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("trade_off_table"),
        split=trade_off_split,
    shell:
        "python -m stages.evaluation.trade_off_table --parameters {params.parameters:q} --data {input.data} "
        "--split {params.split} --trade-off {input.maps} --output {output} 3>&2 2>&1 | tee -i {log}"
