-- Two scripts, one after the other, in one round trip.
--
-- ARGV from 5: the name of the first and of the second, how many arguments of its own the first has, these,
--   then those of the second
-- Returns both answers; in the place of one that broke off, its error. What the other did stands.
local own = tonumber(ARGV[7])
local function answer(name, from, to)
  local is_whole, got = pcall(VERBS[name], {ARGV[1], ARGV[2], ARGV[3], ARGV[4], unpack(ARGV, from, to)})
  if is_whole then return got end
  -- Redis gives a table, Valkey 9 its text.
  return {err = type(got) == 'table' and got.err or tostring(got)}
end
return {answer(ARGV[5], 8, 7 + own), answer(ARGV[6], 8 + own, #ARGV)}
