"""curl, wget, openssl: programs that talk to a server. Pure. This host only, and only to read."""

from __future__ import annotations

import re
import urllib.parse

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call

_CURL = spec(
    "-s -S -f -I -i -v -k -g -4 -6 -N -q -m=num -w=writeout -H=header -o=nowhere -A=word -X=method -r=word --silent"
    " --show-error --fail --fail-with-body --head --include --verbose --max-time=num --connect-timeout=num"
    " --write-out=writeout --header=header --output=nowhere --request=method --insecure --compressed --retry=cnt"
    " --no-buffer --http1.0 --http1.1 --http2 --user-agent=word --get -G --no-progress-meter --ipv4 --ipv6"
    " --range=word --retry-delay=num --tlsv1.2 --tlsv1.3 --no-keepalive --retry-connrefused"
)
_WGET = spec(
    "-q -S -nv -v -4 -6 -O=stdoutornull -T=num -t=cnt --spider --quiet --no-verbose --server-response"
    " --output-document=stdoutornull --timeout=num --tries=cnt --no-check-certificate --max-redirect=zero"
    " --connect-timeout=num --read-timeout=num --content-on-error"
)
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Reading some addresses acts, or discloses what a process holds.
_ACTS = re.compile(
    r"shutdown|quit|kill|restart|reload|reset|stop|delete|remove|drop|flush|purge|exec|heapdump|/dump|/env\b|environ"
    r"|secret|token|credential|passw|/v\d/kv|/keys\b|configprops|jolokia|profile|trace"
    r"|/containers/[^/?]+/json|/pods\b|/runningpods"  # what docker and kubelet tell of environments
    r"|config_?dump|configmap|/containers/[^/?]+/(export|archive)|[?&](action|command|cmd)=|unload|drain|/manager/",
    re.IGNORECASE,
)


def curl(call: Call) -> None:
    """A GET or HEAD of this host, written to nowhere."""
    parsed = call.parse(_CURL)
    if not parsed.rest:
        raise No("no URL", call.span)
    for word in parsed.rest:
        _local(word)


def wget(call: Call) -> None:
    """A GET of this host to standard output, or a look whether it is there."""
    parsed = call.parse(_WGET)
    if not {"-O", "--output-document", "--spider"} & set(parsed.seen):
        raise No("wget writes a file", call.span, "-qO- or --spider")
    if "--max-redirect" not in parsed.seen:
        raise No("wget follows where it is sent", call.span, "--max-redirect=0")
    if not parsed.rest:
        raise No("no URL", call.span)
    for word in parsed.rest:
        _local(word)


def _local(word: Word) -> None:
    text = word.value
    try:
        url = urllib.parse.urlsplit(text if "://" in text else "http://" + text)
        local = (
            url.scheme in ("http", "https")
            and url.hostname in _LOCAL
            and "@" not in url.netloc
            and url.port != 0
        )
    except ValueError:
        local = False
    # curl expands {a,b} and [1-9] itself; \ is a / to it and part of the name to us.
    if not local or re.search(r"[{}\\#]", text) or "[" in text.replace("[::1]", ""):
        raise No(f"{text} is not a URL of this host", word.span, "ask localhost")
    if _ACTS.search(urllib.parse.unquote(text)):
        raise No(f"reading {text} may act or disclose", word.span)


_X509 = spec(
    "-in=certfile -noout -dates -subject -issuer -enddate -startdate -fingerprint -serial -text -ext=any -checkend=nonneg"
    " -sha1 -sha256 -sha512 -md5 -purpose -hash -subject_hash -issuer_hash -inform=word -nameopt=any -certopt=any -email -ocsp_uri"
    " -pubkey -alias -modulus -checkhost=host -checkip=host"
)
_SHOW = spec(
    "-in=certfile -noout -text -subject -issuer -lastupdate -nextupdate -verify -inform=word -nameopt=any -fingerprint -hash"
)
_VERIFY = spec(
    "-CAfile=certfile -CApath=metapath -untrusted=certfile -purpose=word -verbose -x509_strict -show_chain"
)
_CLIENT = spec(
    "-connect=lhost -servername=host -showcerts -tls1 -tls1_1 -tls1_2 -tls1_3 -status -brief -no_ign_eof -verify=nonneg"
    " -starttls=word -alpn=word -CAfile=certfile -CApath=metapath -verify_return_error -quiet"
)
_DIGEST = spec("-md5 -sha1 -sha224 -sha256 -sha384 -sha512 -r -c -hex")


def openssl(call: Call) -> None:
    """Showing and verifying certificates, digests of files, and the certificate of a service of this host."""
    sub = call.words[0].value if call.words else ""
    words = call.words[1:]
    match sub:
        case "version" | "ciphers" | "x509" | "req" | "crl":
            rest = _show(call, sub, words)
        case "verify" | "dgst" | "sha1" | "sha256" | "md5":
            options = _VERIFY if sub == "verify" else _DIGEST
            for word in call.parse(options, words, single_dash=True).rest:
                call.scope.check("certfile" if sub == "verify" else "path", word)
            rest = ()
        case "s_client":
            rest = _client(call, words)
        case _:
            raise No(f"openssl {sub}", call.span, "x509, req, crl, verify, dgst, s_client, version")
    if rest:
        raise No(f"argument {rest[0].value!r} is not expected", rest[0].span)


_SHOWS = {
    "version": spec("-a -v -d -b -o -p -f -m"),
    "ciphers": spec("-v -V -s -tls1_2 -tls1_3"),
    "x509": _X509,
    "req": _SHOW,
    "crl": _SHOW,
}


def _show(call: Call, sub: str, words: tuple[Word, ...]) -> tuple[Word, ...]:
    parsed = call.parse(_SHOWS[sub], words, single_dash=True)
    if sub == "ciphers":
        return parsed.rest[1:]
    if sub != "version" and "-noout" not in parsed.seen:
        raise No(f"openssl {sub} without -noout", call.span, "add -noout")
    return parsed.rest


def _client(call: Call, words: tuple[Word, ...]) -> tuple[Word, ...]:
    """What stands on its input is sent to the service: nothing, or an empty line."""
    if any(stage not in (("echo",), ("true",)) for stage in call.before):
        raise No(
            "openssl s_client sends what it is given", call.span, "echo | openssl s_client ..."
        )
    parsed = call.parse(_CLIENT, words, single_dash=True)
    if "-connect" not in parsed.seen:
        raise No("no -connect", call.span)
    return parsed.rest


_SOCKET = re.compile(r"(UNIX-CONNECT:|unix-connect:|unix:)?/(var/)?run/haproxy[\w./-]*\.sock")
_ASKS = re.compile(
    r"show (stat|info|errors|sess|pools|activity|version|backend|table [\w.-]+|servers (state|conn)( [\w.-]+)?)"
)


def haproxy(call: Call) -> None:
    """A question to haproxy's socket: exactly `echo 'show ...' | socat stdio SOCKET`."""
    said = call.before[0] if len(call.before) == 1 else ()
    if len(said) != 2 or said[0] != "echo" or not _ASKS.fullmatch(said[1]):
        raise No("socat passes on whatever it is given", call.span, "echo 'show stat' | socat ...")
    ends = [word.value for word in call.words]
    stdio = len(ends) == 2 and ends[0].lower() in ("-", "stdio")
    if not stdio or not _SOCKET.fullmatch(ends[1]) or ".." in ends[1]:
        raise No("another end than haproxy's socket", call.span, "stdio /run/haproxy/admin.sock")


_NC = spec("-w=secs -q=secs -v -n -N -4")
_WORD = re.compile(
    r"(ruok|stat|srvr|mntr|isro|conf|cons|dirs|wchs|stats( (items|slabs|sizes|settings|conns))?|version|ping|PING"
    r"|info( [a-z]+)?|INFO( [a-z]+)?|quit)?(\\r\\n|\\n)*(quit(\\r\\n|\\n)*)?"
)


def ask(call: Call) -> None:
    """A question of one word to ZooKeeper, memcached or redis here: exactly `echo stats | nc localhost PORT`."""
    said = call.before[0] if len(call.before) == 1 else ()
    words = [word for word in said[1:] if word not in ("-e", "-n", "-en")]
    if not said or said[0] not in ("echo", "printf") or len(words) != 1:
        raise No("nc passes on whatever it is given", call.span, "echo stats | nc localhost 11211")
    if not words[0] or not _WORD.fullmatch(words[0]):
        raise No(f"{words[0]!r} is not on the list", call.span)
    parsed = call.parse(_NC)
    if len(parsed.rest) != 2:
        raise No("a host and a port", call.span)
    call.scope.check("lhost", parsed.rest[0])
    call.scope.check("port", parsed.rest[1])
