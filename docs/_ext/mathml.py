"""Formulas as MathML, which browsers draw themselves: the pages need no script from elsewhere."""

from docutils import nodes
from latex2mathml.converter import convert


def inline(translator, node):
    """Write one formula inside a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(translator, node):
    """Write one formula on a line of its own."""
    translator.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def setup(app):
    """Announce the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True}
