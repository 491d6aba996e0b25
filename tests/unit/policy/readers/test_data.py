from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

REDIS = r"""
allow redis-cli info memory
allow redis-cli INFO
allow redis-cli -h 127.0.0.1 -p 6380 ping
allow redis-cli cluster info
allow redis-cli slowlog get 10
allow redis-cli CLIENT LIST
allow redis-cli config get maxmemory
allow redis-cli memory usage some:key
allow redis-cli -s /run/redis/redis.sock info
no redis-cli ## interactive session
no redis-cli -h 10.0.0.9 info ## not of type lhost
no redis-cli -h localhost -h evil info ## not of type lhost
no redis-cli -u redis://evil info ## -u
no redis-cli -a password info ## -a
no redis-cli -x set a ## -x
no redis-cli -r 100 info ## -r
no redis-cli --rdb /x ## --rdb
no redis-cli --pipe ## --pipe
no redis-cli --eval /x ## --eval
no redis-cli info -x ## an option behind
no redis-cli flushall ## not on the list
no redis-cli FLUSHALL ## not on the list
no redis-cli get x ## not on the list
no redis-cli keys '*' ## not on the list
no redis-cli config set dir /x ## not on the list
no redis-cli config get '*' ## of that name
no redis-cli config get requirepass ## of that name
no redis-cli config get masterauth ## of that name
no redis-cli config get tls-key-file-pass ## of that name
no redis-cli config get maxmemory requirepass ## of that name
no redis-cli config get '[r]equirepass' ## of that name
no redis-cli slowlog reset ## not on the list
no redis-cli client kill addr x ## not on the list
no redis-cli memory purge ## not on the list
no redis-cli debug segfault ## not on the list
no redis-cli script flush ## not on the list
no redis-cli acl list ## not on the list
no redis-cli -s /proc/1/root/x info ## leads out
no echo flushall | redis-cli ## on its input
no echo flushall | redis-cli info ## on its input
"""
SQL = r"""
allow mysql -e 'SHOW PROCESSLIST'
allow mysql -e 'SHOW ENGINE INNODB STATUS\G'
allow mysql -e 'show full processlist;'
allow mysql -e 'show create table orders'
allow mysql -e 'show create trigger x'
allow mysql -e "SHOW GLOBAL STATUS LIKE 'Threads_connected'"
allow mysql -u root -S /run/mysqld/mysqld.sock app -e 'select count(*) from orders'
allow mysql -e 'select "a b", 1'
allow mysql -D app --batch --execute='describe orders'
allow psql -l
allow psql -X -d app -U postgres -c 'select * from pg_stat_replication'
allow psql -At -c 'select count(*) from pg_stat_activity'
allow psql -h /var/run/postgresql -c 'SHOW max_connections'
allow psql -c 'select state as "State" from pg_stat_activity'
allow psql -c "select now()::date, 'it''s'"
allow psql -c "select name, setting from pg_settings where name = 'max_connections'"
allow psql -c "select name, setting from pg_settings where name in ('work_mem', 'shared_buffers')"
allow psql -c "select name, setting from pg_settings where name like 'autovacuum%'"
allow psql -c 'explain select 1' app postgres
no psql ## exactly one statement
no mysql app ## exactly one statement
no psql -l -c 'select 1' ## exactly one statement
no mysql -l ## -l
no mysql -e 'select 1' -e 'drop table x' ## only read
no psql -c 'select 1' -c 'select 2' ## exactly one statement
no psql -f /x ## -f
no psql -o /x -c 'select 1' ## -o
no psql -v x=1 -c 'select 1' ## -v
no psql -d 'service=x' -c 'select 1' ## not of type key
no psql postgresql://evil/x -c 'select 1' ## not of type key
no psql 'host=evil' -c 'select 1' ## not of type key
no psql -h evil -c 'select 1' ## not of type lhost
no psql a b c -c 'select 1' ## too many arguments
no mysql a b -e 'select 1' ## too many arguments
no mysql -h evil -e 'select 1' ## not of type lhost
no mysql -psecret -e 'select 1' ## -p
no mysql --pager=/x -e 'select 1' ## --pager
no mysql --init-command='drop table x' -e 'select 1' ## --init-command
no mysql --defaults-file=/x -e 'select 1' ## --defaults-file
no mysql --local-infile=1 -e 'select 1' ## --local-infile
no mysql -S /tmp/evil.sock -e 'select 1' ## anybody may have put there
no mysql -S /run/../tmp/x -e 'select 1' ## anybody may have put there
no mysql --socket=/home/x/y -e 'select 1' ## anybody may have put there
no mysql mysql -e 'select 1' ## database of accounts
no mysql -D MySQL -e 'select 1' ## database of accounts
no echo 'drop table x' | mysql ## on its input
no echo '\! id' | psql -c 'select 1' ## on its input
no mysql -e 'drop table x' ## only read
no mysql -e '' ## only read
no mysql -e '1' ## only read
no mysql -e 'set global x=1' ## only read
no mysql -e 'system id' ## only read
no mysql -e 'source /x' ## only read
no mysql -e 'tee /tmp/x' ## only read
no mysql -e '\! id' ## not understood
no mysql -e 'select 1; drop table x' ## not understood
no mysql -e 'select 1 \g drop table x' ## not understood
no mysql -e 'select 1 -- x' ## not understood
no mysql -e 'select /*!50000 1 */ 1' ## not understood
no mysql -e 'select 1 # x' ## not understood
no mysql -e 'select `x` from t' ## not understood
no mysql -e 'select @x := 1' ## not understood
no mysql -e "select 'a\\'" ## not understood
no mysql -e "select 'a" ## not understood
no mysql -e 'select 1 into outfile "/tmp/x"' ## the statement says into
no mysql -e 'select 1 into @x' ## the statement says into
no mysql -e 'select load_file(0x2f)' ## load_file
no mysql -e 'select sleep(1000)' ## SQL function sleep
no mysql -e 'select "sleep" (1)' ## a quoted name
no mysql -e 'select * from mysql.user' ## the tables of accounts
no mysql -e 'select * from mysql . user' ## the tables of accounts
no mysql -e 'select * from "mysql"."user"' ## a quoted name
no mysql -e 'select * from "user"' ## a quoted name
no mysql -e 'select a from b join "user"' ## a quoted name
no mysql -e 'select authentication_string from t' ## authentication_string
no mysql -e 'select api_key from t' ## api_key
no mysql -e 'show grants for root' ## password hashes
no mysql -e 'show create user root' ## password hashes
no mysql -e 'show create server x' ## of that kind
no mysql -e 'explain analyze select 1' ## executes
no mysql -e 'desc analyze select 1' ## the statement says analyze
no mysql -e 'select * from t for update' ## the statement says update
no mysql -e 'select * from t lock in share mode' ## the statement says lock
no psql -c 'select pg_terminate_backend(1)' ## SQL function pg_terminate_backend
no psql -c 'select "pg_terminate_backend"(1)' ## a quoted name
no psql -c 'select * from "pg_shadow"' ## a quoted name
no psql -c "select pg_read_file('/etc/passwd')" ## SQL function
no psql -c 'select nextval(1)' ## SQL function
no psql -c 'select $1' ## not understood
no psql -c 'select :x' ## not understood
no psql -c 'select 1 \gexec' ## not understood
no psql -c 'select * from pg_shadow' ## pg_shadow
no psql -c 'select * from pg_catalog.pg_authid' ## pg_authid
no psql -c 'select * from information_schema.user_mapping_options' ## user_mapping
no psql -c 'copy t to program $$id$$' ## not understood
no psql -c "copy t to '/x'" ## only read
no psql -c 'with x as (delete from t returning 1) select 1 from x' ## the statement says delete
no psql -c 'explain (analyze) delete from t' ## executes
no psql -c 'explain verbose analyze select 1' ## executes
no psql -c 'show primary_conninfo' ## primary_conninfo
no psql -c 'show all' ## password of a replica
no psql -c 'select * from pg_settings' ## without their names
no psql -c 'select * from pg_catalog.pg_settings' ## without their names
no psql -c "select * from pg_settings where name = 'a' or 1 = 1" ## without their names
no psql -c "select * from pg_settings where name = 'primary_conninfo'" ## may hold a password
no psql -c "select * from pg_settings where name like 'prim%'" ## may hold a password
no psql -c "select * from pg_settings where name in ('work_mem', 'primary_conninfo')" ## may hold a password
no psql -c "select * from pg_settings where name ~ 'conn'" ## without their names
"""


@pytest.mark.parametrize(("text", "reason"), rows(REDIS))
def test_redis(policy, text, reason):
    agree(policy, "redis", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(SQL))
def test_sql(policy, text, reason):
    agree(policy, "sql", text, reason)
