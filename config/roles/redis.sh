#!/bin/sh
# The Redis user of all processes and commands, with what they need, and no more. Arguments go to
# redis-cli, which must be allowed to change users. It can be run again.
#
#   REDIS_PASSWORD=… config/roles/redis.sh -h redis
#
# FLASHSALE_PREFIX (flashsale) is the first part of all keys. Redis keeps users over a restart only
# where it has an ACL file (then also run: redis-cli ACL SAVE) or a configuration file (CONFIG REWRITE).
set -eu

hash=$(printf '%s' "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)

# INFO tells whether the server is a primary, which incarnation it is, and whether it evicts keys. SET
# finds out whether it takes writes.
answer=$(redis-cli "$@" ACL SETUSER flashsale reset on "#$hash" "~${FLASHSALE_PREFIX:-flashsale}:*" \
    +select +ping +unwatch +info +time +evalsha '+script|load' +set +type +exists +del +unlink +rename +persist \
    +expire +pexpire +hget +hmget +hset +hdel +hexists +hlen +hincrby +hscan +lindex +llen +lpop +lrange +lrem \
    +rpush +sadd +srem +scard +sismember +xadd +xdel +xlen +xrange +xrevrange +zadd +zrem +zrange +zrangebyscore)
[ "$answer" = OK ] || { echo "Redis refuses the user: $answer" >&2; exit 1; }
