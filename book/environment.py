"""What of a person's environment reaches the chapters: what a process needs, and nothing else.

A page is to be the same whoever builds it. `MPLBACKEND`, `PYTHONPATH`, a `matplotlibrc` or startup
files of IPython would change it, and not the key that says whether it is up to date.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PASSED = {
    # who runs it, where programs, libraries, caches and temporary files lie
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH"),
    *("LD_PRELOAD", "SSGAN_DATA"),
    # how much of the machine it may use
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"),
    # the way out, for data that is downloaded
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    # where the book is published
    *("GITHUB_REPOSITORY", "GITHUB_SERVER_URL"),
}


@contextlib.contextmanager
def clean_environment(root: Path) -> Iterator[None]:
    """Only what a process needs in `os.environ`; programs' own settings from `book/logs/config`."""
    config = root / "book" / "logs" / "config"
    before = dict(os.environ)
    after = {k: v for k, v in before.items() if k in PASSED or k.startswith("CUDA_")} | {
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the kernel's debugger warns otherwise
        "IPYTHONDIR": str(config / "ipython"),
        "MPLCONFIGDIR": str(config / "matplotlib"),
    }
    _become(after)
    try:
        if not config.exists():  # else the first chapter says that it looks for fonts
            config.mkdir(parents=True, exist_ok=True)
            look = [sys.executable, "-c", "import matplotlib.font_manager"]
            subprocess.run(look, stderr=subprocess.DEVNULL, check=False)
        yield
    finally:
        _become(before)


def _become(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
