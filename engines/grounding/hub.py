"""Published checkpoints from a model hub, fetched once.

Named `owner/name@commit`: a name alone may mean other weights tomorrow. Only tensors, configurations and
tokenizers are fetched, no code. A transfer that breaks goes on from where it broke, by tens of megabytes;
after a call that failed, the next one fetches the files that had not come whole. What is here is used without
the hub.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from streaming.errors import CheckpointError, NotFound

PATTERNS: Final = ["*.safetensors", "*.json", "tokenizer.model", "merges.txt"]
"No pickles, no remote code."
_NAMED: Final = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+?)(?:@(?P<commit>\S*))?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def is_hub_name(name: str) -> bool:
    """Whether a name has the form of one on a hub."""
    return _NAMED.fullmatch(name) is not None


def fetch(name: str) -> Path:
    """The folder of a checkpoint `owner/name@commit`, after fetching what of it is not here yet.

    Shows a progress bar on stderr. The hub is `HF_ENDPOINT`, the cache `HF_HOME`, as for all of its clients.
    Raises NotFound where the hub has no such checkpoint or none is pinned, CheckpointError where the hub does
    not answer or breaks off.
    """
    named = _NAMED.fullmatch(name)
    assert named, "asked of is_hub_name"
    commit = named["commit"] or ""
    if not _COMMIT.fullmatch(commit):
        raise NotFound(
            f"{name} names no commit.",
            remedy=f"Pin it: {named['repository']}@ and the 40 digits of a commit of it; or give a folder.",
        )
    try:
        return Path(snapshot_download(named["repository"], revision=commit, allow_patterns=PATTERNS))
    except RepositoryNotFoundError as exc:
        raise _not_there(name) from exc
    except LocalEntryNotFoundError as exc:
        # Its cause is what the hub said, or that it said nothing.
        if isinstance(exc.__cause__, HfHubHTTPError) and exc.__cause__.response.status_code == 404:
            raise _not_there(name) from exc
        raise _silent(name, exc.__cause__ or exc) from exc
    except HfHubHTTPError as exc:
        raise (_not_there(name) if exc.response.status_code == 404 else _silent(name, exc)) from exc
    except Exception as exc:  # its transport's own errors, which it does not translate
        raise _silent(name, exc) from exc


def _not_there(name: str) -> NotFound:
    return NotFound(f"The hub has no {name}, or does not show it.", remedy="Check the name and the commit.")


def _silent(name: str, exc: BaseException) -> CheckpointError:
    why = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return CheckpointError(
        f"The hub did not hand over {name}: {why}",
        remedy="Check the network and HF_ENDPOINT; whole files that came are kept. Or give a folder.",
    )
