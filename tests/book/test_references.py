"""The bibliography: every entry can be found, and every data set at its publisher."""

import re
from pathlib import Path

import pytest
from pybtex.database import parse_file

REPO = Path(__file__).resolve().parents[2]
ENTRIES = parse_file(str(REPO / "book/references.bib")).entries
FORMS = {
    "doi": r"10\.\d{4,5}/\S+",
    "eprint": r"\d{4}\.\d{4,5}",  # of arXiv
    "url": r"https?://[\w.-]+\.[a-z]+/\S*",
}
DATA = ("dogsvscats", "petimages", "oxfordpets", "mnist", "digits")


def address(fields):
    """Where an entry can be found, as a page links it; None where it does not say."""
    for name, form in FORMS.items():
        if name in fields:
            assert re.fullmatch(form, fields[name]), f"{name} = {fields[name]}"
    if "eprint" in fields:
        assert fields["archiveprefix"] == "arXiv"
    doi, eprint, url = (fields.get(name) for name in FORMS)
    return url or (doi and f"https://doi.org/{doi}") or (eprint and f"arxiv.org/abs/{eprint}")


@pytest.mark.parametrize("key", ENTRIES)
def test_every_reference_has_a_doi_an_arxiv_id_or_an_address(key):
    assert address(ENTRIES[key].fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"doi": "https://doi.org/10.1109/5.726791"},
        {"eprint": "arXiv:1606.03498", "archiveprefix": "arXiv"},
        {"eprint": "1606.03498", "archiveprefix": "hep"},
        {"url": "docs.nvidia.com"},
    ],
)
def test_what_is_no_address_is_found(fields):
    with pytest.raises((AssertionError, KeyError)):
        assert address(fields)


@pytest.mark.parametrize("key", DATA)
def test_the_readme_has_the_publishers_address_of_every_data_set(key):
    photos = re.search(r"^## Photos\n(.*?)^## ", (REPO / "README.md").read_text(), re.S | re.M)[1]
    assert f"({address(ENTRIES[key].fields)})" in photos
