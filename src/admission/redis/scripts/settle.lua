#!lua flags=allow-oom
-- Deletes the outbox entries of purchases that the ledger has committed, or that are dead-lettered: those are noted
-- as dead, and stay pending. Where only an entry's milliseconds are known, the purchase id finds it.
--
-- KEYS  1 sale   2 outbox   3 dead
-- ARGV  1 epoch   2 "1": they are dead-lettered, then pairs: entry id (or only its milliseconds), purchase id
-- Reply number of entries deleted
--
-- Keeps: only a purchase that had an entry is noted as dead, for another one has no unit of this sale; a full Redis can be
-- emptied; an entry of another epoch is never touched, so a late message can't delete what it doesn't know of. Running it
-- twice is safe.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return 0
end
local deleted = 0
local dead = ARGV[2] == '1'
local forget = not dead and redis.call('EXISTS', KEYS[3]) == 1
for i = 3, #ARGV, 2 do
  local entry, id = ARGV[i], ARGV[i + 1]
  local before = deleted
  if string.find(entry, '-', 1, true) then
    deleted = deleted + redis.call('XDEL', KEYS[2], entry)
  else
    for _, candidate in ipairs(redis.call('XRANGE', KEYS[2], entry, entry)) do
      for field = 1, #candidate[2], 2 do
        if candidate[2][field] == 'id' and candidate[2][field + 1] == id then
          deleted = deleted + redis.call('XDEL', KEYS[2], candidate[1])
        end
      end
    end
  end
  if forget then
    redis.call('SREM', KEYS[3], id)
  elseif dead and deleted > before then
    redis.call('SADD', KEYS[3], id)
  end
end
return deleted
