"""Download of published checkpoints from a model hub, into the hub client's cache.

Checkpoints are named `owner/name@commit`: the weights behind a name without a commit may change. Only
tensors, configurations and tokenizers are downloaded, no code. An interrupted transfer resumes, to within
tens of megabytes; after a failed call the next call downloads the incomplete files only. A cached checkpoint
needs no network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from engines.grounding.hub_name import HUB_NAME
from streaming.errors import CheckpointError, NotFound

PATTERNS: Final = ["*.safetensors", "*.json", "tokenizer.model", "merges.txt"]
"No pickles, no remote code."
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def fetch(name: str) -> Path:
    """Download the missing files of a checkpoint `owner/name@commit`; returns its folder.

    Shows a progress bar on stderr. The hub is `HF_ENDPOINT`, the cache `HF_HOME`, as for every client of
    huggingface_hub. Raises NotFound if the hub has no such checkpoint or the name has no commit,
    CheckpointError if the hub does not answer or the transfer breaks.
    """
    named = HUB_NAME.fullmatch(name)
    assert named, "callers check is_hub_name"
    commit = named["commit"] or ""
    if not _COMMIT.fullmatch(commit):
        raise NotFound(
            f"{name} names no commit.",
            remedy=f"Pin it: {named['repository']}@ and the 40 digits of a commit of it; or give a folder.",
        )
    try:
        return Path(snapshot_download(named["repository"], revision=commit, allow_patterns=PATTERNS))
    except RepositoryNotFoundError as exc:
        raise _not_found(name) from exc
    except LocalEntryNotFoundError as exc:
        # Its cause is the hub's HTTP error, or the transport's.
        if isinstance(exc.__cause__, HfHubHTTPError) and exc.__cause__.response.status_code == 404:
            raise _not_found(name) from exc
        raise _unavailable(name, exc.__cause__ or exc) from exc
    except HfHubHTTPError as exc:
        raise (_not_found(name) if exc.response.status_code == 404 else _unavailable(name, exc)) from exc
    except Exception as exc:  # errors of the transport, which huggingface_hub does not translate
        raise _unavailable(name, exc) from exc


def _not_found(name: str) -> NotFound:
    return NotFound(f"The hub has no {name}, or does not show it.", remedy="Check the name and the commit.")


def _unavailable(name: str, exc: BaseException) -> CheckpointError:
    why = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return CheckpointError(
        f"The hub did not hand over {name}: {why}",
        remedy="Check the network and HF_ENDPOINT; whole files that came are kept. Or give a folder.",
    )
