#!lua
-- Adds a part of the ledger's snapshot to the keys that open.lua will put in place.
--
-- KEYS  1 staged free   2 staged buyers
-- ARGV  1 number of free units n, then n units, then pairs: user, "unit id entry"
-- Reply nothing
--
-- Keeps: staged keys are of one epoch by their names, and expire by themselves if the rebuild never ends.
-- Parts must be staged once each; open.lua counts them.

local free = tonumber(ARGV[1])
for i = 2, free + 1 do
  redis.call('RPUSH', KEYS[1], ARGV[i])
end
for i = free + 2, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], 3600)
redis.call('EXPIRE', KEYS[2], 3600)
