import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stages.evaluation import bootstrap


def interval(values, subjects, draws):
    return bootstrap.ends(bootstrap.means(values, subjects, draws))


def test_every_resample_draws_as_many_subjects_as_there_are():
    draws = bootstrap.resample_subjects(7, 500, seed=0)
    assert draws.shape == (500, 7)
    assert (draws.sum(1) == 7).all()
    assert draws.mean(0) == pytest.approx(1, abs=0.15)
    assert (draws == bootstrap.resample_subjects(7, 500, seed=0)).all()
    assert (draws != bootstrap.resample_subjects(7, 500, seed=1)).any()


def test_one_subject_has_no_width_however_many_slices():
    draws = bootstrap.resample_subjects(1, 100, seed=0)
    values = np.random.default_rng(0).uniform(size=50)
    assert interval(values, np.zeros(50, int), draws) == pytest.approx((values.mean(), values.mean()))


def test_subjects_are_drawn_not_slices():
    # Two subjects, 0 and 1 throughout: the mean is 0, 1/2 or 1, with 1/4, 1/2, 1/4; of slices it would stay near 1/2.
    draws = bootstrap.resample_subjects(2, 2000, seed=0)
    values, subjects = np.repeat([0.0, 1.0], 100), np.repeat([0, 1], 100)
    assert interval(values, subjects, draws) == (0, 1)


def test_it_is_the_plain_loop():
    rng = np.random.default_rng(1)
    subjects, values = rng.integers(0, 5, 40), rng.uniform(size=40)
    values[rng.random(40) < 0.3] = np.nan
    draws = bootstrap.resample_subjects(5, 300, seed=2)
    means = []
    for draw in draws:
        resample = np.concatenate([values[subjects == s] for s in np.repeat(np.arange(5), draw)])
        means.append(np.nanmean(resample))
    assert interval(values, subjects, draws) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_subjects_of_equal_size_agree_with_the_normal_interval():
    rng = np.random.default_rng(3)
    per_subject = rng.normal(size=100)
    values, subjects = np.repeat(per_subject, 4), np.repeat(np.arange(100), 4)
    low, high = interval(values, subjects, bootstrap.resample_subjects(100, 4000, seed=0))
    half = 1.96 * per_subject.std() / 10
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_a_subject_without_slices_that_count_changes_nothing_but_the_draws():
    draws = np.array([[2, 0], [0, 2], [1, 1]])
    assert interval([0.3, np.nan], [0, 1], draws) == pytest.approx((0.3, 0.3))
    assert np.isnan(interval([np.nan, np.nan], [0, 1], draws)).all()


@pytest.mark.parametrize("decimals", [1, 9])  # with ties and without
def test_the_auroc_of_a_resample_is_scikit_learns_on_its_slices(decimals):
    rng = np.random.default_rng(4)
    subjects, diseased = rng.integers(0, 6, 60), rng.random(60) < 0.4
    values = np.round(rng.uniform(size=60) + 0.3 * diseased, decimals)
    draws = bootstrap.resample_subjects(6, 40, seed=5)
    expected = []
    for draw in draws:
        rows = np.concatenate([np.flatnonzero(subjects == s) for s in np.repeat(np.arange(6), draw)])
        expected.append(roc_auc_score(diseased[rows], values[rows]))
    assert bootstrap.aurocs(values, diseased, subjects, draws) == pytest.approx(np.array(expected), abs=1e-12)


def test_a_resample_of_one_class_has_no_auroc_and_is_left_out():
    # A chest benchmark has one image a subject: many small resamples are all healthy.
    draws = np.array([[2, 0], [0, 2], [1, 1]])
    found = bootstrap.aurocs([0.1, 0.9], [False, True], [0, 1], draws)
    assert np.isnan(found).tolist() == [True, True, False]
    assert bootstrap.ends(found) == (1, 1)


def test_a_quotient_takes_a_denominator_above_zero():
    assert bootstrap.divide([1.0, 1.0, 1.0], [4.0, 0.0, -1.0])[0] == 0.25
    assert np.isnan(bootstrap.divide([1.0, 1.0, 1.0], [4.0, 0.0, -1.0])[1:]).all()


def test_seeds_are_drawn_apart_from_the_subjects():
    draws = bootstrap.resample_seeds(3, 500, seed=0)
    assert (draws.sum(1) == 3).all()
    assert draws.mean(0) == pytest.approx(1, abs=0.15)
    assert (draws != bootstrap.resample_subjects(3, 500, seed=0)).any()
    assert (bootstrap.resample_seeds(1, 5, seed=0) == 1).all()


def test_the_mean_over_seeds_leaves_out_those_without_an_estimate():
    estimates = np.array([[0.2, 0.4, np.nan, np.nan], [0.5, 0.7, 0.9, 0.1]])
    draws = np.array([[1, 1], [2, 0], [1, 1], [2, 0]])
    assert bootstrap.over_seeds(estimates, draws)[:3] == pytest.approx([0.35, 0.4, 0.9])
    assert np.isnan(bootstrap.over_seeds(estimates, draws)[3])
    one = np.random.default_rng(0).uniform(size=(1, 50))
    assert (bootstrap.over_seeds(one, np.ones((50, 1), int)) == one[0]).all(), "one seed is itself, to the last bit"
