#!lua
-- Posts a process's report, and drops those of processes that have not reported for long.
--
-- KEYS  1 seen (sorted set: process → when it reported last, ms)   2 reports (hash: process → report)
-- ARGV  1 process   2 report   3 how long a report is kept, in ms
-- Reply number of reports dropped
--
-- Keeps: one report a process, none older than it may be. A full Redis refuses it. Running it twice is safe.

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now_ms - tonumber(ARGV[3])))
for _, process in ipairs(old) do
  redis.call('ZREM', KEYS[1], process)
  redis.call('HDEL', KEYS[2], process)
end
-- Where nobody reports any more, nothing stays.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return #old
