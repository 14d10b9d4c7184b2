from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from gwbench.contracts import Encoder
from gwbench.errors import UserError
from gwbench.registry import KINDS, Plugin, Registry, register
from gwbench.registry import static_metadata as _source
from gwbench.registry.parameters import parameters, validate

ENCODER = """
import torch
from gwbench.contracts import Encoder, InputShape
from gwbench.registry import register

@register("encoder", "{name}", citation="nobody", version=3, tags=("toy",))
class Toy(Encoder):
    \"\"\"A toy.\"\"\"
    def __init__(self, shape: InputShape, *, width: int = 4) -> None:
        super().__init__()
        self.embed_dim = width
        self.net = torch.nn.Linear(shape.samples, width)
    def forward(self, strain):
        return self.net(strain.mean(1))
"""


def write(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_a_file_registers_a_plugin(registry: Registry, tmp_path: Path) -> None:
    source = write(tmp_path / "mine.py", ENCODER.format(name="toy"))
    registry.load_source(source)
    plugin = registry.get("encoder", "toy")
    assert (plugin.summary, plugin.citation, plugin.version, plugin.tags) == ("A toy.", "nobody", 3, ("toy",))
    assert (plugin.origin.file, plugin.origin.line) == (source, 6)
    assert [p.name for p in registry.list("encoder", "t?y")] == ["toy"]


def test_the_same_name_twice_names_both_places(registry: Registry, tmp_path: Path) -> None:
    first = write(tmp_path / "first.py", ENCODER.format(name="toy"))
    second = write(tmp_path / "second.py", ENCODER.format(name="toy"))
    registry.load_source(first)
    with pytest.raises(UserError) as error:
        registry.load_source(second)
    assert f"{first}:6" in str(error.value)
    assert f"{second}:6" in str(error.value)


def test_a_name_that_gwbench_ships_is_taken_even_before_it_is_imported(registry: Registry, tmp_path: Path) -> None:
    registry._loaded.pop(("encoder", "cnn1d"), None)
    mine = write(tmp_path / "mine.py", ENCODER.format(name="cnn1d"))
    with pytest.raises(UserError, match=r"registered twice: at .*cnn1d\.py:\d+ and at .*mine\.py:6"):
        registry.load_source(mine)


def test_the_same_source_twice_is_loaded_once(registry: Registry, tmp_path: Path) -> None:
    source = write(tmp_path / "mine.py", ENCODER.format(name="toy"))
    registry.load_source(source)
    registry.load_source(source)
    assert registry.broken == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('on purpose')", "on purpose"),
    ],
)
def test_a_broken_source_is_remembered_and_breaks_nothing(
    registry: Registry, tmp_path: Path, text: str, reason: str
) -> None:
    source = write(tmp_path / "broken.py", text)
    registry.load_source(source)
    assert reason in registry.broken[source]
    assert registry.get("encoder", "cnn1d").target is not None
    with pytest.raises(UserError) as error:
        registry.get("encoder", "mine")
    assert source in str(error.value)


def test_a_missing_file_and_a_missing_module_are_the_users_mistakes(registry: Registry) -> None:
    with pytest.raises(UserError, match=r"no plugin file nowhere\.py"):
        registry.load_source("nowhere.py")
    with pytest.raises(UserError, match="no plugin file or module 'no_such_module'"):
        registry.load_source("no_such_module")


def test_a_misspelt_name_gets_the_nearest_and_the_listing(registry: Registry) -> None:
    with pytest.raises(UserError, match=r"no objective 'barlo'. Did you mean 'barlow'\?.*gwbench list objective"):
        registry.get("objective", "barlo")
    with pytest.raises(UserError, match=r"no plugin kind 'encodr'. Did you mean 'encoder'\?"):
        registry.get("encodr", "cnn1d")


def test_sources_come_from_the_environment(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "mine.py", ENCODER.format(name="from-environment"))
    monkeypatch.setenv("GWBENCH_PLUGINS", source)
    monkeypatch.setattr(registry, "_environment_read", False)
    assert registry.get("encoder", "from-environment").origin.file == source


def test_what_is_read_from_source_is_what_an_import_gives(registry: Registry) -> None:
    shipped = [p for kind in KINDS for p in Registry().list(kind)]
    assert {p.kind for p in shipped} == set(KINDS)
    for read in shipped:
        assert read.problem is None
        loaded = registry.get(read.kind, read.name)
        assert read == replace(loaded, target=None, source_hash="")
        assert loaded.citation
        assert len(loaded.source_hash) == 64


def test_source_that_cannot_work_is_seen_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "plugin_a.py", "import no_such_module\nclass A: ...")
    write(tmp_path / "plugin_b.py", "class A(:")
    write(tmp_path / "plugin_c.py", "raise SystemExit  # never runs\nclass B: ...")
    problems = [_source.read_plugin("encoder", "a", name, "A").problem or "" for name in
                ("plugin_a", "plugin_b", "plugin_c", "plugin_d")]  # fmt: skip
    expected = ["'no_such_module', which is not installed", "SyntaxError", "has no class A", "no module plugin_d"]
    assert [want in found for want, found in zip(expected, problems, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("class X: 'Doc.'", "must subclass gwbench.contracts.Encoder"),
        ("class X(Encoder): 'Doc.'", "does not implement forward"),
        ("class X(Encoder):\n  def forward(self, strain): ...", "needs a docstring"),
        ("class X(Encoder):\n  'Doc.'\n  def __init__(self): ...\n  def forward(self, strain): ...", "positional"),
        (
            "class X(Encoder):\n  'Doc.'\n  def __init__(self, s, *, width=3): ...\n  def forward(self, strain): ...",
            "parameter 'width' needs a type and a default",
        ),
    ],
)
def test_a_class_that_breaks_its_contract_is_refused(
    registry: Registry, tmp_path: Path, body: str, message: str
) -> None:
    head = "from gwbench.contracts import Encoder\nfrom gwbench.registry import register\n@register('encoder', 'x')\n"
    with pytest.raises(UserError, match=message):
        registry.load_source(write(tmp_path / "x.py", head + body))


def test_a_name_is_kebab_case() -> None:
    with pytest.raises(UserError, match="kebab-case"):
        register("encoder", "My_Encoder")(Encoder)


def test_a_source_edited_since_is_loaded_anew(registry: Registry, tmp_path: Path) -> None:
    source = write(tmp_path / "mine.py", ENCODER.format(name="toy"))
    registry.load_source(source)
    before = registry.get("encoder", "toy")
    write(tmp_path / "mine.py", "# one line more\nLINES = 1\n" + ENCODER.format(name="toy"))
    registry.load_source(source)
    after = registry.get("encoder", "toy")
    assert after.target is not before.target
    assert after.source_hash != before.source_hash
    assert after.origin.line == before.origin.line + 2


def test_the_hash_covers_the_plugins_that_a_plugin_builds_on(registry: Registry, tmp_path: Path) -> None:
    def hash_of_the_second(first: str) -> str:
        registry._loaded.pop(("encoder", "first"), None)
        registry._loaded.pop(("encoder", "second"), None)
        sys.modules.pop("gwb_first", None)
        write(tmp_path / "gwb_first.py", first)
        source = tmp_path / f"second{len(first)}.py"
        second = "from gwb_first import Toy as First\n" + ENCODER.format(name="second")
        registry.load_source(write(source, second.replace("class Toy(Encoder)", "class Second(First)")))
        return registry.get("encoder", "second").source_hash

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        first = ENCODER.format(name="first")
        assert hash_of_the_second(first) != hash_of_the_second(first + "EDIT = 1\n")


def test_a_class_typed_into_an_interpreter_may_be_typed_again(registry: Registry) -> None:
    for line in ("\n", "\n\n"):
        exec(compile(line + ENCODER.format(name="typed"), "<cell>", "exec"), {})
    assert registry.get("encoder", "typed").source_hash == ""


# --- parameters ---


@pytest.fixture
def toy(registry: Registry, tmp_path: Path) -> Plugin:
    registry.load_source(
        write(
            tmp_path / "toy.py",
            """
            from typing import Annotated, Literal
            from pydantic import Field
            from gwbench.contracts import Dataset
            from gwbench.registry import register

            @register("dataset", "toy")
            class Toy(Dataset):
                "Toy."
                def __init__(self, *, count: Annotated[int, Field(gt=0)] = 3, rate: float = 2.0, on: bool = False,
                             mode: Literal["a", "b", 3] = "a", names: tuple[str, ...] = ("x",),
                             span: tuple[float, float] | None = None, path: str | None = None) -> None: ...
                def load(self, context): ...
            """,
        )
    )
    return registry.get("dataset", "toy")


def test_text_converts_to_the_types(toy: Plugin) -> None:
    text = {"count": "5", "rate": "1e-3", "on": "true", "mode": "b", "names": "H1, L1", "span": "6,20", "path": "none"}
    assert validate(toy, text) == {
        "count": 5,
        "rate": 1e-3,
        "on": True,
        "mode": "b",
        "names": ("H1", "L1"),
        "span": (6.0, 20.0),
        "path": None,
    }
    assert validate(toy, {}) == {p.name: p.default for p in parameters(toy)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 3}, r"no parameter 'cuont'. Did you mean 'count'\? It takes: count: .* = 3; rate"),
        ({"count": "many"}, r"dataset.count='many' is not valid: .*valid integer"),
        ({"count": "-1"}, "greater than 0"),
        ({"mode": "c"}, "'a', 'b' or 3"),
        ({"span": "1"}, "dataset.span='1' is not valid"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_was_expected(toy: Plugin, given: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(toy, given)


def test_a_parameter_may_have_a_name_that_pydantic_uses(registry: Registry, tmp_path: Path) -> None:
    registry.load_source(
        write(
            tmp_path / "named.py",
            """
            from gwbench.contracts import Dataset
            from gwbench.registry import register

            @register("dataset", "named")
            class Named(Dataset):
                "Named."
                def __init__(self, *, copy: bool = True, model_config: int = 1, _hidden: float = 2.0,
                             field_0: str = "x") -> None: ...
                def load(self, context): ...
            """,
        )
    )
    values = validate(registry.get("dataset", "named"), {"copy": "false", "_hidden": "3", "field_0": "y"})
    assert values == {"copy": False, "model_config": 1, "_hidden": 3.0, "field_0": "y"}


def test_of_several_wrong_parameters_the_first_of_the_constructor_is_named(toy: Plugin) -> None:
    with pytest.raises(UserError, match=r"^dataset\.rate='fast' is not valid"):
        validate(toy, {"mode": "c", "rate": "fast"})


def test_text_stands_for_a_literal_number(toy: Plugin) -> None:
    assert validate(toy, {"mode": "3"})["mode"] == 3
