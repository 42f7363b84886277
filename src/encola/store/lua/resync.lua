-- Gives back what is leased to a worker and never reached it: the reply of a
-- claim was lost. Asked only while no claim is under way.
--
-- ARGV from 5: worker, then the ids that it holds
-- Returns the number given back to the head of their queues; a crash is counted only for one that had started.
local worker = ARGV[5]
local held = {}
for a = 6, #ARGV do held[ARGV[a]] = true end
local given = 0
for _, id in ipairs(redis.call('SMEMBERS', P .. 'leased:' .. worker)) do
  if not held[id] then
    local rec = load(id)
    if rec and rec.worker == worker and rec.started then
      -- It did arrive, and its end could not be written: uncounted, that would go on for ever.
      crashed(rec)
    elseif rec and rec.worker == worker then
      leave_place(rec)
      close_attempt(rec, 'released')
      to_ready(rec, true)
      emit(rec)
    else
      redis.call('SREM', P .. 'leased:' .. worker, id)
    end
    given = given + 1
  end
end
return given
