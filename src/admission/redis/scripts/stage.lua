#!lua
-- Adds a part of the ledger's snapshot to the keys that open.lua will put in place.
--
-- ARGV  1 number of free units n, then n units, then pairs: user, "unit purchase-id entry-id"
-- Reply nothing
--
-- The names of the staged keys contain the epoch of the rebuild. The keys expire an hour after the
-- last part.
-- Not idempotent: each part must be staged once; open.lua counts them.

local EXPIRY_S = 3600
local free = tonumber(ARGV[1])
for i = 2, free + 1 do
  call('RPUSH', STAGED_FREE, ARGV[i])
end
for i = free + 2, #ARGV, 2 do
  call('HSET', STAGED_BUYERS, ARGV[i], ARGV[i + 1])
end
call('EXPIRE', STAGED_FREE, EXPIRY_S)
call('EXPIRE', STAGED_BUYERS, EXPIRY_S)
