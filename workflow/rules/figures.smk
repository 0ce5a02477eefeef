# Tables and maps -> figures.


rule plot_examples:
    input:
        data="results/{benchmark}/data",
        maps=lambda wildcards: anomaly_maps(wildcards.benchmark),
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.examples"),
    output:
        report(
            "results/{benchmark}/figures/examples.png",
            caption="../report/examples.rst",
            category="{benchmark}",
            labels={"figure": "examples"},
        ),
        multiext("results/{benchmark}/figures/examples", ".svg", ".pdf"),
        report(
            "results/{benchmark}/figures/healthy.png",
            caption="../report/healthy.rst",
            category="{benchmark}",
            labels={"figure": "healthy"},
        ),
        multiext("results/{benchmark}/figures/healthy", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_examples.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_examples"),
        maps="results/{benchmark}/maps",
        figures="results/{benchmark}/figures",
    shell:
        "python -m stages.figures.examples --parameters {params.parameters:q} --data {input.data} "
        "--maps {params.maps} --comparison {input.comparison} --output {params.figures} 3>&2 2>&1 | tee -i {log}"


rule plot_sensitivity:
    input:
        scores="results/{benchmark}/tables/scores.csv",
        code=code("stages.figures.sensitivity"),
    output:
        report(
            "results/{benchmark}/figures/sensitivity.png",
            caption="../report/sensitivity.rst",
            category="{benchmark}",
            labels={"figure": "sensitivity"},
        ),
        multiext("results/{benchmark}/figures/sensitivity", ".svg", ".pdf"),
    log:
        "results/{benchmark}/logs/plot_sensitivity.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        parameters=section("plot_sensitivity"),
        figures="results/{benchmark}/figures",
    shell:
        "python -m stages.figures.sensitivity --parameters {params.parameters:q} --scores {input.scores} "
        "--output {params.figures} 3>&2 2>&1 | tee -i {log}"


rule plot_comparison:
    input:
        comparison="results/{benchmark}/tables/comparison.csv",
        code=code("stages.figures.comparison"),
    output:
        report(
            "results/{benchmark}/figures/comparison.png",
            caption="../report/comparison-figure.rst",
            category="{benchmark}",
            labels={"figure": "comparison of the methods"},
        ),
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
        figures="results/{benchmark}/figures",
    shell:
        "python -m stages.figures.comparison --parameters {params.parameters:q} --comparison {input.comparison} "
        "--output {params.figures} 3>&2 2>&1 | tee -i {log}"
