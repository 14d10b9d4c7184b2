"""An encoder over overlapping windows: what they share is computed once, the rest window by window.

`torch.fx` tells, step by step, what an encoder does with strain. As long as the steps treat all places of a window
alike, they run once over the stretch that the windows are cut from (`fragments`). From the first other step on every
window has values of its own, and the encoder goes on as it always does. No encoder is known by name: a step is a layer
of torch or of `gwbench.nn.layers`, or a method of a tensor, and one that no table holds runs window by window.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from gwbench.contracts import Encoder
from gwbench.nn.fragment_layers import function, layer
from gwbench.nn.fragments import Fragments
from gwbench.nn.gru_windows import gru_windows, supports
from gwbench.nn.layers import Layers


class SharedEncoder(Encoder):
    """An encoder in evaluation mode that gives the same embeddings of windows that are views of one stretch, sooner.

    Windows share what their strides in memory show them to share: [B, C, T] as `Tensor.unfold` gives it, with fewer
    than T samples from window to window. All others go through the encoder as they are.

    Args:
        encoder: any; its parameters are used as they are.

    Attributes:
        strides: samples from one place to the next, at every depth that windows have shared so far.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.eval()
        self.embed_dim = encoder.embed_dim
        self.strides: set[int] = set()
        self._graphs: dict[nn.Module, fx.Graph | None] = {}

    def forward(self, strain: Tensor) -> Tensor:
        """[B, C, T] -> [B, embed_dim]."""
        windows = Fragments.of(strain)
        if windows is None:
            return self.encoder(strain)  # type: ignore[no-any-return]
        return _apart(self.run(self.encoder, windows))  # type: ignore[no-any-return]

    def run(self, module: nn.Module, given: Any) -> Any:
        """What a module makes of overlapping windows, or of anything else."""
        if not isinstance(given, Fragments):
            return module(given)
        if type(module) in (nn.Sequential, Layers):
            return self._in_turn(module, given)
        if isinstance(module, nn.GRU) and supports(module) and given.time == 1:
            return gru_windows(module, given)
        shared = layer(module, given)
        if shared is not None:
            self.strides.add(shared.stride)
            return shared
        graph = self._graph(module)
        return module(given.each()) if graph is None else _Steps(self, module, graph).run(given)

    def _in_turn(self, layers: Any, given: Any) -> Any:
        """One layer behind the other; what is no longer shared goes through the rest of them as it always does."""
        for number, each in enumerate(layers):
            if not isinstance(given, Fragments):
                return layers[number:](given)
            given = self.run(each, given)
        return given

    def _graph(self, module: nn.Module) -> fx.Graph | None:
        """A module's steps; None where they depend on their input, or where it is torch's own."""
        if module not in self._graphs:
            try:
                own = type(module).__module__.startswith("torch.")
                self._graphs[module] = None if own else _Tracer().trace(module)
            except Exception:  # what a module does to a value that is none yet may fail in any way
                self._graphs[module] = None
        return self._graphs[module]


class _Tracer(fx.Tracer):
    """One module's own steps; those of the modules in it are looked at when it comes to them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


class _Steps(fx.Interpreter):
    """Runs a module's steps on overlapping windows."""

    def __init__(self, encoder: SharedEncoder, module: nn.Module, graph: fx.Graph) -> None:
        super().__init__(module, graph=graph)
        self._encoder = encoder

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) == 1 and not kwargs:
            return self._encoder.run(self.fetch_attr(target), args[0])
        return super().call_module(target, _apart(args), _apart(kwargs))

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        shared = _shared(target, args, kwargs)
        return super().call_function(target, _apart(args), _apart(kwargs)) if shared is None else shared

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        shared = _shared(target, args, kwargs)
        return super().call_method(target, _apart(args), _apart(kwargs)) if shared is None else shared


def _shared(target: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of overlapping windows gives, where they can share it."""
    return function(target, args[0], args[1:], kwargs) if args and isinstance(args[0], Fragments) else None


def _apart(values: Any) -> Any:
    """Each window by itself, wherever there are overlapping windows among the values."""
    return pytree.tree_map(lambda value: value.each() if isinstance(value, Fragments) else value, values)
