-- Behind the prelude of each script that does not check this by itself: the state of another system
-- is left alone. A key of another type has no owner.
local owner = redis.pcall('HGET', SALE, 'system')
if type(owner) == 'string' and is_of_another(owner) then
  return redis.error_reply('OTHER_SYSTEM the sale belongs to the system ' .. owner)
end

