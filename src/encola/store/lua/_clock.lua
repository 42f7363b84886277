-- The server's clock, in whole milliseconds (prefix: of our keys). The only place that reads it: the
-- tests put a clock of their own here.
local function now_ms(prefix)
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
