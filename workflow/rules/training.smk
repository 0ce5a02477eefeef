# Slice stores -> networks. A job that was killed goes on from the state folder, which Snakemake does not clean up; nor
# does it delete logs, so that metrics and sheets can be looked at whatever happens, and an imported checkpoint is taken
# as it is.


rule train_ddpm:
    input:
        data="results/{benchmark}/data",
        code=code("stages.training.ddpm"),
    output:
        checkpoint="results/{benchmark}/checkpoints/ddpm.safetensors",
    log:
        text="results/{benchmark}/logs/train_ddpm.log",
        metrics="results/{benchmark}/training/ddpm/metrics.csv",
        sheet="results/{benchmark}/training/ddpm/sheet.png",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        parameters=section("train_ddpm"),
        log="results/{benchmark}/training/ddpm",
        state="results/{benchmark}/state/ddpm",
    shell:
        "python -m stages.training.ddpm --parameters {params.parameters:q} --data {input.data}/train "
        "--checkpoint {output.checkpoint} --log {params.log} --state {params.state} --threads {threads} "
        "3>&2 2>&1 | tee -i {log.text}"


rule train_classifier:
    input:
        data="results/{benchmark}/data",
        code=code("stages.training.classifier"),
    output:
        checkpoint="results/{benchmark}/checkpoints/classifier.safetensors",
    log:
        text="results/{benchmark}/logs/train_classifier.log",
        metrics="results/{benchmark}/training/classifier/metrics.csv",
        sheet="results/{benchmark}/training/classifier/sheet.png",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        parameters=section("train_classifier"),
        log="results/{benchmark}/training/classifier",
        state="results/{benchmark}/state/classifier",
    shell:
        "python -m stages.training.classifier --parameters {params.parameters:q} --data {input.data}/train "
        "--checkpoint {output.checkpoint} --log {params.log} --state {params.state} --threads {threads} "
        "3>&2 2>&1 | tee -i {log.text}"
