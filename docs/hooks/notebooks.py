"""A page for every notebook of the tutorials: its text, its code, and the outputs that are stored in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File


def on_files(files: Any, *, config: Any) -> Any:
    """Called by mkdocs: add the pages. The notebooks themselves are copied beside them, to be downloaded."""
    docs = Path(config.docs_dir)
    for path in sorted(docs.glob("tutorials/*.ipynb")):
        source = path.relative_to(docs)
        files.append(File.generated(config, source.with_suffix(".md").as_posix(), content=_markdown(path)))
    return files


def _markdown(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    note = f"*This page is the notebook [{path.name}]({path.name}), which you can download and run.*"
    place = next((number for number, part in enumerate(parts) if part.startswith("# ")), -1) + 1
    first, _, rest = parts[place - 1].partition("\n") if place else ("", "", "")
    head = [first, note, rest.strip()] if place else [note]
    return "\n\n".join([*parts[: max(place - 1, 0)], *head, *parts[place:]]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    text = "".join(cell["source"]).strip()
    if not text:
        return []
    if cell["cell_type"] != "code":
        return [text]
    return [f"```python\n{text}\n```", *(_output(output) for output in cell["outputs"] if _output(output))]


def _output(output: dict[str, Any]) -> str:
    """An output as Markdown; empty where it is nothing that a page shows."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="Figure drawn by the code above" src="data:image/png;base64,{picture}">'
    if "text/html" in data:
        return f'<div class="notebook-output" markdown="0">{"".join(data["text/html"])}</div>'
    text = "".join(data.get("text/plain", output.get("text", ""))).rstrip()
    return f"```text\n{text}\n```" if text else ""
