"""What the tables of a benchmark and their columns are, in words: for the page of sortable tables."""

from stages.evaluation.summary import FIELD_TITLES, TITLES, USE_TITLES

TABLE_TEXTS = {
    "comparison": (
        "Comparison of the methods",
        "Each method at its reported setting, on the test subjects of all folds, mean over seeds. Dice, AUROC and "
        "average precision: 0 to 1, higher is better; mean maps are in the unit of the method's own map, so only their "
        "ratio compares methods (lower is better). In brackets the 95 % interval of a bootstrap over subjects and, "
        "where there are several, seeds; after ± the standard deviation over seeds. Sorting goes by the value. The "
        "setting is what image labels of validation subjects choose, or params.yaml fixes; beside it stands what "
        "masks would have chosen, and the Dice that this would have gained.",
    ),
    "lesion_size": (
        "Scores by lesion size",
        "The scored test slices in groups of about equal number by their lesion's pixels, the same slices for every "
        "method; group 1 has the smallest lesions. Small lesions are the hard ones. 95 % intervals: bootstrap over "
        "subjects and, where there are several, seeds.",
    ),
    "paired": (
        "Paired comparisons",
        "For every pair of methods the difference of a metric on the same test slices, method minus other, with its "
        "95 % bootstrap interval (the same subjects and seeds drawn for both). p is the larger of two: of a two-sided "
        "sign-flip permutation test over subjects, and of a t-test over seeds, since a ranking should hold for other "
        "subjects and for another training. With one seed nothing is said of another training. Unadjusted, and "
        "adjusted by Holm's procedure over the pairs of a metric; it cannot fall below the smallest p that so few "
        "subjects allow. With fewer than ten subjects the interval is too narrow for 95 %; where the two disagree, go "
        "by p.",
    ),
    "sensitivity": (
        "Scores over the settings",
        "The numbers of Fig. 4: test subjects, a row a setting of each method whose grid has two numbers, such as the "
        "gradient scale s and the noise level L. Reported: 1 marks the setting of the comparison, or each "
        "that a fold chose. A setting that is best here was not chosen here: validation subjects choose, or "
        "params.yaml fixes it.",
    ),
    "trade_off": (
        "Scores against network evaluations",
        "What a faster sampler costs: a row a solver, stride and gradient scale, on as many slices as trade_off.slices "
        "of the parameters says. Network evaluations are per image. The reconstruction error is that of the "
        "round trip: the mean absolute difference between healthy slices and their reconstructions at s = 0, where an "
        "exact solver returns the image. Errors of the two ways can cancel, so it does not say how well x_L was found.",
    ),
    "scores": (
        "All settings and splits",
        "A row a method, setting and split: subjects of all folds, mean over seeds. Validation rows chose the reported "
        "settings; test rows are compared.",
    ),
    "repeats": (
        "All repeats",
        "A row a repeat, method, setting and split. A fold draws the split anew, with other test subjects; a seed "
        "trains and samples anew on the same split. How far rows of one setting lie apart is what the mean hides.",
    ),
}
"""File name without its ending -> heading, and what stands above the table."""

COLUMN_TITLES = {
    **TITLES,
    **FIELD_TITLES,
    **USE_TITLES,
    "dice_average_otsu_all": "Dice (average Otsu), all diseased",
    "dice_own_otsu_all": "Dice (own Otsu), all diseased",
    "auroc_all": "AUROC, all diseased",
    "diseased_mean_map": "diseased mean map",
    "average_otsu": "average Otsu threshold",
    "settings": "settings of the folds",
    "setting_by_masks": "setting by masks",
    "dice_average_otsu_by_masks": "Dice (average Otsu) of it",
    "auroc_by_masks": "AUROC of it",
    "gap": "Dice gained by masks",
    "p_holm": "p (Holm)",
    "p_subjects": "p over subjects",
    "p_seeds": "p over seeds",
    "smallest_p": "smallest possible p",
    "from_pixels": "lesion from (pixels)",
    "to_pixels": "lesion to (pixels)",
    "denoiser_evaluations": "evaluations of the denoiser",
}
"""Column -> its heading; of others, the name with blanks for underscores."""

COLUMN_TEXTS = {
    "trained_on": "What trained the method: image labels (the paper's task), healthy images alone (another task), "
    "masks (an upper bound, no competitor), or nothing.",
    "setting": "A point of the method's grid: L is the noise level, s the gradient scale, w the guidance weight.",
    "settings": "The reported setting, or where folds chose differently, each with its number of folds.",
    "chosen_on": "What decided the reported setting: image labels of validation subjects, or params.yaml; no mask.",
    "setting_by_masks": "What the validation subjects would have chosen by Dice, with masks: not reported.",
    "dice_average_otsu_by_masks": "Dice (average Otsu) of that setting on the test subjects.",
    "auroc_by_masks": "AUROC of that setting on the test subjects.",
    "gap": "Dice (average Otsu) of the choice by masks minus that of the choice by labels; empty for fixed settings.",
    "dice_average_otsu": "Overlap with the mask at one threshold for all slices, the mean of the scored test slices' "
    "Otsu thresholds (the paper's words); mean over the scored slices.",
    "dice_own_otsu": "Overlap with the mask at each slice's own Otsu threshold (the authors' code).",
    "dice_healthy_quantile": "Overlap with the mask at the quantile evaluation.healthy_quantile of the body's pixels "
    "in maps of healthy validation slices, a threshold that image labels alone give; mean over the scored slices.",
    "lesion_rate": "Share of all lesions (connected regions of the masks, of whatever size) that hold the highest "
    "pixel of a finding (a connected region above the slice's own Otsu threshold), at the score above which false "
    "findings average one a slice.",
    "healthy_marked": "Share of healthy slices with a pixel above the average Otsu threshold: false alarms, which "
    "Dice over the scored slices does not see.",
    "auroc": "Ranking of all pixels of a slice, empty background included; mean over the scored slices.",
    "auroc_body": "Ranking of the pixels of the body; mean over the scored slices.",
    "ap": "Average precision over all pixels of all slices, healthy ones included, in one ranking.",
    "ap_body": "Average precision over the pixels of the body of all slices, in one ranking.",
    "best_dice": "Dice over all pixels of all slices at the threshold that suits the masks best: an upper "
    "bound for thresholds on these pixels; Dice over scored slices, or by subject, can lie above it.",
    "dice_average_otsu_all": "Without the smallest lesion area; mean over all diseased slices.",
    "dice_own_otsu_all": "Without the smallest lesion area; mean over all diseased slices.",
    "auroc_all": "Without the smallest lesion area; mean over all diseased slices.",
    "dice_3d": "Dice over all extracted slices of a volume together, at the average Otsu threshold; mean over "
    "subjects with a lesion, of several volumes of a subject over these first.",
    "image_auroc": "Diseased against healthy slices by the mean of the map; it needs no mask. Within each fold.",
    "image_auroc_max": "Diseased against healthy slices by the maximum of the map.",
    "healthy_mean_map": "Mean of the map over healthy slices, in the unit of the method's own map.",
    "diseased_mean_map": "Mean of the map over diseased slices, in the unit of the method's own map.",
    "mean_map_ratio": "Mean map of healthy slices over that of diseased ones; 1: the map does not tell them apart.",
    "body_share": "Share of the pixels that belong to the body.",
    "average_otsu": "The threshold, in the unit of the method's own map.",
    "repeat": "A fold with a seed: one training of every network, detection and scores.",
    "fold": "Which draw of the split: test subjects of two folds are never the same.",
    "seed": "Of weights, batches and noise.",
    "folds": "Folds whose test subjects stand together in the row.",
    "seeds": "Trainings over which the row is a mean.",
    "subjects": "Subjects behind the row.",
    "slices": "Slices behind the row.",
    "diseased": "Diseased slices among them.",
    "scored": "Diseased slices above the smallest lesion area (evaluation.lesion_pixels_at_256, scaled with the area).",
    "denoiser_evaluations": "Forward passes of the denoiser per image, encoding and decoding.",
    "classifier_evaluations": "Gradients of the classifier per image.",
    "evaluations": "Of denoiser and classifier together, per image.",
    "seconds": "Time per image on the machine that ran it, encoding included.",
    "memory_mb": "Peak memory of the card, or where there was none of the process, on the machine that ran it.",
    "reconstruction_error": "Mean absolute difference between healthy slices and their reconstructions at s = 0.",
    "p": "Probability of so large a difference, were the methods alike: the larger of those over subjects and seeds.",
    "p_subjects": "By flipping the sign of subjects' differences.",
    "p_seeds": "By a t-test of the seeds' differences; empty with one seed.",
    "p_holm": "p adjusted for the number of pairs.",
    "smallest_p": "The p of subjects that all agree: no smaller one is possible with so few of them.",
    "reported": "1 for the setting of the comparison, or each that a fold chose.",
}
"""Column -> one sentence."""

FURTHER = frozenset(
    {
        "dice_average_otsu_all",
        "dice_own_otsu_all",
        "auroc_all",
        "diseased_mean_map",
        "auroc_body",
        "ap_body",
        "best_dice",
        "image_auroc_max",
        "memory_mb",
        "slices",
        "diseased",
        "average_otsu",
        "body_share",
        "dice_average_otsu_by_masks",
        "auroc_by_masks",
        "p_subjects",
        "p_seeds",
    }
)
"""Columns that are shown on demand: with all of them at once nobody finds those that decide."""
