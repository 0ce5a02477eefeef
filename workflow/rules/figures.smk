# Tables and maps -> the paper's figures, by its numbers, what goes beyond it, the tables as a page, the explorer.


rule figure_1:
    input:
        data="results/{benchmark}/data",
        trajectory="results/{benchmark}/maps/_trajectory",
        code=code("stages.figures.scheme"),
    output:
        captioned("figure-1-scheme", PAPER, "Fig. 1: the scheme"),
        multiext("results/{benchmark}/figures/figure-1-scheme", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_1.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("figure_1"),
    shell:
        "python -m stages.figures.scheme --parameters {params.parameters:q} --data {input.data} "
        "--trajectory {input.trajectory} --output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


# The figures of single slices share their inputs: which setting is shown is known when the tables are there.
rule figure_2:
    input:
        data="results/{benchmark}/data",
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        scores=lambda wildcards: scores(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.examples"),
    output:
        captioned("figure-2-methods", PAPER, "Fig. 2: the methods on diseased slices"),
        multiext("results/{benchmark}/figures/figure-2-methods", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_2.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figure="figure-2-methods",
        parameters=section("figure_2"),
    shell:
        "python -m stages.figures.examples --figure {params.figure} --parameters {params.parameters:q} "
        "--data {input.data} --maps results/{wildcards.benchmark}/maps --scores results/{wildcards.benchmark}/scores "
        "--comparison {input.comparison} --output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


use rule figure_2 as figure_3 with:
    output:
        captioned("figure-3-methods", PAPER, "Fig. 3: the methods on diseased slices"),
        multiext("results/{benchmark}/figures/figure-3-methods", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_3.log",
    params:
        figure="figure-3-methods",
        parameters=section("figure_3"),


rule figure_4:
    input:
        scores="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sensitivity"),
        published="stages/figures/fig4_published.csv",
    output:
        captioned("figure-4-sensitivity", PAPER, "Fig. 4: Dice and AUROC over s"),
        multiext("results/{benchmark}/figures/figure-4-sensitivity", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_4.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("figure_4"),
    shell:
        "python -m stages.figures.sensitivity --parameters {params.parameters:q} --table {input.scores} "
        "--comparison {input.comparison} --output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


rule figure_5:
    input:
        data="results/{benchmark}/data",
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        scores=lambda wildcards: scores(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sweep"),
    output:
        captioned("figure-5-scales", PAPER, "Fig. 5: one slice over s"),
        multiext("results/{benchmark}/figures/figure-5-scales", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_5.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figure="figure-5-scales",
        parameters=section("figure_5"),
    shell:
        "python -m stages.figures.sweep --figure {params.figure} --parameters {params.parameters:q} "
        "--data {input.data} --maps results/{wildcards.benchmark}/maps --scores results/{wildcards.benchmark}/scores "
        "--comparison {input.comparison} --output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


use rule figure_5 as figure_6 with:
    output:
        captioned("figure-6-levels", PAPER, "Fig. 6: one slice over L"),
        multiext("results/{benchmark}/figures/figure-6-levels", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_6.log",
    params:
        figure="figure-6-levels",
        parameters=section("figure_6"),


use rule figure_2 as figure_7 with:
    output:
        captioned("figure-7-healthy", PAPER, "Fig. 7: the methods on a healthy slice"),
        multiext("results/{benchmark}/figures/figure-7-healthy", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/figure_7.log",
    params:
        figure="figure-7-healthy",
        parameters=section("figure_7"),


use rule figure_2 as supplement_1 with:
    output:
        captioned(
            "supplement-1-diseased",
            SUPPLEMENT,
            "Supplement, Fig. 1: more diseased slices",
        ),
        multiext("results/{benchmark}/figures/supplement-1-diseased", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/supplement_1.log",
    params:
        figure="supplement-1-diseased",
        parameters=section("supplement_1"),


use rule figure_2 as supplement_2 with:
    output:
        captioned(
            "supplement-2-healthy",
            SUPPLEMENT,
            "Supplement, Fig. 2: more healthy slices",
        ),
        multiext("results/{benchmark}/figures/supplement-2-healthy", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/supplement_2.log",
    params:
        figure="supplement-2-healthy",
        parameters=section("supplement_2"),


use rule figure_2 as supplement_3 with:
    output:
        captioned(
            "supplement-3-diseased",
            SUPPLEMENT,
            "Supplement, Fig. 3: more diseased slices",
        ),
        multiext("results/{benchmark}/figures/supplement-3-diseased", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/supplement_3.log",
    params:
        figure="supplement-3-diseased",
        parameters=section("supplement_3"),


rule plot_settings:
    input:
        table="results/{benchmark}/tables/scores.csv",
        code=code("stages.figures.settings"),
    output:
        captioned("settings", BEYOND, "scores over the settings"),
        multiext("results/{benchmark}/figures/settings", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_settings.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_settings"),
    shell:
        "python -m stages.figures.settings --parameters {params.parameters:q} --scores {input.table} "
        "--output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


rule plot_comparison:
    input:
        table="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.comparison"),
    output:
        captioned("comparison", BEYOND, "the methods"),
        multiext("results/{benchmark}/figures/comparison", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_comparison.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_comparison"),
    shell:
        "python -m stages.figures.comparison --parameters {params.parameters:q} --comparison {input.table} "
        "--output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


rule plot_lesion_size:
    input:
        table="results/{benchmark}/tables/lesion_size.csv",
        code=code("stages.figures.lesion_size"),
    output:
        captioned("lesion-size", BEYOND, "scores by lesion size"),
        multiext("results/{benchmark}/figures/lesion-size", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_lesion_size.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_lesion_size"),
    shell:
        "python -m stages.figures.lesion_size --parameters {params.parameters:q} --table {input.table} "
        "--output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


rule plot_trade_off:
    input:
        table="results/{benchmark}/tables/trade_off.csv",
        code=code("stages.figures.trade_off"),
    output:
        captioned("trade-off", BEYOND, "scores over network evaluations"),
        multiext("results/{benchmark}/figures/trade-off", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_trade_off.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_trade_off"),
    shell:
        "python -m stages.figures.trade_off --parameters {params.parameters:q} --table {input.table} "
        "--output results/{wildcards.benchmark}/figures 3>&2 2>&1 | tee -i {log}"


rule show_tables:
    input:
        tables=lambda wildcards: csv_tables(wildcards.benchmark),
        code=code("stages.figures.sortable"),
        page=assets("stages/figures/sortable_assets"),
    output:
        captioned("tables", TABLE_PAGE, "tables and parameters", "html"),
    log:
        "results/{benchmark}/logs/show_tables.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("show_tables"),
    shell:
        "python -m stages.figures.sortable --parameters {params.parameters:q} --benchmark {wildcards.benchmark} "
        "--tables {input.tables} --output {output} 3>&2 2>&1 | tee -i {log}"


rule build_explorer:
    input:
        data="results/{benchmark}/data",
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        scores=lambda wildcards: scores(wildcards.benchmark),
        table="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.explorer"),
        page=assets("stages/figures/explorer_assets"),
    output:
        "results/{benchmark}/explorer.html",
    log:
        "results/{benchmark}/logs/build_explorer.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        parameters=section("build_explorer"),
    shell:
        "python -m stages.figures.explorer --parameters {params.parameters:q} --benchmark {wildcards.benchmark} "
        "--data {input.data} --maps results/{wildcards.benchmark}/maps --scores results/{wildcards.benchmark}/scores "
        "--table {input.table} --comparison {input.comparison} --output {output} 3>&2 2>&1 | tee -i {log}"


# Maps as NIfTI in the subjects' own space, or as PNG.
rule export:
    input:
        data="results/{benchmark}/data",
        raw=raw_folder,
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        scores=lambda wildcards: scores(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.export"),
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
        "python -m stages.figures.export --parameters {params.parameters:q} --data {input.data} --raw {input.raw} "
        "--maps results/{wildcards.benchmark}/maps --scores results/{wildcards.benchmark}/scores "
        "--comparison {input.comparison} --output {output} 3>&2 2>&1 | tee -i {log}"
