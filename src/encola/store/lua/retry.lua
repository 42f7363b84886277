-- A person runs a finished task again: same id, next attempt.
--
-- ARGV from 5: id
-- Returns {1, 'PENDING'} | {0, state} it has not finished | {-1, ''} unknown
-- Events: PENDING
local rec = load(ARGV[5])
if not rec then return {-1, ''} end
if not FINISHED[rec.state] then return {0, rec.state} end
leave_place(rec)
redis.call('HDEL', rec.key, 'r', 'e', 'ec', 'f', 'c', 'rn', 'rq', 'pl')
rec.retries, rec.crashes = 0, 0
-- The number of its last attempt; a finished record keeps it only there.
local attempts = redis.call('HGET', rec.key, 'at')
if attempts then
  rec.attempt = tonumber(string.match(attempts, '%[(%d+),[^%[]*$'))
  redis.call('HSET', rec.key, 'an', rec.attempt)
end
to_ready(rec, false)
emit(rec)
return {1, 'PENDING'}
