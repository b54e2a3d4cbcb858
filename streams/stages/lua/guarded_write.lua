-- Writes one customer's view unless a newer version stands there. All keys share the customer's hash slot.
--
-- KEYS: profile, tags, rules. `rules` holds, for each rule the customer may be a member of, the opening time last
-- written to the rule's set, or "?" while that write is under way; then the version and the epoch that claimed it
-- stand in "#version" and "#epoch". Of a deleted customer, "#deleted" holds the version and "#epoch" the writer's.
-- ARGV: version, epoch, step, seconds a deleted customer is remembered, and the view as a JSON array: profile
-- (object of texts, null for a deleted customer), tags (object of texts), rules (object: rule -> opening time as text).
-- Step "claim" writes at once when no rule's set has to change, otherwise it marks the changing rules and returns
-- them; step "apply" writes after the sets were changed. It writes only on the claim it belongs to: one that was
-- wiped or cleared away took the sets with it, and an "apply" that came after would say that they are right.
--
-- Returns 0 when a later writer was here or the claim is gone, nil when a newer version stands here, otherwise the
-- list of rules whose set must change first.

local version, epoch, step = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local stands = redis.call("HMGET", KEYS[1], "version", "epoch")
local marks = redis.call("HMGET", KEYS[3], "#version", "#epoch", "#deleted")
if epoch < math.max(tonumber(stands[2] or "0"), tonumber(marks[2] or "0")) then
  return 0
end
if step == "apply" and (marks[1] ~= ARGV[1] or marks[2] ~= ARGV[2]) then
  return 0
end
if version < tonumber(stands[1] or marks[3] or "-1") then
  return false
end

local view = cjson.decode(ARGV[5])
local profile, tags, rules = view[1], view[2], view[3]
if step == "claim" then
  local changing, seen = {}, {}
  local entries = redis.call("HGETALL", KEYS[3])
  for i = 1, #entries, 2 do
    local rule = entries[i]
    seen[rule] = true
    if string.sub(rule, 1, 1) ~= "#" and rules[rule] ~= entries[i + 1] then
      changing[#changing + 1] = rule
    end
  end
  for rule, _ in pairs(rules) do
    if not seen[rule] then
      changing[#changing + 1] = rule
    end
  end
  if #changing > 0 then
    redis.call("HSET", KEYS[3], "#version", ARGV[1], "#epoch", ARGV[2])
    for _, rule in ipairs(changing) do
      redis.call("HSET", KEYS[3], rule, "?")
    end
    redis.call("PERSIST", KEYS[3])
    return changing
  end
end

local function replace(key, fields)
  redis.call("DEL", key)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  if #flat > 0 then
    redis.call("HSET", key, unpack(flat))
  end
end

replace(KEYS[2], tags)
if profile == cjson.null then
  -- What is left of a deleted customer keeps older writes out, and that only while one may still be under way.
  redis.call("DEL", KEYS[1])
  replace(KEYS[3], {["#deleted"] = ARGV[1], ["#epoch"] = ARGV[2]})
  redis.call("EXPIRE", KEYS[3], ARGV[4])
else
  replace(KEYS[3], rules)
  profile["version"], profile["epoch"] = ARGV[1], ARGV[2]
  replace(KEYS[1], profile)
end
return {}
