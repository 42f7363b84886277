-- What every call does round its script. VERBS has the scripts by name (encola/store/library.py).
local function answer_call(name, keys, argv)
  begin(keys, argv)
  local reply = VERBS[name](argv)
  finish()
  return reply
end
