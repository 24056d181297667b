#!lua flags=allow-oom
-- Puts a staged snapshot in place: the last step of a rebuild, after which the sale is ready.
--
-- ARGV  1 epoch   2 total   3 next   4 opens_ms or ""   5 closes_ms or ""   6 paused (1|0)
--       7 identity of the server   8 "1": purchases of this sale were revoked
-- Reply "OPEN" | "STALE": a later epoch's fence stands, or none since Redis was lost again
--       | "INCOMPLETE": parts of the snapshot are missing
--
-- Epochs only rise, and buyers + free = next afterwards.
-- Idempotent: a second run finds its own epoch in place.

local sale = call('HMGET', SALE, 'epoch', 'fence')
if sale[1] == ARGV[1] then
  return 'OPEN'
end
if sale[2] ~= ARGV[1] then
  return 'STALE'
end
if call('LLEN', STAGED_FREE) + call('HLEN', STAGED_BUYERS) ~= tonumber(ARGV[3]) then
  return 'INCOMPLETE'
end
call('UNLINK', SALE, FREE, BUYERS, OUTBOX, DEAD)
for staged, final in pairs({[STAGED_FREE] = FREE, [STAGED_BUYERS] = BUYERS}) do
  if call('EXISTS', staged) == 1 then
    call('RENAME', staged, final)
    call('PERSIST', final)
  end
end
call('HSET', SALE, 'epoch', ARGV[1], 'total', ARGV[2], 'next', ARGV[3], 'paused', ARGV[6], 'server', ARGV[7],
  'revoked', ARGV[8])
if ARGV[4] ~= '' then
  call('HSET', SALE, 'opens_ms', ARGV[4])
end
if ARGV[5] ~= '' then
  call('HSET', SALE, 'closes_ms', ARGV[5])
end
return 'OPEN'
