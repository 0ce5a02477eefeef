"""What the tables of a benchmark and their columns are, in words: for the page of sortable tables."""

from stages.evaluation.summary import FIELD_TITLES, TITLES

TABLE_TEXTS = {
    "comparison": (
        "Comparison of the methods",
        "Each method at its reported setting, on the test split. Dice, AUROC and average precision: 0 to 1, "
        "higher is better; mean maps are in the unit of the method's own map, so only their ratio compares methods "
        "(lower is better). In brackets the 95 % interval of a bootstrap over subjects; sorting goes by the value.",
    ),
    "lesion_size": (
        "Scores by lesion size",
        "The scored test slices in groups of about equal number by their lesion's pixels, the same slices for every "
        "method; group 1 has the smallest lesions. Small lesions are the hard ones. 95 % intervals: bootstrap over "
        "subjects.",
    ),
    "paired": (
        "Paired comparisons",
        "For every pair of methods the difference of a metric on the same test slices, method minus other, with its "
        "95 % bootstrap interval (the same subjects drawn for both). p: two-sided sign-flip permutation test over "
        "subjects, unadjusted, and adjusted by Holm's procedure over the pairs of a metric; it cannot fall below the "
        "smallest p that so few subjects allow. With fewer than ten subjects the interval is too narrow for 95 %; "
        "where the two disagree, go by p.",
    ),
    "sensitivity": (
        "Scores over the settings",
        "The numbers of Fig. 4: test split, a row a setting of each method whose grid has two numbers, such as the "
        "guidance scale s and the noise level L. Reported: 1 marks the setting of the comparison. A setting that is "
        "best here was not chosen here: validation subjects choose, or params.yaml fixes it.",
    ),
    "trade_off": (
        "Scores against network evaluations",
        "What a faster sampler costs: a row a solver, stride and guidance scale, on as many slices as trade_off.slices "
        "of the parameters says. Network evaluations are per image. The reconstruction error is that of the "
        "round trip: the mean absolute difference between image and reconstruction at s = 0, where an exact solver "
        "returns the image. Errors of the two ways can cancel, so it does not say how well x_L was found.",
    ),
    "scores": (
        "All settings and splits",
        "A row a method, setting and split. Validation rows chose the reported settings; test rows are compared.",
    ),
}
"""File name without its ending -> heading, and what stands above the table."""

COLUMN_TITLES = {
    **TITLES,
    **FIELD_TITLES,
    "dice_average_otsu_all": "Dice (average Otsu), all diseased",
    "dice_own_otsu_all": "Dice (own Otsu), all diseased",
    "auroc_all": "AUROC, all diseased",
    "diseased_mean_map": "diseased mean map",
    "average_otsu": "average Otsu threshold",
    "p_holm": "p (Holm)",
    "smallest_p": "smallest possible p",
    "from_pixels": "lesion from (pixels)",
    "to_pixels": "lesion to (pixels)",
    "denoiser_evaluations": "evaluations of the denoiser",
}
"""Column -> its heading; of others, the name with blanks for underscores."""

COLUMN_TEXTS = {
    "setting": "A point of the method's grid: L is the noise level, s the guidance scale, w the guidance weight.",
    "chosen_on": "What decided the reported setting: the validation subjects, or params.yaml.",
    "dice_average_otsu": "Overlap with the mask at one threshold for all slices, the mean of the scored test slices' "
    "Otsu thresholds (the paper's words); mean over the scored slices.",
    "dice_own_otsu": "Overlap with the mask at each slice's own Otsu threshold (the authors' code).",
    "auroc": "Ranking of all pixels of a slice, empty background included; mean over the scored slices.",
    "auroc_body": "Ranking of the pixels of the body; mean over the scored slices.",
    "ap": "Average precision over all pixels of all slices, healthy ones included, in one ranking.",
    "ap_body": "Average precision over the pixels of the body of all slices, in one ranking.",
    "best_dice": "Dice over all pixels of all slices at the threshold that suits the masks best: an upper "
    "bound for thresholds on these pixels; Dice over scored slices, or by subject, can lie above it.",
    "dice_3d": "Dice over all extracted slices of a subject together, at the average Otsu threshold; mean over "
    "subjects with a lesion.",
    "image_auroc": "Diseased against healthy slices by the mean of the map; it needs no mask.",
    "image_auroc_max": "Diseased against healthy slices by the maximum of the map.",
    "healthy_mean_map": "Mean of the map over healthy slices, in the unit of the method's own map.",
    "diseased_mean_map": "Mean of the map over diseased slices, in the unit of the method's own map.",
    "mean_map_ratio": "Mean map of healthy slices over that of diseased ones; 1: the map does not tell them apart.",
    "body_share": "Share of the pixels that belong to the body.",
    "average_otsu": "The threshold, in the unit of the method's own map.",
    "subjects": "Subjects behind the row.",
    "slices": "Slices behind the row.",
    "diseased": "Diseased slices among them.",
    "scored": "Diseased slices above the smallest lesion area (evaluation.lesion_pixels_at_256, scaled with the area).",
    "denoiser_evaluations": "Forward passes of the denoiser per image, encoding and decoding.",
    "classifier_evaluations": "Gradients of the classifier per image.",
    "evaluations": "Of denoiser and classifier together, per image.",
    "seconds": "Time per image on the machine that ran it.",
    "reconstruction_error": "Mean absolute difference between image and reconstruction at s = 0.",
    "p": "Probability of so large a difference, were the methods alike.",
    "p_holm": "p adjusted for the number of pairs.",
    "smallest_p": "The p of subjects that all agree: no smaller one is possible with so few of them.",
    "reported": "1 for the setting of the comparison.",
}
"""Column -> one sentence."""
