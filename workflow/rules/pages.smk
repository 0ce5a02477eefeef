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
        "python -m stages.pages.tables_page --parameters {params.parameters:q} --benchmark {wildcards.benchmark:q} "
        "--tables {input.tables:q} --output {output:q} 3>&2 2>&1 | tee -i {log:q}"


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
        "python -m stages.pages.explorer --parameters {params.parameters:q} --benchmark {wildcards.benchmark:q} "
        "--data {input.data:q} --split-list {input.split:q} --maps {params.maps:q} --scores {params.scores:q} "
        "--table {input.table:q} --comparison {input.comparison:q} --output {output:q} 3>&2 2>&1 | tee -i {log:q}"


# What other programs read about the results: no milestone needs it, `make report` asks for it.
rule ro_crate:
    input:
        tables=lambda wildcards: tables(wildcards.benchmark),
        figures=lambda wildcards: figures(wildcards.benchmark),
        exports=lambda wildcards: exports(wildcards.benchmark),
        code=code("stages.pages.ro_crate"),
    output:
        report(
            "results/{benchmark}/ro-crate-metadata.json",
            caption="../report/ro-crate.rst",
            category="{benchmark}",
            subcategory=ORIGIN,
            labels={"file": "RO-Crate metadata"},
        ),
    log:
        "results/{benchmark}/logs/ro_crate.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        results="results/{benchmark}",
    shell:
        "python -m stages.pages.ro_crate --benchmark {wildcards.benchmark:q} --results {params.results:q} "
        "--output {output:q} 3>&2 2>&1 | tee -i {log:q}"
