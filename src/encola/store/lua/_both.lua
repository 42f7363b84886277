-- Two scripts, one after the other: `first` and `second` are their texts (encola/store/library.py).
--
-- ARGV from 5: how many arguments of its own the first has, these, then those of the second
-- Returns both answers; in the place of one that broke off, its error. What the other did stands.
local own = tonumber(ARGV[5])
local function answer(script, from, to)
  local is_whole, got = pcall(script, {ARGV[1], ARGV[2], ARGV[3], ARGV[4], unpack(ARGV, from, to)})
  if is_whole then return got end
  -- Redis gives a table, Valkey 9 its text.
  return {err = type(got) == 'table' and got.err or tostring(got)}
end
return {answer(first, 6, 5 + own), answer(second, 6 + own, #ARGV)}
