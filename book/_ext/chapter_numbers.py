"""Chapters bear their number wherever they are named: title, sidebar and links.

It is that of the file: `03_the_complement_generator` is "3 The complement generator".
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class NumberTitle(SphinxTransform):
    """Put a chapter's number before its title."""

    default_priority = 500  # before Sphinx notes the titles that links show

    def apply(self) -> None:
        number = re.fullmatch(r"book/chapters/(\d+)_\w+", self.env.docname)
        title = next(self.document.findall(nodes.title), None)
        if number and title:
            title.insert(0, nodes.Text(f"{int(number[1])} "))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(NumberTitle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
