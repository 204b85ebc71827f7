"""What has to happen as a whole, as scripts that Redis runs without anything in between.

All that a consumer has not settled is pending in its group, each entry with a member that holds it. One of the members
is no subscription: `(delayed)` holds what is to come later, and the sorted set says when. Times are the server's.
"""

from typing import Final

_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local log, due = KEYS[1], KEYS[2]
local group, me = ARGV[1], ARGV[2]
"""

GATHER: Final = (
    _NOW
    + """
local room, claim_after, recover = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local held, found = {}, {}
for i = 6, #ARGV do held[ARGV[i]] = true end

local function members()
  local all = {}
  for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', log, group)) do
    local member = {}
    for i = 1, #fields, 2 do member[fields[i]] = fields[i + 1] end
    if member.name ~= me and member.name ~= '(delayed)' then table.insert(all, member) end
  end
  return all
end

for _, entry in ipairs(redis.call('XPENDING', log, group, '-', '+', 1000000, me)) do
  if held[entry[1]] then
    redis.call('XCLAIM', log, group, me, 0, entry[1], 'JUSTID')
  elseif recover then
    table.insert(found, entry[1])
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, room > 0 and room + 100 or 0)) do
  if #redis.call('XPENDING', log, group, id, id, 1, '(delayed)') == 1 then
    table.insert(found, id)
  else
    redis.call('ZREM', due, id)
  end
end

for _, member in ipairs(members()) do
  if member.idle >= claim_after and member.pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', log, group, member.name)
  elseif member.idle >= claim_after and room > 0 then
    for _, entry in ipairs(redis.call('XPENDING', log, group, '-', '+', room, member.name)) do
      table.insert(found, entry[1])
    end
  end
end

table.sort(found, function(one, other)
  local ms, seq = one:match('(%d+)-(%d+)')
  local other_ms, other_seq = other:match('(%d+)-(%d+)')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(seq) < tonumber(other_seq)
end)

local entries, gone = {}, 0
for i = 1, math.min(room, #found) do
  local id = found[i]
  local count = redis.call('XPENDING', log, group, id, id, 1)[1][4]
  local claimed = redis.call('XCLAIM', log, group, me, 0, id)[1]
  redis.call('ZREM', due, id)
  if claimed then table.insert(entries, {id, claimed[2], count + 1}) else gone = gone + 1 end
end

local others = {}
for _, member in ipairs(members()) do
  if member.pending > 0 then
    table.insert(others, member.name)
    table.insert(others, now - member.idle)
  end
end
local next_due = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
return {entries, next_due and math.max(0, next_due - now) or -1, others, gone}
"""
)
"""KEYS log, due; ARGV group, member, room, milliseconds after which others are dead, whether to recover, ids held.

Keeps what the member holds from being taken by others, and gives it up to `room` entries that come again: those that
are due, those of the dead, and, to recover, its own that it does not know of. Members that are dead and hold nothing
are deleted. Returns the entries, each with its attempt; in how many milliseconds more is due, or -1; who else holds
something, and when, by the server's time, it gave a sign of life; and how many entries were not in the stream any more.
"""

PUT_BACK: Final = (
    _NOW
    + """
local id, delay, count = ARGV[3], ARGV[4], ARGV[5]
if #redis.call('XPENDING', log, group, id, id, 1, me) == 1 then
  redis.call('ZADD', due, now + delay, id)
  redis.call('XCLAIM', log, group, '(delayed)', 0, id, 'RETRYCOUNT', count, 'JUSTID')
end
"""
)
"""KEYS log, due; ARGV group, member, id, milliseconds, attempt: has what the member holds come again after it."""

RELEASE: Final = (
    _NOW
    + """
local closing, in_flight = ARGV[3] == '1', {}
for i = 4, #ARGV do in_flight[ARGV[i]] = true end
for _, entry in ipairs(redis.call('XPENDING', log, group, '-', '+', 1000000, me)) do
  local id, count = entry[1], entry[4]
  if closing or not in_flight[id] then
    if not in_flight[id] then count = math.max(0, count - 1) end
    redis.call('ZADD', due, now, id)
    redis.call('XCLAIM', log, group, '(delayed)', 0, id, 'RETRYCOUNT', count, 'JUSTID')
  end
end
if closing then redis.call('XGROUP', 'DELCONSUMER', log, group, me) end
"""
)
"""KEYS log, due; ARGV group, member, whether it closes, ids in flight.

Has what the member holds come again at once, but for what is in flight; if it closes, that too, and the member is
deleted. What is not in flight was not delivered: that attempt does not count.
"""

DEAD_LETTER: Final = """
local log, dead = KEYS[1], KEYS[2]
local group, id = ARGV[1], ARGV[2]
if #redis.call('XPENDING', log, group, id, id, 1) == 1 then
  redis.call('XADD', dead, '*', unpack(ARGV, 3))
  redis.call('XACK', log, group, id)
end
"""
"""KEYS log, dead; ARGV group, id, fields: puts an entry aside that has not been settled meanwhile."""

GO_BACK: Final = """
local log, due = KEYS[1], KEYS[2]
local group, id = ARGV[1], ARGV[2]
for _, entry in ipairs(redis.call('XPENDING', log, group, '-', '+', 1000000)) do
  redis.call('XACK', log, group, entry[1])
end
redis.call('DEL', due)
redis.call('XGROUP', 'SETID', log, group, id)
"""
"""KEYS log, due; ARGV group, id: has the group get what comes after that id, and nothing else."""

TRIM: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return end
local time = redis.call('TIME')
local first = {math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]), 0}
local function keep(id)
  local ms, seq = id:match('(%d+)-(%d+)')
  ms, seq = tonumber(ms), tonumber(seq)
  if ms < first[1] or (ms == first[1] and seq < first[2]) then first = {ms, seq} end
end
local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
for _, fields in ipairs(groups) do
  local group = {}
  for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
  keep(group['last-delivered-id'])
  if group.pending > 0 then keep(redis.call('XPENDING', KEYS[1], group.name)[2]) end
end
if #groups > 0 then
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f-%.0f', first[1], first[2]))
end
"""
"""KEYS log; ARGV milliseconds: forgets what is older and all groups have settled."""
