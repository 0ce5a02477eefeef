"""Where a licence is read, and who gives the data."""

import pytest

from stages.cards import terms


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("phantom", ("https://spdx.org/licenses/MIT", "diffusion-anomaly-benchmark")),
        ("msd", ("https://spdx.org/licenses/CC-BY-SA-4.0", "Medical Segmentation Decathlon")),
        ("nih", ("https://nihcc.app.box.com/v/ChestXray-NIHCC", "NIH Clinical Center")),
        ("CC0-1.0", ("https://spdx.org/licenses/CC0-1.0", None)),
    ],
)
def test_where_a_licence_is_read_and_who_gives_the_data(licence, said):
    found = terms.of(licence)
    assert (found.licence_url, found.provider) == said
