r"""Formulas: a block of ```math becomes a picture that is drawn here, so that the site needs no script for it.

Browsers of the repository draw such blocks, too. matplotlib draws them: the TeX of its mathtext is what may be used.
"""

from __future__ import annotations

import hashlib
import html
import io
import re

BLOCK = re.compile(r"^```math\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by mkdocs: draw the formulas of a page."""
    return BLOCK.sub(lambda found: "\n".join(_picture(line) for line in found[1].split("\\\\\n")), markdown)


def _picture(tex: str) -> str:
    """A formula as SVG in the colour of the text, with its TeX for readers that cannot see it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tex = " ".join(tex.split())
    large = tex.replace(r"\frac", r"\dfrac")
    with mpl.rc_context({"svg.fonttype": "path", "mathtext.fontset": "cm", "svg.hashsalt": "gwbench"}):
        figure = Figure(figsize=(0.1, 0.1))
        figure.text(0, 0, f"${large}$", fontsize=13)
        buffer = io.BytesIO()
        margin = {"bbox_inches": "tight", "pad_inches": 0.03}
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None}, **margin)
    svg = buffer.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\n\s*", " ", svg)
    label = html.escape(tex, quote=True)
    unique = "f" + hashlib.sha256(tex.encode()).hexdigest()[:8]
    svg = re.sub(r'id="([^"]+)"', rf'id="{unique}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{unique}-\1"', svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" fill="currentColor" ', 1)
    return f'<div class="formula">{svg}</div>\n'
