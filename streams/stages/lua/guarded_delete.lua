-- Deletes what stands of one customer, unless a later writer wrote or claimed it.
-- KEYS: profile, tags, rules, as for guarded_write. ARGV: epoch.
-- Returns 0, and changes nothing, when a later epoch stands there.

local written = tonumber(redis.call("HGET", KEYS[1], "epoch") or "0")
local claimed = tonumber(redis.call("HGET", KEYS[3], "#epoch") or "0")
if tonumber(ARGV[1]) < math.max(written, claimed) then
  return 0
end
redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
return 1
