-- Gives claimed tasks back.
--
-- ARGV from 5: how ('1': a child was lost that had taken it up; counts, parks the third time. '0': as it is.
--   'waiting': only what has not started), then two a task:
--   id, token
-- Without a crash they go to the head of their queue, and nothing is counted.
-- Returns one number a task: 1 given back | 2 parked | 3 it runs, and stays | 0 not held under that token
local was_crash, only_waiting = ARGV[5] == '1', ARGV[5] == 'waiting'
local out = {}
for a = 6, #ARGV, 2 do
  local rec = load(ARGV[a])
  if not (rec and holds(rec, ARGV[a + 1])) then
    out[#out + 1] = 0
  elseif only_waiting and rec.started then
    -- Its child has just taken it up, and the worker does not know yet: given back, it would run twice.
    out[#out + 1] = 3
  elseif was_crash then
    out[#out + 1] = crashed(rec, true) and 2 or 1
  else
    leave_place(rec)
    close_attempt(rec, 'released')
    to_ready(rec, true)
    emit(rec)
    out[#out + 1] = 1
  end
end
return out
