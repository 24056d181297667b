#!lua
-- Puts a winner's purchase into the outbox again, after its entry was lost.
--
-- ARGV  1 user   2 purchase id
-- Reply 1 when done, 0 when the user has no such purchase, or its entry is there
--
-- Idempotent. A purchase that the ledger has already may be put there again: recording is
-- idempotent too.
-- Identity and watermark are not checked: what is put there goes past the broker's fence, and the
-- ledger decides. A purchase of a former primary or of a state that was rolled back is recorded
-- where its buyer and its unit are free, moved, or found revoked, each as its message would be.

local epoch = call('HGET', SALE, 'epoch')
local winner = call('HGET', BUYERS, ARGV[1])
if not epoch or not winner then
  return 0
end
local unit, id, entry, mark = string.match(winner, WINNER)
if id ~= ARGV[2] or is_used(unit, mark) or #call('XRANGE', OUTBOX, entry, entry) > 0 then
  return 0
end
write_winner(ARGV[1], unit, id, epoch)
return 1
