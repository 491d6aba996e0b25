"""kubectl and oc: reading, without the values of secrets and configuration maps. Pure."""

from __future__ import annotations

import re

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call, names

_OPTIONS = spec(
    "-n=word -A -o=kout -l=any -L=any -c=word -p --namespace=word --all-namespaces --output=kout --selector=any"
    " --label-columns=any --field-selector=any --sort-by=any --tail=int --since=dur --since-time=any --previous"
    " --timestamps --all-containers --container=word --show-labels --no-headers --containers --request-timeout=dur"
    " --limit-bytes=nonneg --prefix --list --client --api-group=word --namespaced?=word --revision=nonneg --show-kind"
    " --ignore-not-found --chunk-size=nonneg --minify --types=word --for=any --watch=never --timeout=dur --verbs=word"
    " --max-log-requests=cnt --recursive --show-events?=word --sum --use-protocol-buffers --all-containers?=word"
    " --short"
)
_FRONT = spec("-n=word --namespace=word")
_VERBS = names(
    "logs top explain api-resources api-versions version cluster-info events status projects"
)
_PAIRS = frozenset(
    {
        ("rollout", "status"),
        ("rollout", "history"),
        ("auth", "can-i"),
        ("auth", "whoami"),
        ("config", "get-contexts"),
        ("config", "current-context"),
        ("config", "get-clusters"),
        ("config", "get-users"),
        ("config", "view"),
    }
)
_WORD = re.compile(r"[A-Za-z0-9_.,/:*-]+")
_HOLDS = re.compile(
    r"(?i)secret|serviceaccounttoken|(^|,)(sa|serviceaccounts?)(/|,|$)|configmap|(^|,)cm(/|,|$)|oauth|token"
)


def kubectl(call: Call) -> None:
    """Judge one command: its verb, its resources, and what of them it shows."""
    outputs: list[str] = []

    def output(word: Word) -> None:
        call.scope.check("kout", word)
        outputs.append(word.value)

    # Before the verb an option might take it for its value: only the namespace may stand there.
    front = call.parse(_FRONT, stop=True)
    parsed = call.parse(_OPTIONS, front.rest, kinds={"kout": output})
    words = [word.value for word in parsed.rest]
    for word in parsed.rest:
        if not _WORD.fullmatch(word.value):
            raise No(f"{word.value!r} is not a resource", word.span)
    if not words:
        raise No("no verb", call.span)
    if words[0] in ("get", "describe"):
        _shown(call, parsed.rest, outputs)
    elif words[0] == "cluster-info" and len(words) > 1:
        raise No("cluster-info dump", call.span)
    elif words[0] not in _VERBS and tuple(words[:2]) not in _PAIRS:
        raise No(f"kubectl {' '.join(words[:2])} is not on the list", call.span)


def _shown(call: Call, words: tuple[Word, ...], outputs: list[str]) -> None:
    """Refuse what would show values. A description shows the token of a service account's secret."""
    if len(words) < 2:
        raise No("no resource", call.span)
    describes = words[0].value == "describe"
    shows = any(output not in ("wide", "name") for output in outputs)
    for word in words[1:]:
        if describes and _HOLDS.search(word.value):
            raise No("a description shows what it holds", word.span, "get -o wide")
        if shows and _HOLDS.search(word.value):
            raise No("shows secret or configuration values", word.span, "-o name or -o wide")
