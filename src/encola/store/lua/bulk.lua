-- Of some tasks, cancels or runs again those that fit a filter; or only counts them.
--
-- Each is looked at and acted on in one step, so that what is done is what the filter says of that
-- very moment. So is what the work itself, a task, has changed so far (bc): whoever goes on with it
-- after a crash knows the number.
--
-- ARGV from 5: action (cancel | retry)
--   the task whose work this is: id ('': nothing is changed, only counted), token, asked_ms, order number
--   '1' = tasks of the types bulk_cancel and bulk_retry too
--   the filter: state, type, user, queue ('' = any), since_ms, until_ms, beginning of the id ('' = any)
--   most tasks that may wait: what is run again stops short of more
--   ids …
-- Returns {those that fit, changed by this work in all} | {-1, 0} it is not its current attempt: nothing was done
--   | {those that fit up to the first that found no room, changed by this work in all, 'full', waiting}, or with
--   'taken', queue, type of the key there: that one and those after it are as they were
-- Events: REVOKED `cancelled`, or PENDING, one a task
--
-- Only what was accepted before the work, and, to run it again, had ended by then: what it has run again itself
-- and ends in the meantime is not its own next work.
local action, own, token = ARGV[5], ARGV[6], ARGV[7]
local asked_ms, before, bulk_too = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10] == '1'
local state, type, user, queue = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local since_ms, until_ms, beginning = tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[17]
local most = tonumber(ARGV[18])
local FIRST_ID = 19

local function is_wanted(rec)
  return (state == '' or rec.state == state) and (type == '' or rec.type == type)
    and (user == '' or rec.user == user) and (queue == '' or rec.queue == queue)
    and rec.created >= since_ms and rec.created < until_ms and string.sub(rec.id, 1, #beginning) == beginning
    and (bulk_too or (rec.type ~= 'bulk_cancel' and rec.type ~= 'bulk_retry'))
end

local function is_ripe(rec)
  if tonumber(rec.n) >= before then return false end
  if action == 'cancel' then return not FINISHED[rec.state] end
  return FINISHED[rec.state] and tonumber(redis.call('HGET', rec.key, 'f')) <= asked_ms
end

local mine = own ~= '' and load(own)
if own ~= '' and not (mine and holds(mine, token)) then return {-1, 0} end
local fitting = 0
local refused
for a = FIRST_ID, #ARGV do
  local rec = load(ARGV[a])
  if rec and is_wanted(rec) and is_ripe(rec) then
    if mine and action == 'retry' then
      refused = refusal(most, 1, {{rec.queue, rec.priority}})
      if refused then break end
      run_again(rec)
    end
    if mine and action == 'cancel' then cancel(rec, 'cancelled') end
    fitting = fitting + 1
  end
end
local changed = mine and redis.call('HINCRBY', mine.key, 'bc', fitting) or 0
return {fitting, changed, unpack(refused or {})}
