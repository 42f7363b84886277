-- Renews a worker's lease on everything it holds.
--
-- ARGV from 5: worker, lease_ms, info (JSON, '' = unchanged), register ('1': make it known), then two a
-- task that it holds: id, token
-- Returns {0} when the worker is unknown: its tasks may have been rescued.
-- Else {1, tasks leased to it, 1 when it is to drain, id, state, id, state, …}: of what it holds, those
-- that are no longer its own (cancelled, or rescued from it), with their state.
local worker, lease_ms, info, register = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
if register ~= '1' and not redis.call('ZSCORE', WORKERS, worker) then return {0} end
redis.call('ZADD', WORKERS, NOW + lease_ms, worker)
if info ~= '' then redis.call('SET', P .. 'worker:' .. worker, info) end

local drains = redis.call('SISMEMBER', PAUSED, 'worker:' .. worker)
local out = {1, redis.call('SCARD', P .. 'leased:' .. worker), drains}
for a = 9, #ARGV, 2 do
  local rec = load(ARGV[a])
  if not (rec and rec.worker == worker and rec.token == tonumber(ARGV[a + 1])) then
    out[#out + 1] = ARGV[a]
    out[#out + 1] = rec and rec.state or ''
  end
end
return out
