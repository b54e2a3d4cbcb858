-- Writes one customer's view unless a newer version stands there. All keys share the customer's hash slot.
--
-- KEYS: profile, tags, rules. `rules` holds, for each rule the customer may be a member of, the opening time last
-- written to the rule's set, or "?" while that write is under way; and the version under way in "#version", with
-- the token of who claimed it in "#claim".
-- ARGV: version, step, seconds a guard is kept, and the view as a JSON array: profile (object of texts, null for a
-- deleted customer), tags (object of texts), rules (object: rule -> opening time as text); the writer's token.
-- Step "claim" writes at once when no rule's set has to change, otherwise it marks the changing rules and returns
-- them; step "apply" writes after the sets were changed. It writes only on the claim it belongs to: one that was
-- wiped or cleared away took the sets with it, and an "apply" that came after would say that they are right.
--
-- Returns nil when a newer version stands here or the claim is gone, otherwise the list of rules whose set must change first.

local version, step = tonumber(ARGV[1]), ARGV[2]
local written = tonumber(redis.call("HGET", KEYS[1], "version") or "-1")
local claimed = tonumber(redis.call("HGET", KEYS[3], "#version") or "-1")
if version < math.max(written, claimed) then
  return false
end

if step == "apply" and redis.call("HGET", KEYS[3], "#claim") ~= ARGV[5] then
  return false
end

local view = cjson.decode(ARGV[4])
local profile, tags, rules = view[1], view[2], view[3]
if step == "claim" then
  local changing, seen = {}, {}
  local entries = redis.call("HGETALL", KEYS[3])
  for i = 1, #entries, 2 do
    local rule = entries[i]
    seen[rule] = true
    if rule ~= "#version" and rule ~= "#claim" and rules[rule] ~= entries[i + 1] then
      changing[#changing + 1] = rule
    end
  end
  for rule, _ in pairs(rules) do
    if not seen[rule] then
      changing[#changing + 1] = rule
    end
  end
  if #changing > 0 then
    redis.call("HSET", KEYS[3], "#version", ARGV[1], "#claim", ARGV[5])
    for _, rule in ipairs(changing) do
      redis.call("HSET", KEYS[3], rule, "?")
    end
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
replace(KEYS[3], rules)
if profile == cjson.null then
  -- What is left of a deleted customer is the guard, and that only while an older writer may still be about.
  redis.call("DEL", KEYS[1])
  redis.call("HSET", KEYS[3], "#version", ARGV[1])
  redis.call("EXPIRE", KEYS[3], ARGV[3])
else
  profile["version"] = ARGV[1]
  replace(KEYS[1], profile)
end
return {}
