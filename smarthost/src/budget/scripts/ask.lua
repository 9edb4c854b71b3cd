-- What a node has spent and holds of one budget is written down, and more is granted.
-- KEYS: 1 the budget  2 the epoch  3 the nodes that have told all in it
-- ARGV: 1 node  2 epoch  3 sequence  4 whether the budget must be known  5 time  6 tolerance, ms
--       7 width of a slot, ms  8 slots that are kept  9 limit  10 want  11 nodes  then slot, count …
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('GET', KEYS[2])
if epoch ~= ARGV[2] then return {-1, now} end
if math.abs(now - ARGV[5]) > tonumber(ARGV[6]) then return {-3, now} end
local kind = redis.call('TYPE', KEYS[1]).ok
-- Somebody else wrote there: it is told anew.
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('DEL', KEYS[1])
  return {-4, now}
end
local number = 'q:' .. ARGV[1]
local before = tonumber(redis.call('HGET', KEYS[1], number) or '-1') or -1
if before > 2 ^ 53 then before = -1 end
if before < 0 and ARGV[4] == '1' then return {-4, now} end
if tonumber(ARGV[3]) <= before then return {-2, before} end
redis.call('HSET', KEYS[1], number, ARGV[3])
local width, keep = tonumber(ARGV[7]), tonumber(ARGV[8])
local slot = math.floor(now / width)
local own = {}
for i = 12, #ARGV, 2 do
  if tonumber(ARGV[i]) >= slot - keep then own[ARGV[i] .. ':' .. ARGV[1]] = tonumber(ARGV[i + 1]) end
end
local sum, oldest = 0, -1
local function count(of, number)
  sum = sum + number
  if oldest < 0 or of < oldest then oldest = of end
end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local of, node = string.match(all[i], '^(%d+):(.*)$')
  if of then
    of = tonumber(of)
    if of < slot - keep or of > slot + 1 or (node == ARGV[1] and not own[all[i]]) then
      redis.call('HDEL', KEYS[1], all[i])
    elseif node ~= ARGV[1] then
      count(of, math.max(0, math.min(tonumber(all[i + 1]) or 0, 1e9)))
    end
  end
end
for field, number in pairs(own) do
  redis.call('HSET', KEYS[1], field, number)
  count(tonumber(string.match(field, '^%d+')), number)
end
local since = tonumber(string.match(epoch, ':(%d+)$')) or now
local nodes = tonumber(ARGV[11])
local complete = redis.call('SCARD', KEYS[3]) >= nodes or now - since >= width * (keep + 1)
local left, grant = math.max(0, tonumber(ARGV[9]) - sum), 0
if complete then
  grant = math.min(tonumber(ARGV[10]), left, math.max(1, math.floor(left / (2 * nodes))))
end
if grant > 0 then
  redis.call('HINCRBY', KEYS[1], slot .. ':' .. ARGV[1], grant)
  if oldest < 0 then oldest = slot end
end
redis.call('PEXPIRE', KEYS[1], width * (keep + 2))
return {complete and 1 or 0, now, slot, grant, sum + grant, oldest}
