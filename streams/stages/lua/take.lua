-- Makes its caller the one writer of a partition's view, unless the view is another deployment's.
-- KEYS: meta. ARGV: the deployment's name, partition.
-- Returns the name of the deployment whose view this is; if it is the caller's, then also the new epoch and the
-- changelog offset applied, nil when there is none. An epoch is above every earlier one: by the server's time also
-- above those that a wiped database has forgotten.

local app = redis.call("HGET", KEYS[1], "app")
if app and app ~= ARGV[1] then
  return {app}
end
local field = "epoch:" .. ARGV[2]
local now = redis.call("TIME")
local last = tonumber(redis.call("HGET", KEYS[1], field) or "0")
local epoch = string.format("%.0f", math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call("HSET", KEYS[1], "app", ARGV[1], field, epoch)
return {ARGV[1], epoch, redis.call("HGET", KEYS[1], ARGV[2])}
