"""A run's folder by its name on a Hugging Face hub, or by its path: fetched, and compared with its own hashes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gwbench.data.store.cache_dir import CACHE_VARIABLE, default_cache
from gwbench.errors import UserError, in_words
from gwbench.experiment import record
from gwbench.utils.files import file_digest
from gwbench.utils.paths import user_path
from gwbench.utils.printable import printable
from gwbench.utils.untrusted_files import AbsentError, UnusableError
from gwbench.utils.untrusted_text import read_json

CONFIG = "config.json"
CARD = "README.md"
PLUGINS = "plugins"
"""Folder of the plugins' sources, which are text for readers: nothing imports them unless a user names them."""

SHARED = (record.RECORD, record.WEIGHTS, record.CONDITIONER, record.SCORER, record.OBJECTIVE, record.PREDICTIONS)
"""The files of a run that are shared."""

REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")

LOGIN = "Log in with `hf auth login`, or set HF_TOKEN."


def is_folder(name: str | Path) -> bool:
    """Whether a name is that of a folder rather than USER/NAME: there is one, or it is written as a path."""
    text = str(name)
    return isinstance(name, Path) or text.startswith((".", "/", "~")) or user_path(text).is_dir()


def _cache() -> Path:
    """`hub` in $GWBENCH_CACHE, or beside the datasets in the user's cache folder."""
    if root := os.environ.get(CACHE_VARIABLE):
        return user_path(root) / "hub"
    return default_cache().parent / "hub"


def require_repo(name: str) -> str:
    """The name of a repository on the hub.

    Raises:
        UserError: it is not of the form USER/NAME.
    """
    if not REPO.fullmatch(name) or len(name) > 96 or ".." in name or "--" in name:
        raise UserError(
            f"{printable(name)!r} is no name on the hub: expected USER/NAME, such as ligo-fan/cnn1d-bbh. A folder is "
            "written as ./FOLDER."
        )
    return name


def endpoint() -> str | None:
    """The hub's address, from HF_ENDPOINT; None for the public one."""
    return os.environ.get("HF_ENDPOINT") or None


def hub_folder(
    name: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """The folder of a shared run.

    Args:
        name: USER/NAME on the hub, or a folder on this machine.
        revision: branch, tag or commit.
        token: of the hub; by default the one that `hf auth login` kept.
        cache_dir: where fetched runs are kept; by default in gwbench's own cache.
        local_files_only: use what was fetched before, without the network.
        force_download: fetch again.

    Raises:
        UserError: there is no such run, it cannot be fetched, or a file is not the one that was shared.
    """
    if is_folder(name):
        folder = user_path(name)
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}.")
        if (folder / CONFIG).exists():
            check_hashes(folder, str(folder))
        return folder
    repo = require_repo(str(name))
    from huggingface_hub import HfApi, snapshot_download

    cache = user_path(cache_dir) if cache_dir else _cache()
    place = cache / f"{repo.replace('/', '--')}@{re.sub(r'[^A-Za-z0-9._-]', '-', revision or 'main')}"
    if local_files_only and not (place / record.RECORD).is_file():
        raise UserError(f"{repo} was not fetched before: it is not in {cache}. Leave out local_files_only.")
    with hub_errors(repo, revision):
        # asked first: a copy from earlier must not stand in for a run that is gone, or that this reader may not have
        commit = (
            None if local_files_only else HfApi(endpoint=endpoint(), token=token).model_info(repo, revision=revision)
        )
        snapshot_download(
            repo,
            revision=commit.sha if commit else revision,
            token=token,
            local_dir=place,
            local_files_only=local_files_only,
            force_download=force_download,
            allow_patterns=[*SHARED, CONFIG, CARD, f"{PLUGINS}/*.py", f"{PLUGINS}/**/*.py"],
            endpoint=endpoint(),
        )
    if not (place / CONFIG).is_file() or not (place / record.RECORD).is_file():
        raise UserError(f"{repo} is no run of gwbench: {CONFIG} or {record.RECORD} is not there.")
    check_hashes(place, repo)
    return place


def check_hashes(folder: Path, name: str) -> None:
    """Raise `UserError` where a file of a shared run is not the one whose hash `config.json` has."""
    try:
        document = read_json(folder / CONFIG)
    except AbsentError:
        raise UserError(f"{name} is no run of gwbench: {CONFIG} is not there.") from None
    except UnusableError as error:
        raise UserError(f"The {CONFIG} of {name} cannot be read: {printable(error)}.") from None
    hashes = document.get("sha256") if isinstance(document, dict) else None
    if not isinstance(hashes, dict) or record.RECORD not in hashes:
        raise UserError(f"{name} is no run of gwbench: its {CONFIG} has no hashes of its files.")
    for file in SHARED:
        path, wanted = folder / file, hashes.get(file)
        if path.is_symlink() or (wanted is None) == path.exists():
            raise UserError(f"{name} is not whole: {file} is {'missing' if wanted else 'there and has no hash'}.")
        if wanted is not None and file_digest(path) != wanted:
            raise UserError(
                f"{file} of {name} is not the file that was shared: its SHA-256 differs from that in {CONFIG}. "
                "Fetch it again, or ask whoever shared it."
            )


@contextmanager
def hub_errors(repo: str, revision: str | None = None) -> Iterator[None]:
    """Within it, what goes wrong with a hub is one clear message."""
    import huggingface_hub.errors as hub
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    except UserError:
        raise
    except hub.LocalTokenNotFoundError:
        raise UserError(f"There is no token for the hub. {LOGIN}") from None
    except hub.GatedRepoError:
        raise UserError(f"{repo} asks its readers to agree to terms first. Do so on its page. {LOGIN}") from None
    except hub.RevisionNotFoundError:
        raise UserError(f"{repo} has no revision {printable(revision or 'main')!r}.") from None
    except hub.RepositoryNotFoundError:
        raise UserError(f"There is no {repo} on the hub, or it is private. If it is: {LOGIN}") from None
    except hub.HFValidationError as error:
        raise UserError(f"{printable(repo)!r} is no name on the hub: {in_words(error)}.") from None
    except hub.HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise UserError(
                f"The hub refuses access to {repo} ({code}): the token is missing or may not. {LOGIN}"
            ) from None
        raise UserError(f"The hub failed over {repo}: {in_words(error).rstrip('.')}. Try again later.") from None
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, hub.LocalEntryNotFoundError | hub.OfflineModeIsEnabled | ConnectionError):
            raise _unreachable(repo, error) from None
        cause = error.__cause__ or error  # the hub's library wraps what befell an upload
        raise UserError(f"{repo}: {in_words(cause).rstrip('.')}.") from None
    except Exception as error:
        if _is_connection(error):
            raise _unreachable(repo, error) from None
        raise
    finally:
        if shown:
            enable_progress_bars()


def _unreachable(repo: str, error: Exception) -> UserError:
    return UserError(
        f"The hub cannot be reached for {repo}: {in_words(error).rstrip('.')}. What was fetched before is used with "
        "local_files_only=True."
    )


def _is_connection(error: Exception) -> bool:
    """Whether it is an error of the HTTP client, whichever the hub's library uses."""
    return type(error).__module__.partition(".")[0].startswith(("httpx", "httpcore", "requests", "urllib3"))


__all__ = ["CARD", "CONFIG", "PLUGINS", "SHARED", "check_hashes", "endpoint", "hub_errors", "hub_folder", "is_folder"]
