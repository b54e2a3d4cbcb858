-- Puts customers of one partition into one rule's set, or takes them out, if the set is fenced for this very writer.
-- KEYS: the rule's sorted set, its epochs. ARGV: partition, epoch, then for each customer: its id, and the opening
-- time in epoch milliseconds or "" to take it out.
-- Returns 0, and changes nothing, when another epoch stands there, or none: the set was lost.

if redis.call("HGET", KEYS[2], ARGV[1]) ~= ARGV[2] then
  return 0
end
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == "" then
    redis.call("ZREM", KEYS[1], ARGV[i])
  else
    redis.call("ZADD", KEYS[1], ARGV[i + 1], ARGV[i])
  end
end
return 1
