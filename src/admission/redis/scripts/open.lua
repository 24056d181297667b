#!lua flags=allow-oom
-- Puts a staged snapshot in place: the last step of a rebuild, after which the sale is ready.
--
-- ARGV  1 epoch   2 total   3 next   4 opens_ms or ""   5 closes_ms or ""   6 paused (1|0)
--       7 "1": purchases of this sale were taken back, whose users may buy again
--       8 balance: staged users without a unit, less withheld units without a user
--       9 the caller's system, which owns the state
-- Reply "OPEN" | "STALE": a later epoch's fence stands, or none since Redis was lost again
--       | "INCOMPLETE": parts of the snapshot are missing
-- Error READONLY on a server that is no primary
--
-- Epochs only rise, and buyers + free = next + balance afterwards. The state is bound to the server
-- that runs this script. Idempotent: a second run finds its own epoch in place.

local sale = call('HMGET', SALE, 'epoch', 'fence')
if sale[1] == ARGV[1] then
  return 'OPEN'
end
if sale[2] ~= ARGV[1] then
  return 'STALE'
end
if call('LLEN', STAGED_FREE) + call('HLEN', STAGED_BUYERS) ~= tonumber(ARGV[3]) + tonumber(ARGV[8]) then
  return 'INCOMPLETE'
end
local info = call('INFO', 'server') .. call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is no primary')
end
local server = string.match(info, 'run_id:(%x+)') .. ' ' .. string.match(info, 'master_replid:(%x+)')
call('UNLINK', SALE, FREE, BUYERS, OUTBOX, DEAD)
for staged, final in pairs({[STAGED_FREE] = FREE, [STAGED_BUYERS] = BUYERS, [STAGED_DEAD] = DEAD}) do
  if call('EXISTS', staged) == 1 then
    call('RENAME', staged, final)
    call('PERSIST', final)
  end
end
-- A small hash is searched from its beginning: what admit.lua reads at each run comes first, and is
-- always there.
call('HSET', SALE, 'epoch', ARGV[1], 'total', ARGV[2], 'next', ARGV[3], 'server', server, 'paused', ARGV[6],
  'opens_ms', ARGV[4], 'closes_ms', ARGV[5], 'system', ARGV[9], 'in_flight', 0, 'dead', call('SCARD', DEAD),
  'revoked', ARGV[7], 'balance', ARGV[8])
return 'OPEN'
