-- A schedule's time has come: on to the next time, and the run enqueued, in one step.
--
-- ARGV from 5: most tasks that may wait, schedule id, due_ms ('' = now, because a person says so),
--   next_ms, run_ms (the time it runs for; '' = nothing is to run), run_by_ms (the run is of use up to then),
--   missed (times that passed without a run), then the task:
--   id, message, queue, priority, type, user, and the rule that all this was worked out by
-- Returns {'full', waiting}, {'taken', queue, type of the key there}, or
--   {1, task id, created_ms} enqueued | on to the next time without a run: {2} missed, {4} paused
--   {3, task id, created_ms} on to the next time; this very run is known already
--   {0} not due at that time: another scheduler was first | {-1} unknown
--   {-2} what was worked out is out of date: look again
-- Events: PENDING
--
-- Any number of schedulers may come with the same (schedule, time): the first one moves the schedule
-- on, so the others find it due at another time. A schedule that came to its old time again (clocks
-- set back, forgotten and declared anew) makes the same task id, which is known.
-- Not flagged allow-oom: on a full server it stays due, and what is missed by then follows its rule.
local id, due, next, run = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local run_by, missed = tonumber(ARGV[10]), tonumber(ARGV[11])
local task, message, queue, priority, type, user = ARGV[12], ARGV[13], ARGV[14], tonumber(ARGV[15]), ARGV[16], ARGV[17]
local key = schedule_key(id)
local kept = redis.call('HMGET', key, 'r', 'pa')
if not kept[1] then return {-1} end
local paused = due and kept[2]
if not due then
  run = NOW
elseif tonumber(redis.call('ZSCORE', SCHEDULES, id)) ~= due then
  return {0}
elseif kept[1] ~= ARGV[18] or due > NOW or next <= NOW or (run and run_by < NOW) then
  return {-2}
end
local rec = run and load(task)
if run and not rec and not paused then
  local refused = refusal(tonumber(ARGV[5]), 1, {{queue, priority}})
  if refused then return refused end
end

if due then
  redis.call('ZADD', SCHEDULES, next, id)
  if missed > 0 and not paused then redis.call('HINCRBY', key, 'mi', missed) end
end
if paused then return {4} end
if not run then return {2} end
if rec then return {3, rec.id, rec.created} end
rec = create(task, message, queue, priority, type, user, '')
to_ready(rec, false)
count(rec, 'enqueued')
emit(rec)
redis.call('LPUSH', P .. 'ran:' .. id, string.format('%.0f ', run) .. task)
redis.call('LTRIM', P .. 'ran:' .. id, 0, 9)
return {1, rec.id, rec.created}
