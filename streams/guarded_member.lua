-- Puts customers into one rule's set, or takes them out, each unless a newer version did so before.
--
-- KEYS: the rule's sorted set, then the guard of each customer in it (same hash slot).
-- ARGV: seconds a guard is kept, then for each customer: version, customer id, opening time in epoch milliseconds
-- or "" to take it out.
-- Returns how many were written; for the others a newer version stands there.

local written = 0
for i = 2, #KEYS do
  local at = (i - 2) * 3 + 2
  local version, customer, opened = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if tonumber(version) >= tonumber(redis.call("GET", KEYS[i]) or "-1") then
    redis.call("SET", KEYS[i], version, "EX", ARGV[1])
    if opened == "" then
      redis.call("ZREM", KEYS[1], customer)
    else
      redis.call("ZADD", KEYS[1], opened, customer)
    end
    written = written + 1
  end
end
return written
