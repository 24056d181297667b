#!lua flags=allow-oom
-- Records the progress of a rebuild, which sale.lua replies while the sale is not ready.
--
-- ARGV  1 epoch of the rebuild   2 step, from 1
-- Reply 1 when recorded, 0 when this epoch's fence does not stand
--
-- Idempotent.

if call('HGET', SALE, 'fence') ~= ARGV[1] then
  return 0
end
call('HSET', SALE, 'step', ARGV[2])
return 1
