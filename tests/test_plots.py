"""How tables come onto a page."""

import pandas as pd

from ssgan_core.digits.settings import DigitsSettings
from ssgan_core.plots import use_style


def test_the_meaning_of_a_parameter_is_shown_to_its_end() -> None:
    with pd.option_context("display.max_colwidth", 50):
        use_style()
        page = DigitsSettings.resolve().table()._repr_html_()
    meanings = [field.description for field in DigitsSettings.model_fields.values()]
    assert max(map(len, meanings)) > 50
    assert all(f"<td>{meaning}</td>" in page for meaning in meanings)
