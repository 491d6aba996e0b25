from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

TABLE = r"""
allow awk '{print $1}' /var/log/x
allow awk -F: -v min=3 '$3 > min {print $1}' /etc/passwd
allow awk --field-separator=: --assign=x=1 1
allow awk 'NR > 1 && ($5+0) > 80 {print $6}' /tmp/x.txt
allow awk '{print ($1 > 3)}' /tmp/x.txt
allow awk '{a = $1 > 3; print a}' /tmp/x.txt
allow awk '/a|b/ {n++} END {print n/NR}' /var/log/x
allow awk '{print length}' /var/log/x
allow awk '{print length($0) / 2}' /var/log/x
allow awk '{gsub(/\//, "-"); print}' /var/log/x
allow awk '/[[:digit:]]+/ {print}' /var/log/x
allow awk '{for (i = 1; i <= NF; i++) s += $i} END {print s}' /var/log/x
allow awk '{ if (/x/) print; else next }' /var/log/x
allow awk 1 FS=: /etc/passwd
allow awk '{print "a > b | c"}' /var/log/x
allow awk '{printf "%s\n", substr($0, 2)}' -
no awk ## no program
no awk -f /tmp/x ## -f
no awk -E /tmp/x ## -E
no awk --file=/tmp/x ## --file
no awk -l filefuncs 1 ## -l
no awk -i inplace 1 /tmp/x ## -i
no awk -W exec 1 ## -W
no awk --posix 1 /var/log/x ## --posix
no awk 'BEGIN{system("id")}' ## awk system
no awk 'BEGIN{system ("id")}' ## awk system
no awk '{print > "/x"}' y ## writes to a file
no awk '{print $1, $2 > "/tmp/x"}' y ## writes to a file
no awk '{print ($1) > "/tmp/x"}' y ## writes to a file
no awk '{printf("x") > "/tmp/x"}' y ## writes to a file
no awk '{if ($1 > 2) print $1 > "/tmp/x"}' y ## writes to a file
no awk '{print >> "/x"}' y ## writes
no awk '{print | "sh"}' y ## writes
no awk '{print |& "sh"}' y ## writes
no awk 'BEGIN{"id" | getline}' ## writes
no awk '{getline x < "/etc/shadow"; print x}' y ## getline
no awk '{while ((getline x < "/etc/shadow") > 0) print x}' y ## getline
no awk 'BEGIN{print ENVIRON["HOME"]}' ## ENVIRON
no awk 'BEGIN{print PROCINFO["pid"]}' ## PROCINFO
no awk 'BEGIN{ARGV[1] = "/etc/shadow"; ARGC = 2} 1' x ## ARGV
no awk 'BEGIN{SYMTAB["x"] = 1}' ## SYMTAB
no awk -v ARGV=x 1 ## no plain variable
no awk -v 1x=y 1 ## no plain variable
no awk 1 ENVIRON=x ## no plain variable
no awk '@load "filefuncs"' x ## is not understood
no awk 'function f(x) {return x} {print f($1)}' x ## awk function
no awk 'BEGIN{f = "system"; @f("id")}' ## is not understood
no awk '{print f($1)}' x ## awk function f
no awk 'awk::system("id")' ## can execute
no awk '{close("x")}' ## awk close
no awk '{fflush()}' ## awk fflush
no awk 'BEGIN{x = 1 /2; system("id") / 3}' ## awk system
no awk 'BEGIN{x++ /2; system("id")/ 3}' ## after ++
no awk 'BEGIN{length /"/ ; system("id") ; length /"/}' ## after length
no awk 'BEGIN{x = default / system("id") / 1}' ## default
no awk '/[/]/ {print}' x ## read differently
no awk '/[]]/ {print}' x ## read differently
no awk '/a {print}' x ## read differently
no awk '{print "a}' x ## is not understood
no awk '{print 1) }' x ## not opened
no awk 'BEGIN{while (1) x++}' ## never end
no awk 'BEGIN{for (;;) x++}' ## never end
no awk 'BEGIN{do x++; while (1)}' ## never end
no awk '{print} # x' y ## is not understood
no awk 1 /etc/shadow ## may hold a secret
no awk 1 /dev/sda ## device
no awk 1 /inet/tcp/0/log/80 ## opens a connection
no awk 1 //inet/tcp/0/a/log/80 ## opens a connection
"""


@pytest.mark.parametrize(("text", "reason"), rows(TABLE))
def test_awk(policy, text, reason):
    agree(policy, "awk", text, reason)
