-- What a node has spent and holds of one budget is written down, and more is granted.
-- KEYS: 1 the budget  2 the epoch  3 the nodes that have told all in it  4 the budgets that are there
--       5 what administrators have ordered
-- ARGV: 1 node  2 epoch  3 sequence  4 the last one that was answered  5 time  6 tolerance, ms
--       7 width of a slot, ms  8 slots that are kept  9 limit  10 want  11 nodes  12 client
--       13 the reset since which it counts, NUMBER NODE  then slot, count …
-- Its fields: SLOT:NODE a count, q:NODE a sequence, g:NODE the reset since which this node counts,
-- and "seal": how many they are, and the sum of the counts.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local epoch = redis.call('GET', KEYS[2])
if epoch ~= ARGV[2] then return {-1, now} end
local tolerance = tonumber(ARGV[6])
if math.abs(now - ARGV[5]) > tolerance then return {-3, now} end
-- Something was lost, or somebody else wrote there: all is told anew.
local function damaged()
  redis.call('DEL', KEYS[1])
  return {-4, now}
end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then return damaged() end
if redis.call('TYPE', KEYS[4]).ok ~= 'zset' or not redis.call('ZSCORE', KEYS[4], epoch) then
  return damaged()
end
local until_then = tonumber(redis.call('ZSCORE', KEYS[4], KEYS[1]) or '0')
if kind == 'none' and until_then > now then return damaged() end
local fields, counts, since, total, seal = 0, {}, {}, 0, nil
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] == 'seal' then
    seal = all[i + 1]
  else
    fields = fields + 1
    local node = string.match(all[i], '^g:(.*)$')
    if node then since[node] = all[i + 1] end
    if string.match(all[i], '^%d+:') then
      local number = tonumber(all[i + 1])
      if not number or not (number >= 0 and number <= 4294967295) then return damaged() end
      counts[all[i]] = number
      total = total + number
    end
  end
end
if kind == 'hash' and seal ~= string.format('%.0f %.0f', fields, total) then return damaged() end
local number = 'q:' .. ARGV[1]
local before = tonumber(redis.call('HGET', KEYS[1], number) or '-1') or -1
if before > 2 ^ 53 or before < tonumber(ARGV[4]) and ARGV[4] ~= '0' then return damaged() end
if tonumber(ARGV[3]) <= before then return {-2, before} end
local function put(field, value)
  fields = fields + redis.call('HSET', KEYS[1], field, value)
end
put(number, ARGV[3])
put('g:' .. ARGV[1], ARGV[13])
local width, keep = tonumber(ARGV[7]), tonumber(ARGV[8])
local slot = math.floor(now / width)
-- What a node has counted before a reset is worth nothing, though it has not heard of that.
local function generation(text)
  local count, node = string.match(text or '', '^(%d+) (%S+)')
  return tonumber(count or '0'), node or ''
end
local order = redis.call('TYPE', KEYS[5]).ok == 'hash' and redis.call('HGET', KEYS[5], ARGV[12])
local reset, by = generation(order or '')
local function counts_since(text)
  local count, node = generation(text)
  return count > reset or count == reset and node >= by or reset == 0
end
local current = counts_since(ARGV[13])
local own = {}
for i = 14, #ARGV, 2 do
  if tonumber(ARGV[i]) >= slot - keep then own[ARGV[i] .. ':' .. ARGV[1]] = tonumber(ARGV[i + 1]) end
end
local sum, oldest = 0, -1
local function count(of, number)
  sum = sum + number
  if oldest < 0 or of < oldest then oldest = of end
end
for field, number in pairs(counts) do
  local of, node = string.match(field, '^(%d+):(.*)$')
  of = tonumber(of)
  if of < slot - keep or of > slot + 1 or (node == ARGV[1] and not own[field]) then
    redis.call('HDEL', KEYS[1], field)
    fields, total = fields - 1, total - number
  elseif node ~= ARGV[1] and counts_since(since[node]) then
    count(of, number)
  end
end
for field, number in pairs(own) do
  put(field, number)
  total = total + number - (counts[field] or 0)
  count(tonumber(string.match(field, '^%d+')), number)
end
local began = tonumber(string.match(epoch, ':(%d+)$')) or now
local nodes = tonumber(ARGV[11])
local complete = redis.call('SCARD', KEYS[3]) >= nodes or now - began >= width * (keep + 1)
local left, grant = math.max(0, tonumber(ARGV[9]) - sum), 0
-- A node that has not heard of the last reset is granted nothing: nobody would count it.
complete = complete and current
if complete then
  grant = math.min(tonumber(ARGV[10]), left, math.max(1, math.floor(left / (2 * nodes))))
end
if grant > 0 then
  local field = slot .. ':' .. ARGV[1]
  if not own[field] then fields = fields + 1 end
  redis.call('HINCRBY', KEYS[1], field, grant)
  total = total + grant
  if oldest < 0 then oldest = slot end
end
redis.call('HSET', KEYS[1], 'seal', string.format('%.0f %.0f', fields, total))
redis.call('PEXPIRE', KEYS[1], width * (keep + 2))
redis.call('ZADD', KEYS[4], now + width * (keep + 1), KEYS[1])
return {complete and 1 or 0, now, slot, grant, sum + grant, oldest}
