# Maps and masks -> scores -> tables. Inputs are listed from the grid: what a removed setting left behind is not read.


# The record is no output: Snakemake deletes outputs before their job runs and when it fails, and git tracks this file.
rule scores:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        maps=setting_maps,
        code=code("stages.evaluation.scores"),
    output:
        directory("results/{benchmark}/scores/{repeat}/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/scores/{repeat}/{method}/{setting}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("scores"),
        maps="results/{benchmark}/maps/{repeat}/{method}/{setting}",
        splits=splits,
        record=lambda wildcards: RecordFile(*run_of(wildcards)),
        identity=lambda wildcards: identity(*run_of(wildcards)),
    shell:
        "python -m stages.evaluation.scores --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --maps {params.maps:q} --splits {params.splits:q} --output {output:q} "
        "--record {params.record:q} --identity {params.identity:q} 3>&2 2>&1 | tee -i {log:q}"


# From the scores of all repeats, or their records; a lost record it writes again.
rule comparison_tables:
    input:
        scores=scored,
        code=code("stages.evaluation.comparison_tables"),
    output:
        expand("results/{{benchmark}}/tables/{name}.csv", name=TABLES),
        multiext("results/{benchmark}/tables/comparison", ".md", ".tex"),
        "results/{benchmark}/tables/sensitivity.md",
        metrics=directory("results/{benchmark}/metrics"),
    log:
        "results/{benchmark}/logs/comparison_tables.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("comparison_tables"),
        record="results/{benchmark}/record",
        scores="results/{benchmark}/scores",
        reuse=lambda wildcards: Reuse(wildcards.benchmark),
        tables="results/{benchmark}/tables",
    shell:
        "python -m stages.evaluation.comparison_tables --parameters {params.parameters:q} --record {params.record:q} "
        "--scores {params.scores:q} {params.reuse:q} --output {params.tables:q} --metrics {output.metrics:q} 3>&2 2>&1 | tee -i {log:q}"


rule trade_off_table:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        maps=of_first_repeat("results/{benchmark}/maps/{repeat}/_trade_off"),
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
        "python -m stages.evaluation.trade_off_table --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --split {params.split:q} --trade-off {input.maps:q} --output {output:q} "
        "3>&2 2>&1 | tee -i {log:q}"
