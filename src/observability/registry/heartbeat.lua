#!lua
-- Stores the heartbeat of a process, and removes processes without one for too long.
--
-- KEYS  1 seen (sorted set: process → time of its last heartbeat, ms)
--       2 reports (hash: process → heartbeat)
-- ARGV  1 process   2 heartbeat (JSON)   3 how long a heartbeat is kept, in ms
-- Reply number of processes removed
--
-- Atomic and idempotent. Times are by the clock of this server. Refused while Redis is out of
-- memory.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now_ms - tonumber(ARGV[3])))
for _, process in ipairs(old) do
  redis.call('ZREM', KEYS[1], process)
  redis.call('HDEL', KEYS[2], process)
end
-- The keys of a system that is gone expire.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return #old
