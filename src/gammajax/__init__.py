"""gammajax: maximum-likelihood fits of gamma-ray data with models and likelihoods that are pure JAX functions."""

import logging
from typing import TYPE_CHECKING

from gammajax.lazy import names_of

if TYPE_CHECKING:
    from gammajax.public import *  # noqa: F403

__version__ = "0.1.0"

# messages go where the program that uses gammajax sends them, and nowhere by themselves
logging.getLogger(__name__).addHandler(logging.NullHandler())

# a name is loaded when it is used: the command, and whoever looks how far a scan is, do without JAX
__getattr__, __dir__ = names_of("gammajax", "gammajax.public")
