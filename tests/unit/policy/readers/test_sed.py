from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

TABLE = r"""
allow sed -n 5p /var/log/x
allow sed -n '1,5p' /var/log/x
allow sed -n '$p' /var/log/x
allow sed -n '1, 5p' /var/log/x
allow sed 's/[[.a.]]//' /var/log/x
allow sed 's/[[=a=]b]//' /var/log/x
allow sed -n '/error/,+3p' /var/log/x
allow sed -n '0~4p' /var/log/x
allow sed '/^#/d;/^$/d' /etc/fstab
allow sed -n '/a/I,/b/p' /var/log/x
allow sed 's/a/b/g' /var/log/x
allow sed 's/a/b/2p' /var/log/x
allow sed 's|/a|/b|' /var/log/x
allow sed 's/\//x/' /var/log/x
allow sed 's/[^]]*//' /var/log/x
allow sed 's/[[:space:]]*$//' /var/log/x
allow sed 's/\[//' /var/log/x
allow sed 'y/abc/xyz/' /var/log/x
allow sed -e 1d -e '$d' /var/log/x
allow sed -ne 1p -e 2p /var/log/x
allow sed --expression=1p --quiet /var/log/x
allow sed ':a;N;$!ba;s/a/b/' /var/log/x
allow sed -n '1!{p;q5}' /var/log/x
allow sed '1a some text; w /x' /var/log/x
allow sed -E 's/(a+)/\1/' -
allow sed 10q
no sed ## no script
no sed -n ## no script
no sed -i 1d x ## -i
no sed -ni 1d x ## -i
no sed -i.bak 1d x ## -i
no sed --in-place=x 1d x ## --in-place
no sed -f /tmp/x y ## -f
no sed --file=/tmp/x y ## --file
no sed -s -n -i 1d x ## -i
no sed 'w /x' y ## can write or execute
no sed 'W /x' y ## can write or execute
no sed '1e id' x ## can write or execute
no sed e x ## can write or execute
no sed 'r /etc/shadow' x ## can write or execute
no sed 'R /etc/shadow' x ## can write or execute
no sed '1!w /x' y ## can write or execute
no sed '/a/w /x' y ## can write or execute
no sed '/a/Iw /x' y ## can write or execute
no sed '1,/b/w /x' y ## can write or execute
no sed '1{w /x' y ## can write or execute
no sed '{e id' y ## can write or execute
no sed 's/a/b/w /x' y ## after command
no sed 's/a/b/gw /x' y ## after command
no sed 's/a/b/e' y ## after command
no sed 's/a/b/;w /x' y ## can write or execute
no sed 'y/a/b/;w /x' y ## can write or execute
no sed 'p w /x' y ## after command
no sed '=w' y ## after command
no sed 's[a[b[w /x[g' y ## no plain delimiter
no sed 's]a]b]w x]g' y ## no plain delimiter
no sed 's a b w /x g' y ## no plain delimiter
no sed 'sxaxbxw /x' y ## no plain delimiter
no sed 's/[/]/x/w /tmp/y' z ## inside of brackets
no sed 's/[[:digit:]/]/;/w /p' x ## inside of brackets
no sed 's/[^]/]/;/w /p' x ## inside of brackets
no sed 's/[]/]/;/w /p' x ## inside of brackets
no sed 's/[\]/]/;/w /p' x ## inside of brackets
no sed '/[[.a.]/]/w /p;d' x ## inside of brackets
no sed '\,a,w /x' y ## can write or execute
no sed 's/a/b' y ## unterminated
no sed 's/a' y ## unterminated
no sed '/a' y ## unterminated
no sed 's/[a/b/' y ## inside of brackets
no sed '1,xp' y ## address
no sed '1' y ## without a command
no sed '#n' y ## can write or execute
no sed 'a\' -e 'w /x' y ## can write or execute
no sed -e 'a\' -e 'w /x' y ## goes on in the next script
no sed -e 'a text\' -e 'w /x' y ## goes on in the next script
no sed 1p /etc/shadow ## may hold a secret
no sed -n 1p /dev/sda ## device
no sed -e 1p -e 'w /x' /var/log/x ## can write or execute
"""


@pytest.mark.parametrize(("text", "reason"), rows(TABLE))
def test_sed(policy, text, reason):
    agree(policy, "sed", text, reason)
