-- Gives claimed tasks back.
--
-- ARGV from 5: crashed ('1': a child was lost while it ran; counts, parks the third time), then two a task:
--   id, token
-- Without a crash they go to the head of their queue, and nothing is counted.
-- Returns one number a task: 1 given back | 2 parked | 0 not held under that token
local was_crash = ARGV[5] == '1'
local out = {}
for a = 6, #ARGV, 2 do
  local rec = load(ARGV[a])
  if not (rec and holds(rec, ARGV[a + 1])) then
    out[#out + 1] = 0
  elseif was_crash then
    out[#out + 1] = crashed(rec) and 2 or 1
  else
    leave_place(rec)
    close_attempt(rec, 'released')
    to_ready(rec, true)
    emit(rec)
    out[#out + 1] = 1
  end
end
return out
