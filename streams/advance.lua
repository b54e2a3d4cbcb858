-- Moves a partition's applied offset forward, never back. KEYS: meta. ARGV: partition, offset.
if tonumber(ARGV[2]) > tonumber(redis.call("HGET", KEYS[1], ARGV[1]) or "-1") then
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
end
return 1
