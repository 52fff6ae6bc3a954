"""What only a notebook needs."""

import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown


def show_source(*objects: Callable | type) -> Markdown:
    """Source of functions, methods or classes as it stands in the package, highlighted in the page.

    The page shows the code that ran: nothing is copied, so nothing can drift apart.
    """
    blocks = [textwrap.dedent(inspect.getsource(item)).rstrip() for item in objects]
    return Markdown("```python\n" + "\n\n\n".join(blocks) + "\n```")
