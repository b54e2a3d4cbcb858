-- Puts a customer into a rule's set, or takes it out, unless a newer version did so before.
--
-- KEYS: the rule's sorted set, the guard of this customer in it (same hash slot).
-- ARGV: version, customer id, opening time in epoch milliseconds or "" to take it out, guard seconds.
-- Returns 1 when written, 0 when a newer version stands there.

local version = tonumber(ARGV[1])
if version < tonumber(redis.call("GET", KEYS[2]) or "-1") then
  return 0
end
redis.call("SET", KEYS[2], ARGV[1], "EX", ARGV[4])
if ARGV[3] == "" then
  redis.call("ZREM", KEYS[1], ARGV[2])
else
  redis.call("ZADD", KEYS[1], ARGV[3], ARGV[2])
end
return 1
