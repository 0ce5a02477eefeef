# Tables and maps -> the paper's figures, by its numbers, and what goes beyond it. Rules that share a module bear its name.


rule scheme:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        trajectory=of_first_repeat("results/{benchmark}/maps/{repeat}/_trajectory"),
        code=code("stages.figures.scheme"),
    output:
        captioned("figure-1-scheme", PAPER, "Fig. 1: the scheme"),
        multiext("results/{benchmark}/figures/figure-1-scheme", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/scheme.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("scheme"),
    shell:
        "python -m stages.figures.scheme --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --trajectory {input.trajectory:q} --output results/{wildcards.benchmark:q}/figures "
        "3>&2 2>&1 | tee -i {log:q}"


# The figures of single slices share their inputs, the first repeat's: which setting is shown is known when the tables
# are there.
rule examples_figure_2:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        maps=lambda wildcards: maps_shown(wildcards.benchmark),
        scores=lambda wildcards: scores_shown(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.examples"),
    output:
        captioned("figure-2-methods", PAPER, "Fig. 2: the methods on diseased slices"),
        multiext("results/{benchmark}/figures/figure-2-methods", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_figure_2.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figure="figure-2-methods",
        parameters=section("examples_figure_2"),
        maps=of_first_repeat("results/{benchmark}/maps/{repeat}"),
        scores=of_first_repeat("results/{benchmark}/scores/{repeat}"),
    shell:
        "python -m stages.figures.examples --figure {params.figure:q} --parameters {params.parameters:q} "
        "--data {input.data:q} --split-list {input.split:q} --maps {params.maps:q} --scores {params.scores:q} "
        "--comparison {input.comparison:q} --output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"


use rule examples_figure_2 as examples_figure_3 with:
    output:
        captioned("figure-3-methods", PAPER, "Fig. 3: the methods on diseased slices"),
        multiext("results/{benchmark}/figures/figure-3-methods", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_figure_3.log",
    params:
        figure="figure-3-methods",
        parameters=section("examples_figure_3"),


rule sensitivity_figure_4:
    input:
        scores="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sensitivity"),
        published="stages/figures/fig4_published.csv",
    output:
        captioned("figure-4-sensitivity", PAPER, "Fig. 4: Dice and AUROC over s"),
        multiext("results/{benchmark}/figures/figure-4-sensitivity", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/sensitivity_figure_4.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figure="figure-4-sensitivity",
        parameters=section("sensitivity_figure_4"),
    shell:
        "python -m stages.figures.sensitivity --figure {params.figure:q} --parameters {params.parameters:q} "
        "--table {input.scores:q} --comparison {input.comparison:q} "
        "--output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"


rule sweep_figure_5:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        maps=lambda wildcards: maps_shown(wildcards.benchmark),
        scores=lambda wildcards: scores_shown(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sweep"),
    output:
        captioned("figure-5-scales", PAPER, "Fig. 5: one slice over s"),
        multiext("results/{benchmark}/figures/figure-5-scales", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/sweep_figure_5.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        figure="figure-5-scales",
        parameters=section("sweep_figure_5"),
        maps=of_first_repeat("results/{benchmark}/maps/{repeat}"),
        scores=of_first_repeat("results/{benchmark}/scores/{repeat}"),
    shell:
        "python -m stages.figures.sweep --figure {params.figure:q} --parameters {params.parameters:q} "
        "--data {input.data:q} --split-list {input.split:q} --maps {params.maps:q} --scores {params.scores:q} "
        "--comparison {input.comparison:q} --output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"


use rule sweep_figure_5 as sweep_figure_6 with:
    output:
        captioned("figure-6-levels", PAPER, "Fig. 6: one slice over L"),
        multiext("results/{benchmark}/figures/figure-6-levels", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/sweep_figure_6.log",
    params:
        figure="figure-6-levels",
        parameters=section("sweep_figure_6"),


use rule examples_figure_2 as examples_figure_7 with:
    output:
        captioned("figure-7-healthy", PAPER, "Fig. 7: the methods on a healthy slice"),
        multiext("results/{benchmark}/figures/figure-7-healthy", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_figure_7.log",
    params:
        figure="figure-7-healthy",
        parameters=section("examples_figure_7"),


use rule examples_figure_2 as examples_supplement_1 with:
    output:
        captioned(
            "supplement-1-diseased",
            SUPPLEMENT,
            "Supplement, Fig. 1: more diseased slices",
        ),
        multiext("results/{benchmark}/figures/supplement-1-diseased", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_supplement_1.log",
    params:
        figure="supplement-1-diseased",
        parameters=section("examples_supplement_1"),


use rule examples_figure_2 as examples_supplement_2 with:
    output:
        captioned(
            "supplement-2-healthy",
            SUPPLEMENT,
            "Supplement, Fig. 2: more healthy slices",
        ),
        multiext("results/{benchmark}/figures/supplement-2-healthy", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_supplement_2.log",
    params:
        figure="supplement-2-healthy",
        parameters=section("examples_supplement_2"),


use rule examples_figure_2 as examples_supplement_3 with:
    output:
        captioned(
            "supplement-3-diseased",
            SUPPLEMENT,
            "Supplement, Fig. 3: more diseased slices",
        ),
        multiext("results/{benchmark}/figures/supplement-3-diseased", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/examples_supplement_3.log",
    params:
        figure="supplement-3-diseased",
        parameters=section("examples_supplement_3"),


use rule sensitivity_figure_4 as sensitivity_settings with:
    input:
        scores="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sensitivity"),
    output:
        captioned("settings", BEYOND, "scores over the settings"),
        multiext("results/{benchmark}/figures/settings", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/sensitivity_settings.log",
    params:
        figure="settings",
        parameters=section("sensitivity_settings"),


use rule sensitivity_figure_4 as sensitivity_heatmap with:
    input:
        scores="results/{benchmark}/tables/scores.csv",
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.sensitivity"),
    output:
        captioned("heatmap", BEYOND, "scores over two numbers of a grid"),
        multiext("results/{benchmark}/figures/heatmap", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/sensitivity_heatmap.log",
    params:
        figure="heatmap",
        parameters=section("sensitivity_heatmap"),


rule comparison_figure:
    input:
        table="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.comparison_figure"),
    output:
        captioned("comparison", BEYOND, "the methods"),
        multiext("results/{benchmark}/figures/comparison", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/comparison_figure.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("comparison_figure"),
    shell:
        "python -m stages.figures.comparison_figure --parameters {params.parameters:q} --table {input.table:q} "
        "--output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"


rule lesion_size:
    input:
        table="results/{benchmark}/tables/lesion_size.csv",
        code=code("stages.figures.lesion_size"),
    output:
        captioned("lesion-size", BEYOND, "scores by lesion size"),
        multiext("results/{benchmark}/figures/lesion-size", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/lesion_size.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("lesion_size"),
    shell:
        "python -m stages.figures.lesion_size --parameters {params.parameters:q} --table {input.table:q} "
        "--output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"


rule trade_off_figure:
    input:
        table="results/{benchmark}/tables/trade_off.csv",
        code=code("stages.figures.trade_off_figure"),
    output:
        captioned("trade-off", BEYOND, "scores over network evaluations"),
        multiext("results/{benchmark}/figures/trade-off", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/trade_off_figure.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("trade_off_figure"),
    shell:
        "python -m stages.figures.trade_off_figure --parameters {params.parameters:q} --table {input.table:q} "
        "--output results/{wildcards.benchmark:q}/figures 3>&2 2>&1 | tee -i {log:q}"
