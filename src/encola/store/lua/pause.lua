-- Pauses or resumes a queue: claims leave a paused one alone.
--
-- ARGV from 5: name as kept in the set ('queue:<name>'), on ('1' | '0'), queue to wake when resumed
-- Returns 1 changed | 0 it was so already
if ARGV[6] == '1' then return redis.call('SADD', PAUSED, ARGV[5]) end
local changed = redis.call('SREM', PAUSED, ARGV[5])
wake(ARGV[7])
return changed
