"""Secrets in command lines, log lines and what commands print, hidden before they leave the host. Pure.

A net, not a proof: it knows the shapes in which secrets are commonly written. It errs towards hiding,
since a hidden port number costs less than a password in an incident. Every pattern has bounded
prefixes, so that hostile text costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

HIDDEN = "[redacted]"
MAX_CHARS = 8192  # of one text that is looked at; the rest is dropped

# What a secret is called. Any of these inside a longer name counts: DB_PASSWORD, --api-key-file=x.
_WORD = (
    r"(?:passw(?:or)?d|passphrase|passwort|passcode|(?<![a-z])pass(?![a-z])|pwd|secret|token|credential"
    r"|(?:api|access|account|auth|encryption|master|private|shared|signing)[-_.]?key|(?<![a-z])psk(?![a-z])"
    r"|session[-_.]?id|signature)"
)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\S+)"""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # PEM private keys, to their end or the end of the text.
        (
            r"(-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY[A-Z ]{0,16}-----)[\s\S]*?(?:-----END [^-]{1,64}-----|\Z)",
            rf"\1{HIDDEN}",
        ),
        # scheme://user:password@host, also where the password holds an @ or /; not host:port/path
        (r"(://[^\s/@:\"']{0,128}):(?!\d{1,5}(?:[/?#\s\"']|$))[^\s\"']{1,512}@", rf"\1:{HIDDEN}@"),
        (r"://[^\s/@:\"']{20,512}@", f"://{HIDDEN}@"),  # a token as the user
        # headers
        (
            r"\b((?:proxy-)?authorization|x-api-key|x-auth-token|(?:set-)?cookie)"
            r"([\"']?\s{0,3}[:=]\s{0,3})[^\r\n\"']+",
            rf"\1\2{HIDDEN}",
        ),
        (r"\b(bearer|basic)\s{1,3}(?=\S{0,64}[\d=+/._~-])[A-Za-z0-9._~+/=-]{8,}", rf"\1 {HIDDEN}"),
        # name = value, in any of its spellings
        (rf"({_WORD}[\w.-]{{0,32}}[\"']?\s{{0,3}}(?:=>|[:=])\s{{0,3}}){_VALUE}", rf"\1{HIDDEN}"),
        # --name value
        (rf"((?<!\S)--?[\w-]{{0,24}}{_WORD}[\w-]{{0,24}}\s{{1,3}})(?!-){_VALUE}", rf"\1{HIDDEN}"),
        # a directive of a configuration file and its value, without a sign between them
        (
            r"(?m:((?:^|[^\w-])(?:requirepass|masterauth|auth_pass|rootpw|bindpw|olcRootPW|rocommunity|rwcommunity"
            r"|insecure-password)[ \t]{1,16}))\S+",
            rf"\1{HIDDEN}",
        ),
        (r"(\bstats[ \t]{1,8}auth[ \t]{1,8}[^\s:]{1,64}:)\S+", rf"\1{HIDDEN}"),
        # options that hide it behind one letter
        (
            r"(\b(?:mysql|mariadb)[\w-]{0,16}\s(?:[^|;&\n]{0,256}\s)??-p)(?!\s)\S+",
            rf"\1{HIDDEN}",
        ),
        (r"(\bsshpass\s{1,3}-p\s{0,3})\S+", rf"\1{HIDDEN}"),
        (
            r"((?<!\S)(?:-u|--user|--proxy-user)[ =]?[\"']?[^\s:\"']{1,64}:)[^\s\"']+",
            rf"\1{HIDDEN}",
        ),
        # what is a secret by its own shape
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", HIDDEN),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|npm_|hf_|hvs\.|xox[abeoprs]-)[\w.-]{10,}", HIDDEN),
        (r"\b(?:sk|pk|rk)[-_](?:live[-_]|test[-_]|proj-|ant-)?[A-Za-z0-9_-]{20,}", HIDDEN),
        (r"\bAIza[\w-]{30,}", HIDDEN),
        (r"\bAGE-SECRET-KEY-1[A-Z0-9]{10,}", HIDDEN),
        (r"\beyJ[\w-]{12,}(?:\.[\w-]{1,}){0,4}", HIDDEN),
        (r"\$(?:1|2[abxy]?|5|6|7|y|gy)\$[^\s:\"']{8,}", HIDDEN),
        (  # a line of a key file: long, mixed, and no path
            r"(?m:^(?-i:(?!/)(?=[^a-z\n]*[a-z])(?=[^A-Z\n]*[A-Z])(?=[^0-9\n]*[0-9])[A-Za-z0-9+/]{48,}={0,2})$)",
            HIDDEN,
        ),
    )
)

_OPTION = re.compile(rf"--?[\w-]{{0,64}}{_WORD}[\w-]{{0,64}}", re.IGNORECASE)
_ASSIGNED = re.compile(rf"([\w.-]{{0,64}}{_WORD}[\w.-]{{0,64}}[=:])[\s\S]+", re.IGNORECASE)

# program -> options whose next word is the secret
_NEXT: dict[str, frozenset[str]] = {
    "curl": frozenset({"-u", "--user", "-U", "--proxy-user"}),
    "redis-cli": frozenset({"-a"}),
    "sshpass": frozenset({"-p"}),
    "ldapsearch": frozenset({"-w"}),
    "ldapmodify": frozenset({"-w"}),
    "ldapadd": frozenset({"-w"}),
    "openssl": frozenset({"-passin", "-passout", "-pass", "-k", "-K"}),
}
# Most words of most command lines: too short and too plain for any of the shapes above.
_PLAIN = re.compile(r"[\w./,+-]{0,11}")
_JOINED = re.compile(r"(?:mysql|mariadb)[\w-]*")  # -pSECRET, in one word


def redact(text: str, limit: int = MAX_CHARS) -> str:
    """Return the first `limit` characters of `text` without what looks like a secret. Never raises."""
    text = text[:limit]
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text[:limit]


def redact_argv(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line without secrets: a word knows better where its value ends."""
    shown: list[str] = []
    hide_next, options, joined = False, frozenset[str](), False
    for word in argv:
        if hide_next and not word.startswith("--"):
            shown.append(HIDDEN)
            hide_next = False
            continue
        program = word.rsplit("/", 1)[-1]
        options |= _NEXT.get(program, frozenset())
        joined = joined or _JOINED.fullmatch(program) is not None
        hide_next = word in options or _OPTION.fullmatch(word) is not None
        assigned = _ASSIGNED.fullmatch(word[:MAX_CHARS])
        if assigned is not None:
            shown.append(assigned[1] + HIDDEN)
        elif joined and word.startswith("-p") and len(word) > 2:
            shown.append("-p" + HIDDEN)
        else:
            shown.append(word if _PLAIN.fullmatch(word) else redact(word))
    return shown
