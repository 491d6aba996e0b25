from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

FIND = r"""
allow find /var/log -name '*.log' -size +10M
allow find / -xdev -type f -size +100M -printf '%s %p\n'
allow find /tmp '(' -name '*.a' -o -name '*.b' ')' -mtime +3
allow find
allow find -H /var/log -maxdepth 1 -ls
allow find /var/log -type f -exec ls -l {} +
allow find / -name core -exec stat {} ';'
allow find /var/log -name '*.log' -exec grep -l error {} +
allow find /tmp -type f -exec head -n 1 {} ';'
allow find /usr/bin -type f -exec sha256sum {} +
allow find -L /var/log -name x
no find / -delete ## -delete
no find / -fprint /x ## -fprint
no find / -fprintf /x %p ## -fprintf
no find / -fls /x ## -fls
no find / -ok rm {} ';' ## -ok
no find / -okdir rm {} ';' ## -okdir
no find -files0-from /etc/shadow ## -files0-from
no find / -name ## needs a value
no find / -newerXY x ## -newerXY
no find /tmp x -name y /etc -delete ## primary /etc
no find /tmp -name x -D tree ## -D
no find -D exec / ## -D
no find /proc/1/root -name x ## leads out
no find /tmp/../root ## goes upwards
no find / -exec rm {} ';' ## not in the plan
no find / -exec ';' ## without its end
no find / -exec ls ## without its end
no find / -exec ls + ## without its end
no find /tmp -exec ls + -delete ';' ## -delete
no find / -exec cat {} ';' ## not in the plan
no find / -exec head {} ';' ## not in the plan
no find /root -exec grep x {} + ## not in the plan
no find -exec head {} + ## not in the plan
no find /tmp -exec head {} + ## anybody may put a link there
no find /tmp -exec head {} + -type f ## anybody may put a link there
no find /tmp -type f -o -name x -exec head {} + ## anybody may put a link there
no find /tmp ! -type f -exec head {} + ## anybody may put a link there
no find /var/log /tmp -exec head {} + ## anybody may put a link there
no find -L /var/log -exec head {} + ## links are followed
no find -H /var/log -exec head {} + ## links are followed
no find /var/log -follow -exec head {} + ## links are followed
no find /var/log -exec head {} + -follow ## links are followed
no find /dev -type f -exec md5sum {} + ## not in the plan
no find / -exec wc {} + ## not in the plan
no find /proc -type f -exec wc {} + ## not in the plan
no find /var/log -exec grep -f /etc/shadow {} + ## -f
no find /var/log -exec ls {} ';' -exec rm {} ';' ## not in the plan
no find /var/log -exec sudo ls {} ';' ## not in the plan
no find /var/log -exec du -X /etc/shadow {} ';' ## -X
"""
XARGS = r"""
allow pgrep nginx | xargs ps -o pid,args -p
allow pgrep nginx | head -n 3 | xargs -n 1 pwdx
allow pidof nginx | xargs -n 1 pmap
allow pgrep nginx | xargs -I{} ps -p {}
allow find /var/log -name '*.log' -print0 | xargs -0 ls -lh
allow find /var/log -name '*.log' -print0 | xargs -0 grep -c error
allow find /var/log -type f -print0 | xargs -0 -r wc -l
allow find /tmp -type f -print0 | xargs -0 head
allow echo a | xargs ls
allow echo a | xargs -n 1 echo
no xargs ## without a command
no xargs rm ## not in the plan
no xargs -a /etc/shadow ls ## -a
no xargs sh -c id ## not in the plan
no echo x | xargs -I{} sh -c {} ## not in the plan
no echo /etc/shadow | xargs cat ## not in the plan
no echo /dev/watchdog | xargs md5sum ## not in the plan
no echo x | xargs find / ## not in the plan
no echo x | xargs -I X --replace=ls ls ## two ways
no echo x | xargs -I ls -n 1 ls ## two ways
no echo x | xargs -I ls -L 1 ls ## two ways
no echo x | xargs -I ls --max-args=1 ls ## two ways
no echo x | xargs --replace=ls --max-lines=1 ls ## two ways
no echo x | xargs -I ls ls ## a path
no echo x | xargs --replace=s ls ## a path
no pgrep x | xargs -I ps ps ## no rule
no pgrep x | head -n 1 /tmp/x | xargs ps ## not in the plan
no pgrep x | cat /tmp/x | xargs ps ## not in the plan
no pgrep -a x | xargs ps ## not in the plan
no pgrep -d e x | xargs ps ## not in the plan
no pidof -d e x | xargs ps ## not in the plan
no echo e | xargs ps ## not in the plan
no ls | xargs -0 head ## something else than what find prints
no find /var/log -print0 | xargs head ## not in the plan
no find /var/log -print0 | xargs -0 -d x wc ## not in the plan
no find /var/log -print | xargs -0 wc ## something else than names
no find /var/log -print0 -printf x | xargs -0 wc ## something else than names
no find /var/log -print0 -ls | xargs -0 wc ## something else than names
no find /var/log -execdir realpath -z /etc/shadow ';' -print0 | xargs -0 head ## something else than names
no find /var/log -exec stat -c x {} ';' -print0 | xargs -0 head ## something else than names
no find /var/log -follow -print0 | xargs -0 head ## links are followed
no find -L /var/log -print0 | xargs -0 head ## relative directory
no find . -print0 | xargs -0 wc ## relative directory
no find -print0 | xargs -0 wc ## relative directory
no find /var/log -print0 | head -z | xargs -0 wc ## something else than what find prints
no find /root -print0 | xargs -0 head ## not in the plan
no find /dev -type f -print0 | xargs -0 wc ## not in the plan
no find /tmp -print0 | xargs -0 head ## anybody may put a link there
no find /tmp -print0 -type f | xargs -0 head ## anybody may put a link there
"""
TAR = r"""
allow tar -tf /tmp/x.tar
allow tar tvzf /tmp/x.tgz
allow tar -tzvf /tmp/x.tgz etc/hosts
allow tar --list --file=/tmp/x.tar
allow tar t
no tar xf /x ## other than a listing
no tar -xf /x ## -x
no tar -cf /x /y ## -c
no tar -tcf /x /y ## -c
no tar -f /x ## other than a listing
no tar -tf /x --to-command=sh ## --to-command
no tar -tf /x -I sh ## -I
no tar tfI /x sh ## other than a listing
no tar tIf sh /x ## other than a listing
no tar -tf /x --checkpoint-action=exec=id ## --checkpoint-action
no tar -tf h:/x ## not of type archive
no tar -tf /x h:/y ## not of type archive
no tar -tf /dev/watchdog ## a device
no tar --list --file=/dev/st0 ## a device
no tar -tf /dev/watchdog -f /tmp/x ## a device
no tar -t -F /x -f /y ## -F
no tar -tf /x -- -x ## --
"""
DELETE = r"""
allow find /tmp -xdev -type f -mtime +7 -delete
allow find /var/log/app -name '*.gz' -mtime +14 -delete
allow find /tmp/x -maxdepth 2 -iname 'a*' -size +10M -mtime +7 -delete
no find /tmp -delete ## must be last
no find /tmp -type f -delete -mtime +7 ## must be last
no find /tmp -type f -mtime +7 ## must be last
no find / -xdev -type f -mtime +7 -delete ## is not below
no find /tmp/../etc -type f -mtime +7 -delete ## is not below
no find /tmp/ -type f -mtime +7 -delete ## is not below
no find -L /tmp -type f -mtime +7 -delete ## is not below
no find /tmp /etc -type f -mtime +7 -delete ## find primary /etc
no find /tmp -type f -mtime +6 -delete ## find primary -mtime +6
no find /tmp -type f -mtime -7 -delete ## find primary -mtime -7
no find /tmp -type d -mtime +7 -delete ## find primary -type d
no find /tmp -name '*' -mtime +7 -delete ## find primary -name
no find /tmp -name 'a/b' -mtime +7 -delete ## find primary -name
no find /tmp -type f -mtime -delete ## needs a value
no find /tmp -type f -xdev -delete ## wants an age
no find /tmp -mtime +7 -xdev -delete ## a type or a name
no find /tmp -type f -mtime +7 -o -delete ## find primary -o
no find /tmp -type f -mtime +7 -exec rm {} ';' -delete ## find primary -exec
no find /tmp -type f -size -1k -mtime +7 -delete ## find primary -size
no find /tmp -type f -maxdepth x -mtime +7 -delete ## find primary -maxdepth
no find /tmp -type f -mtime +7 -name -delete ## find primary -name
no find /var/log -name '*.gz' -mtime +14 -delete ## kept for audit
no find /var/log/audit -name '*.gz' -mtime +14 -delete ## kept for audit
no find /var/log/journal -name '*.gz' -mtime +14 -delete ## kept for audit
no find /var/log/app -type f -mtime +14 -delete ## wants a -name
"""


@pytest.mark.parametrize(("text", "reason"), rows(FIND))
def test_find(policy, text, reason):
    agree(policy, "find", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(XARGS))
def test_xargs(policy, text, reason):
    agree(policy, "xargs", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(TAR))
def test_tar(policy, text, reason):
    agree(policy, "tarlist", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(DELETE))
def test_find_delete(policy, text, reason):
    agree(
        policy,
        "finddelete",
        text,
        reason,
        roots=("/tmp", "/var/log"),
        min_age_days=7,
        need_name_under=("/var/log",),
    )
