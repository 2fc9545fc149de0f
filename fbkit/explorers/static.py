"""The picture that stays when the kernel is gone: a sibling output beside the live one, and one sentence."""

import base64
import html
from typing import Any

# With a live explorer before it the picture hides; without one (no kernel, exported page) what stands before it,
# an error line or the one sentence, hides instead. The class names are JupyterLab's; a browser test pins them.
_RULES = """
.jp-OutputArea-child:has(.fbkit-explorer) + .jp-OutputArea-child:has(.fbkit-static) { display: none; }
.jp-OutputArea-child:not(:has(.fbkit-explorer)):has(+ .jp-OutputArea-child .fbkit-static) { display: none; }
.fbkit-static { margin: 0; } .fbkit-static img { max-width: 100%; height: auto; background: #ffffff; }
.fbkit-static figcaption { font-size: 13px; margin-top: 4px; }
"""


def static_html(png: bytes, *, summary: str, width: int | None = None) -> str:
    """An HTML fragment with the picture inside and the summary as its text alternative."""
    said = html.escape(summary, quote=True)
    data = base64.b64encode(png).decode("ascii")
    size = f' width="{width}"' if width else ""
    image = f'<img alt="{said}"{size} src="data:image/png;base64,{data}">'
    return f'<style>{_RULES}</style><figure class="fbkit-static">{image}<figcaption>{said}</figcaption></figure>'


def png_width(png: bytes, *, scale: float) -> int:
    """The width at which a picture that was rendered ``scale`` times larger is meant to be shown."""
    return round(int.from_bytes(png[16:20], "big") / scale)


def show_with_twin(widget: Any, *, chart: Any, summary: str, scale: float = 2.0) -> None:
    """Display the live widget first and its static twin after it, off the way to the first picture.

    A ``chart`` that is a function is made then, too. Without one the sentence alone stays.
    """
    from IPython.display import display

    from fbkit.charts.render import to_png

    bundle = widget._repr_mimebundle_()
    live = bundle[0] if isinstance(bundle, tuple) else bundle
    display({**live, "text/plain": summary}, raw=True)
    if chart is None:
        return
    png = to_png(chart() if callable(chart) else chart, scale=scale)
    twin = static_html(png, summary=summary, width=png_width(png, scale=scale))
    display({"text/html": twin, "text/plain": summary}, raw=True)
