"""A module as a file in one of the formats that other programs load, and the file's own numbers again."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from gwbench.errors import UserError
from gwbench.sharing.constants import fold_constants

Format = Literal["onnx", "torchscript", "torch-export"]

FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[Format, tuple[str, ...]] = {"onnx": (".onnx",), "torchscript": (".pt", ".ts"), "torch-export": (".pt2",)}
"""What a file's name may end in; the first is given to one that is not named."""

TOLERANCE: dict[Format, float] = {"onnx": 1e-4, "torchscript": 1e-5, "torch-export": 1e-5}
"""Largest difference from the run's own numbers, as `export.differences` measures it."""

METADATA = "gwbench.json"
"""The file within an archive of torch that holds the metadata, and their key in ONNX without the suffix."""

BATCH = 3
"""Windows of the example that a graph is recorded with."""

MOST = 2**20
"""Windows that a graph of `torch.export` takes at once."""

Loaded = Callable[[Tensor], "list[Tensor]"]


def write(
    module: nn.Module, example: Tensor, path: Path, how: Format, outputs: Sequence[str], metadata: dict[str, Any]
) -> None:
    """Write a module whose batch may have any size.

    Args:
        module: of torch's own layers, in evaluation mode.
        example: the input [BATCH, D, samples].
        path: of the file.
        how: the format.
        outputs: names of the outputs.
        metadata: what the file says of itself.
    """
    with _quiet(), torch.no_grad():
        if how == "torchscript":
            extra = {METADATA: json.dumps(metadata)}
            torch.jit.save(torch.jit.trace(module, example, check_trace=False), str(path), _extra_files=extra)
        elif how == "torch-export":
            program = _program(module, example)
            torch.export.save(program, path, extra_files={METADATA: json.dumps(metadata)})
        else:
            _write_onnx(module, example, path, outputs, metadata)


def load(path: Path, how: Format) -> Loaded:
    """What a file that was just written here gives of strain."""
    with _quiet():
        if how == "torchscript":
            script = torch.jit.load(str(path))
            return lambda strain: _listed(script(strain))
        if how == "torch-export":
            with path.open("rb") as stream:
                program = torch.export.load(stream).module()
            return lambda strain: _listed(program(strain))
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda strain: [torch.from_numpy(each) for each in session.run(None, {"strain": strain.numpy()})]


def require_packages(how: Format) -> None:
    """Raise `UserError` where a format needs what is not installed."""
    if how != "onnx":
        return
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"Export to ONNX needs {', '.join(missing)}. Install with `pip install 'gwbench-ssl[export]'`, or choose "
            "torchscript or torch-export."
        )


def _program(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The module's graph for any number of windows."""
    sizes = ({0: torch.export.Dim("batch", min=1, max=MOST)},)
    return torch.export.export(module, (example,), dynamic_shapes=sizes)


def _write_onnx(
    module: nn.Module, example: Tensor, path: Path, outputs: Sequence[str], metadata: dict[str, Any]
) -> None:
    program = _program(module, example)
    try:
        made = _onnx(program, example, outputs)
    except torch.onnx.errors.OnnxExporterError:
        graph = program.run_decompositions({}).module()
        fold_constants(graph)
        made = _onnx(_program(graph, example), example, outputs)
    for key, value in {METADATA.removesuffix(".json"): json.dumps(metadata), "run_id": metadata["run_id"]}.items():
        made.model.metadata_props[key] = value
    for value in (*made.model.graph.inputs, *made.model.graph.outputs):
        value.shape[0] = "batch"
    made.model.producer_name, made.model.producer_version = "gwbench", metadata["gwbench"]
    made.save(path)


def _onnx(program: torch.export.ExportedProgram, example: Tensor, outputs: Sequence[str]) -> Any:
    return torch.onnx.export(
        program, (example,), dynamo=True, verbose=False, input_names=["strain"], output_names=list(outputs)
    )


def _listed(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, torch's advice to those who record graphs is not shown: what is recorded here is compared after."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


__all__ = ["BATCH", "FORMATS", "METADATA", "SUFFIXES", "TOLERANCE", "Format", "load", "require_packages", "write"]
