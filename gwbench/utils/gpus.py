"""Which GPUs this process sees: CUDA_VISIBLE_DEVICES, and slices of GPUs (NVIDIA's multi-instance GPU, MIG)."""

from __future__ import annotations

import os
import re
import subprocess

VISIBLE = "CUDA_VISIBLE_DEVICES"
SLICE = "MIG-"
"""What the name of a slice in CUDA_VISIBLE_DEVICES begins with."""

LISTED_SLICE = re.compile(r"^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)\s]+)\)", re.MULTILINE)
"""A line of `nvidia-smi -L` about a slice: its profile, such as 1g.5gb, and its name."""


def visible_entries() -> list[str] | None:
    """The entries of CUDA_VISIBLE_DEVICES: numbers, "GPU-..." or "MIG-..."; None where it is not set.

    CUDA reads them up to the first that it does not know: after -1 there is none.
    """
    text = os.environ.get(VISIBLE)
    if text is None:
        return None
    entries = [entry.strip() for entry in text.split(",")]
    known = [entry for entry in entries if entry]
    if len(known) < len(entries):
        known = entries[: entries.index("")]
    unknown = [place for place, entry in enumerate(known) if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", entry)]
    return known[: unknown[0]] if unknown else known


def gpu_names() -> list[str]:
    """Names of the GPUs that torch sees, a slice's with its profile, such as "NVIDIA A100-SXM4-40GB MIG 1g.5gb".

    None where the driver does not tell them: what then needs a GPU says what is wrong.
    """
    import torch

    try:
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    except RuntimeError:
        return []


def sees_slice() -> bool:
    """Whether this process computes on a slice of a GPU."""
    named = any(entry.startswith(SLICE) for entry in visible_entries() or ())
    return named or any(re.search(r"\bMIG\b", name) for name in gpu_names())


def listed_slices(listing: str) -> list[tuple[str, str]]:
    """(profile, name) of the slices in what `nvidia-smi -L` prints."""
    return LISTED_SLICE.findall(listing)


def nvidia_smi_listing() -> str:
    """What `nvidia-smi -L` prints; empty where there is none, or it does not answer."""
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def what_is_visible() -> str:
    """Which GPUs there are for this process, in a sentence, and what hides others."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    entries = visible_entries()
    setting = "" if entries is None else f"{VISIBLE}={os.environ[VISIBLE]}"
    if count:
        seen = "one GPU, cuda:0" if count == 1 else f"{count} GPUs, cuda:0 to cuda:{count - 1}"
        numbered = f" ({setting}; they are numbered from 0)" if setting else ""
        return f"This process sees {seen}{numbered}."
    if torch.version.cuda is None:
        return "The torch that is installed was built without CUDA."
    if entries == []:
        return f"{setting or VISIBLE} hides every GPU: unset it to see them."
    return f"This process sees no GPU ({setting})." if setting else "This process sees no GPU."
