# Slices -> noise -> healthy reconstructions and anomaly maps.


# Encoding to the largest L passes all others and does not know s: one job a class, for every method that encodes so.
rule encode_ddim:
    input:
        data="results/{benchmark}/data",
        ddpm="results/{benchmark}/checkpoints/ddpm.safetensors",
        code=code("stages.detection.encode"),
    output:
        directory("results/{benchmark}/latents/{encode_class}"),
    log:
        "results/{benchmark}/logs/encode_ddim/{encode_class}.log",
    wildcard_constraints:
        encode_class="healthy|diseased|none",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        parameters=section("encode_ddim", levels=encode_levels),
        splits=splits,
        state="results/{benchmark}/state/latents/{encode_class}",
    shell:
        "python -m stages.detection.encode --parameters {params.parameters:q} --encode-class {wildcards.encode_class} "
        "--data {input.data} --splits {params.splits} --ddpm {input.ddpm} --output {output} --state {params.state} "
        "--threads {threads} 3>&2 2>&1 | tee -i {log}"


# A new s decodes only itself; a new L encodes again and thus decodes all that start from the same encoding. (With
# `ancient` around the latents, Snakemake 9.27 encodes and then forgets the new decode jobs until it is called again.)
rule decode_ddim:
    input:
        data="results/{benchmark}/data",
        latents=latents,
        ddpm="results/{benchmark}/checkpoints/ddpm.safetensors",
        classifier=classifier,
        code=code("stages.detection.decode"),
    output:
        directory("results/{benchmark}/maps/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/decode_ddim/{method}/{setting}.log",
    wildcard_constraints:
        method=one_of(own_methods()),
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        parameters=section("decode_ddim", classifier=classifier_section),
        decode_class=lambda wildcards: method_of(wildcards)["decode_class"],
        level=lambda wildcards: setting_of(wildcards)["L"],
        scale=lambda wildcards: setting_of(wildcards)["s"],
        classifier=lambda wildcards: classifier(wildcards)
        and ["--classifier", classifier(wildcards)],
        splits=splits,
        state="results/{benchmark}/state/maps/{method}/{setting}",
    shell:
        "python -m stages.detection.decode --parameters {params.parameters:q} --decode-class {params.decode_class} "
        "--level {params.level} --scale {params.scale} --data {input.data} --splits {params.splits} "
        "--latents {input.latents} --ddpm {input.ddpm} {params.classifier} --output {output} --state {params.state} "
        "--threads {threads} 3>&2 2>&1 | tee -i {log}"
