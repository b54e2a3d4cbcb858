-- Keeps earlier writers of a partition out of one rule's set.
-- KEYS: the set's epochs (partition -> epoch). ARGV: partition, epoch.
-- Returns 0, and changes nothing, when a later epoch stands there.

if tonumber(ARGV[2]) < tonumber(redis.call("HGET", KEYS[1], ARGV[1]) or "0") then
  return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
return 1
