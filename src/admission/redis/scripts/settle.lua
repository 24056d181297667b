#!lua flags=allow-oom
-- Deletes the outbox entries of purchases that the ledger has committed, or that are dead-lettered:
-- those are counted as dead, and stay pending.
--
-- ARGV  1 epoch   2 "1": the purchases are dead-lettered; then pairs: entry id, purchase id
-- Reply number of entries deleted
--
-- Entries of another epoch are never touched, so that a late message cannot delete what it does not
-- know of. Only a purchase that had an entry is counted as dead, since another one has no unit of
-- this sale. Allowed when Redis is full: settling is what empties it.
-- Idempotent. Identity and watermark are not checked: that the ledger, or the dead-letter queue,
-- has these purchases is true of each copy of the state. Within an epoch and a history of the
-- server, an entry id is one purchase's for ever, and nothing is admitted under another history, so
-- in a state that was rolled back, or on a former primary, the ids are those of the same purchases.
-- Where the state that sells is another copy, the entry stays there, and is swept, until it is
-- settled there.

if call('HGET', SALE, 'epoch') ~= ARGV[1] then
  return 0
end
local dead = ARGV[2] == '1'
local forget = call('SCARD', DEAD) > 0 and not dead
local deleted, added = 0, 0
for i = 3, #ARGV - 1, 2 do
  local entry, id = ARGV[i], ARGV[i + 1]
  local found = call('XDEL', OUTBOX, entry)
  deleted = deleted + found
  if forget then
    added = added - call('SREM', DEAD, id)
  elseif dead and found == 1 then
    added = added + call('SADD', DEAD, id)
  end
end
call('HINCRBY', SALE, 'in_flight', 0 - deleted)
call('HINCRBY', SALE, 'dead', added)
return deleted
