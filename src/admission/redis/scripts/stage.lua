#!lua
-- Adds a part of a rebuild's snapshot to the keys that open.lua will put in place.
--
-- ARGV  1 number of free units n, then n units, then
--       number of dead-lettered purchases m, then m purchase ids, then
--       pairs: user and winner, of the dead-lettered purchases and of used rights too
-- Reply nothing
--
-- The names of the staged keys contain the epoch of the rebuild. The keys expire an hour after the
-- last part.
-- Not idempotent: each part must be staged once; open.lua counts them.

local EXPIRY_S = 3600
local free_end = 1 + tonumber(ARGV[1])
local dead_end = free_end + 1 + tonumber(ARGV[free_end + 1])
for i = 2, free_end do
  call('RPUSH', STAGED_FREE, ARGV[i])
end
for i = free_end + 2, dead_end do
  call('SADD', STAGED_DEAD, ARGV[i])
end
for i = dead_end + 1, #ARGV - 1, 2 do
  call('HSET', STAGED_BUYERS, ARGV[i], ARGV[i + 1])
end
for _, key in ipairs({STAGED_FREE, STAGED_BUYERS, STAGED_DEAD}) do
  call('EXPIRE', key, EXPIRY_S)
end
