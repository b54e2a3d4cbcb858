-- Moves a partition's applied offset forward, never back. KEYS: meta. ARGV: partition, offset before, offset after.
-- Returns 0, and changes nothing, when less is applied than the writer knows it wrote: the view was lost.

local stands = tonumber(redis.call("HGET", KEYS[1], ARGV[1]) or "-1")
if stands < tonumber(ARGV[2]) then
  return 0
end
if tonumber(ARGV[3]) > stands then
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
end
return 1
