-- What people do to a task, wherever it is: cancel it, run it again. Needs _record.lua and _places.lua.

-- Ends a task that has no outcome. A running one loses its lease at once, and its worker is told
-- to stop it; what it still tries to write is fenced.
local function cancel(rec, code)
  if rec.worker then
    local inbox = P .. 'inbox:' .. rec.worker
    redis.call('LPUSH', inbox, rec.token .. ' ' .. rec.id)
    redis.call('PEXPIRE', inbox, 600000)
  end
  leave_place(rec) -- a cancel ends it
  close_attempt(rec, 'cancelled')
  revoke(rec, code)
end

-- Forgets how a finished task ended: same id, next attempt, everything counted anew. Puts it nowhere yet.
local function start_anew(rec)
  leave_place(rec) -- it may be dead
  redis.call('HDEL', rec.key, 'r', 'e', 'ec', 'f', 'c', 'rn', 'rq', 'pl', 'bc')
  rec.retries, rec.crashes = 0, 0
  -- The number of its last attempt; a finished record keeps it only there.
  local attempts = ended_attempts(rec)
  if #attempts > 0 then
    rec.attempt = attempts[#attempts][1]
    redis.call('HSET', rec.key, 'an', rec.attempt)
  end
end

-- Puts a finished task back on its queue.
local function run_again(rec)
  start_anew(rec)
  to_ready(rec, false)
  emit(rec)
end
