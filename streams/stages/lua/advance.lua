-- Moves a partition's applied offset forward, never back.
-- KEYS: meta. ARGV: partition, epoch, offset before, offset after; "" for the latter says that nothing is applied.
-- Returns 0, and changes nothing, when the epoch is not the partition's last, or when less is applied than the
-- writer knows it wrote: the view is another writer's, or it was lost.

if redis.call("HGET", KEYS[1], "epoch:" .. ARGV[1]) ~= ARGV[2] then
  return 0
end
if ARGV[4] == "" then
  redis.call("HDEL", KEYS[1], ARGV[1])
  return 1
end
local stands = tonumber(redis.call("HGET", KEYS[1], ARGV[1]) or "-1")
if stands < tonumber(ARGV[3]) then
  return 0
end
if tonumber(ARGV[4]) > stands then
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[4])
end
return 1
