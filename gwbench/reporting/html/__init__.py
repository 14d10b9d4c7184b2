"""Results -> self-contained HTML pages: `page` is the frame, `charts` the figures."""
