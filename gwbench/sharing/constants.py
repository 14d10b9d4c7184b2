"""Values of a graph that no input changes, computed before the graph is exported.

A state space, for instance, makes its impulse response of complex exponentials, which ONNX has not. The response is the
same for every window.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

if TYPE_CHECKING:
    from collections.abc import Mapping


def fold_constants(graph: fx.GraphModule) -> None:
    """Compute, in place, what depends on the graph's own tensors alone."""
    known = _constants(graph)
    for node, value in known.items():
        if node.op != "call_function" or all(user in known for user in node.users):
            continue
        name = f"constant_{len(list(graph.buffers(recurse=False)))}"
        graph.register_buffer(name, value.detach().clone())
        with graph.graph.inserting_before(node):
            node.replace_all_uses_with(graph.graph.get_attr(name))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _constants(graph: fx.GraphModule) -> dict[fx.Node, Tensor]:
    """The tensors that are the same whatever the input is, by the nodes that give them."""
    known: dict[fx.Node, Tensor] = {}
    for node in graph.graph.nodes:
        value = _value(graph, node, known)
        if isinstance(value, Tensor):
            known[node] = value
    return known


def _value(graph: fx.GraphModule, node: fx.Node, known: Mapping[fx.Node, Tensor]) -> Any:
    if node.op == "get_attr":
        return reduce(getattr, str(node.target).split("."), graph)
    operation = node.target
    if node.op != "call_function" or not isinstance(operation, torch._ops.OpOverload):
        return None
    if any(each not in known for each in node.all_input_nodes):
        return None
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
    with torch.no_grad():
        return operation(*args, **kwargs)


__all__ = ["fold_constants"]
