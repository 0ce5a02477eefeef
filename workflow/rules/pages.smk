# Tables and maps -> what opens in a browser.


rule tables_page:
    input:
        tables=lambda wildcards: csv_tables(wildcards.benchmark),
        code=code("stages.pages.tables_page"),
        page=assets("stages/pages/tables_assets"),
    output:
        captioned("tables", TABLE_PAGE, "tables and parameters", "html"),
    log:
        "results/{benchmark}/logs/tables_page.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("tables_page"),
    shell:
        "python -m stages.pages.tables_page --parameters {params.parameters:q} --benchmark {wildcards.benchmark} "
        "--tables {input.tables} --output {output} 3>&2 2>&1 | tee -i {log}"


rule explorer:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        maps=lambda wildcards: maps_shown(wildcards.benchmark),
        scores=lambda wildcards: scores_shown(wildcards.benchmark),
        table="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.pages.explorer"),
        page=assets("stages/pages/explorer_assets"),
    output:
        "results/{benchmark}/explorer.html",
    log:
        "results/{benchmark}/logs/explorer.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("explorer"),
        maps=of_first_repeat("results/{benchmark}/maps/{repeat}"),
        scores=of_first_repeat("results/{benchmark}/scores/{repeat}"),
    shell:
        "python -m stages.pages.explorer --parameters {params.parameters:q} --benchmark {wildcards.benchmark} "
        "--data {input.data} --split-list {input.split} --maps {params.maps} --scores {params.scores} "
        "--table {input.table} --comparison {input.comparison} --output {output} 3>&2 2>&1 | tee -i {log}"
