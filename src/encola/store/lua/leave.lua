-- A worker stops in good order: what it still holds is given back uncounted.
--
-- ARGV from 5: worker
-- Returns the number of tasks given back.
local worker = ARGV[5]
local ids = redis.call('SMEMBERS', P .. 'leased:' .. worker)
for _, id in ipairs(ids) do
  local rec = load(id)
  if rec and rec.worker == worker then
    leave_place(rec)
    close_attempt(rec, 'released')
    to_ready(rec, true)
    emit(rec)
  end
end
redis.call('ZREM', WORKERS, worker)
redis.call('SREM', PAUSED, 'worker:' .. worker)
redis.call('DEL', P .. 'leased:' .. worker, P .. 'worker:' .. worker, P .. 'inbox:' .. worker)
return #ids
