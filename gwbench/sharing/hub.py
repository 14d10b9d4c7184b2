"""`gwbench hub`: a finished run published on a Hugging Face hub or in a folder, and fetched from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gwbench._version import __version__
from gwbench.errors import UserError
from gwbench.experiment.checkpoint import load_conditioner
from gwbench.experiment.hub_folder import (
    CARD,
    CONFIG,
    LOGIN,
    PLUGINS,
    SHARED,
    endpoint,
    hub_errors,
    hub_folder,
    is_folder,
    require_repo,
)
from gwbench.experiment.record import CONDITIONER, OBJECTIVE, RECORD, SCORER, WEIGHTS, RunRecord, read_record
from gwbench.registry import REGISTRY
from gwbench.registry.installed import package_of
from gwbench.sharing.entry_files import published_files, write_if_new
from gwbench.sharing.model_card import model_card
from gwbench.utils.files import atomic
from gwbench.utils.paths import user_path
from gwbench.utils.sibling_modules import sibling_files
from gwbench.utils.untrusted_files import link_target

HEAVY = (WEIGHTS, CONDITIONER, SCORER, OBJECTIVE)


@dataclass(frozen=True)
class Pushed:
    """What was published, or would be.

    Attributes:
        where: address of the commit, or the folder; empty where nothing was written.
        files: bytes of every file by name.
        card: the run's page.
        changed: False where the same files lay there already, so that nothing was written.
    """

    where: str
    files: dict[str, int]
    card: str
    changed: bool = True


def push(
    run: str | Path,
    to: str | Path,
    *,
    private: bool = False,
    revision: str | None = None,
    license: str | None = None,
    token: str | None = None,
    plugins: Sequence[str] = (),
    dry_run: bool = False,
) -> Pushed:
    """Publish a finished run: weights, conditioning, scorer, record, test scores, plugins' sources and a card.

    Paths of this machine are taken out of the record, and embeddings out of the test scores.

    Args:
        run: its folder.
        to: USER/NAME on the hub, which is made where it is not there; or a folder, written as ./FOLDER.
        private: whether a new repository is.
        revision: branch to write to, which is made where it is not there.
        license: the hub's name for the weights' licence, such as "mit"; goes into the card.
        token: of the hub; by default the one that `hf auth login` kept, or HF_TOKEN.
        plugins: files or modules that register the run's plugins, if gwbench does not know them.
        dry_run: write nothing, only tell what would be written.

    Raises:
        UserError: the run cannot be published, or the hub cannot be written.
    """
    for source in plugins:
        REGISTRY.load_source(source)
    folder = user_path(run)
    local = is_folder(to)
    name = user_path(to).name if local else require_repo(str(to))
    files = _files(folder, name, license)
    sizes = {path: len(content) for path, content in files.items()}
    card = files[CARD].decode()
    if dry_run:
        return Pushed("", sizes, card)
    if local:
        where, changed = str(user_path(to)), _write(files, user_path(to))
    else:
        where, changed = _commit(files, name, private=private, revision=revision, token=token)
    return Pushed(where, sizes, card, changed)


def pull(
    repo: str | Path,
    *,
    to: str | Path | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Fetch a run; its folder works as one that was made here.

    Nothing that comes with it is executed: plugins are read when they are named, as with any run.

    Args:
        repo: USER/NAME on the hub, or a folder that `push` wrote.
        to: the folder to write; by default runs/NAME.
        revision: branch, tag or commit.
        token, cache_dir, local_files_only: as of `FrozenEncoder.from_pretrained`.

    Returns:
        The folder.

    Raises:
        UserError: there is no such run, it cannot be fetched, a file is damaged, or the folder holds something else.
    """
    source = hub_folder(repo, revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only)
    record = read_record(source)
    if record.status != "ok" or record.data is None:
        raise UserError(f"The run of {repo} failed, so that there is nothing to use: {record.reason}.")
    if (source / CONDITIONER).exists():
        load_conditioner(source, record)
    place = user_path(to) if to is not None else Path("runs") / user_path(repo).name
    if place.resolve() == source.resolve():
        raise UserError(f"{place} is the run itself. Give another folder with --to.")
    _require_free(place, record)
    sources = [path for path in sorted((source / PLUGINS).rglob("*.py")) if path.is_file() and not path.is_symlink()]
    for path in [*(source / name for name in (*SHARED, CONFIG, CARD) if (source / name).is_file()), *sources]:
        with atomic(place / path.relative_to(source)) as temporary:
            temporary.write_bytes(path.read_bytes())
    return place


def _files(folder: Path, name: str, license: str | None) -> dict[str, bytes]:
    """The contents of all files by name; the record is that of a run that went well."""
    record = read_record(folder)
    if record.status != "ok" or record.data is None:
        raise UserError(f"The run in {folder} failed, so that there is nothing to publish: {record.reason}.")
    heavy = {each: link_target(folder / each).read_bytes() for each in HEAVY if (folder / each).exists()}
    if record.training is not None and not {WEIGHTS, CONDITIONER} <= heavy.keys():
        raise UserError(f"The run in {folder} has kept no encoder. Run it again with --rerun: {record.command} --rerun")
    if not heavy:
        raise UserError(f"The run in {folder} has kept nothing that could score strain, so that there is nothing to "
                        "publish. `gwbench submit` makes an entry of its record.")  # fmt: skip
    small = published_files(folder, {each: hashlib.sha256(content).hexdigest() for each, content in heavy.items()})
    sources = _sources(record)
    files = {**small, **heavy}
    files[CONFIG] = _config(record, files, folder)
    plugin_files = [path for path in sources if path.count("/") == 1]
    shared = RunRecord.model_validate_json(small[RECORD])  # without this machine's paths
    files[CARD] = model_card(shared, name, sources=plugin_files, license=license).encode()
    return {**files, **sources}


def _config(record: RunRecord, files: dict[str, bytes], folder: Path) -> bytes:
    """What the hub and a loader read first: what the run listens to, and hashes of its files."""
    assert record.data
    window, margin = None, None
    if CONDITIONER in files:
        conditioner = load_conditioner(folder, record)
        window, margin = conditioner.window, conditioner.margin
    encoder = record.spec.encoder
    document: dict[str, Any] = {
        "library_name": "gwbench",
        "model_type": "gwbench",
        "gwbench": __version__,
        "run_id": record.run_id,
        "method": record.spec.title,
        "encoder": {"name": encoder.name, "parameters": encoder.model_dump()["parameters"]} if encoder else None,
        "encoder_groups": record.spec.encoder_groups,
        "detectors": list(record.data.detectors),
        "sample_rate": record.data.sample_rate,
        "window": window,
        "margin": margin,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def _sources(record: RunRecord) -> dict[str, bytes]:
    """The files of plugins that are of no installed package, and of what these import beside them."""
    found: dict[str, bytes] = {}
    for used in record.plugins:
        plugin = REGISTRY.get(used.kind, used.name)
        module = plugin.target.__module__.partition(".")[0] if plugin.target else ""
        path = Path(plugin.origin.file).resolve()
        if module == "gwbench" or package_of(plugin) or not path.is_file():
            continue
        if not plugin.is_of(used.source_hash):
            raise UserError(
                f"The {used.kind} {used.name!r} has changed since the run, so that its source is not that of the "
                "weights. Run it again, or load the file that it was made with."
            )
        for each in (path, *sibling_files(path)):
            name = f"{PLUGINS}/{each.relative_to(path.parent)}"
            content = each.read_bytes()
            if found.setdefault(name, content) != content:
                raise UserError(f"Two plugins of the run lie in files named {each.name}. Give one another name.")
    return found


def _write(files: dict[str, bytes], folder: Path) -> bool:
    """Write the files that are not there as they are; whether there were any."""
    if (folder / RECORD).exists():
        known, run_id = read_record(folder).run_id, json.loads(files[CONFIG])["run_id"]
        if known != run_id:
            raise UserError(f"{folder} holds another run, {known}, and this is {run_id}. Give another folder.")
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files. Give an empty folder, or one that does not exist.")
    written = [name for name, content in files.items() if write_if_new(folder / name, content)]
    return bool(written)


def _commit(
    files: dict[str, bytes], repo: str, *, private: bool, revision: str | None, token: str | None
) -> tuple[str, bool]:
    """Write all files in one commit; its address, and whether it is a new one."""
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if not (token or get_token()):
        raise UserError(f"There is no token for the hub, which {repo} is to be written to. {LOGIN}")
    api = HfApi(endpoint=endpoint(), token=token, library_name="gwbench", library_version=__version__)
    with hub_errors(repo, revision):
        api.create_repo(repo, private=private or None, exist_ok=True)
        if revision:
            api.create_branch(repo, branch=revision, exist_ok=True)
        additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
        message = f"Run {json.loads(files[CONFIG])['run_id']}, by gwbench {__version__}"
        before = api.repo_info(repo, revision=revision).sha
        done = api.create_commit(repo, additions, commit_message=message, revision=revision)
        return str(done.commit_url), done.oid != before


def _require_free(folder: Path, record: RunRecord) -> None:
    """Refuse a folder that holds something other than this run."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if (folder / RECORD).exists() and read_record(folder).run_id == record.run_id:
        return
    raise UserError(f"{folder} holds something else than this run. Give another folder with --to.")


__all__ = ["Pushed", "pull", "push"]
