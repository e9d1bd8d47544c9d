// Parts of the board that need no page.

import assert from 'node:assert/strict';
import { test } from 'node:test';

const assets = new URL('../../assets/board/', import.meta.url);
// A page has these; Node.js has not.
globalThis.location = {
  href: 'http://localhost/api/v1/logs/board',
  origin: 'http://localhost',
  pathname: '/api/v1/logs/board',
  search: '',
};
globalThis.sessionStorage = { getItem: () => null };
const load = (name) => import(new URL(name, assets));
const [query, json, { compare, tally }, { Rows, ROWS_MAX }, ranges, address, text] = await Promise.all(
  ['query.js', 'json.js', 'diff.js', 'rows.js', 'ranges.js', 'address.js', 'text.js'].map(load),
);

test('a term put in can be taken out again, and its opposite makes way', () => {
  const { withTerm } = query;
  for (const value of ['alice', 'a b', 'say "x"', 'back\\slash', '-dash', 'ünïcode', 'a:b', '*', '(x)', 'AND']) {
    const put = withTerm('refund', 'user_id', value, false);
    assert.equal(query.standing(put, 'user_id', value), 'wanted', put);
    assert.equal(withTerm(put, 'user_id', value, false), 'refund', put);
    const left = withTerm(put, 'user_id', value, true);
    assert.equal(query.standing(left, 'user_id', value), 'excluded', left);
    assert.equal(withTerm(left, 'user_id', value, true), 'refund', left);
  }
  assert.equal(withTerm('user_id:a x', 'user_id', 'b', false), 'x user_id:b');
  assert.equal(withTerm('a OR b', 'user_id', 'c', false), '(a OR b) user_id:c');
});

test('the service’s own entries are left out of whatever is asked', () => {
  assert.equal(query.asked('', false), '-resource_type:audit_log');
  assert.equal(query.asked(' a b', false), 'a b -resource_type:audit_log');
  assert.equal(query.asked('a OR b', false), '(a OR b) -resource_type:audit_log');
  assert.equal(query.asked('"a OR b"', false), '"a OR b" -resource_type:audit_log');
  assert.equal(query.asked('a', true), 'a');
});

test('what can be counted exactly is told from what cannot', () => {
  const { wanted, excluded, rest } = query.countable('severity:error action:view -user_id:bob refund message:x', true);
  assert.deepEqual(
    [...wanted],
    [
      ['severity', ['ERROR']],
      ['action', ['view', 'VIEW']],
    ],
  );
  assert.deepEqual([...excluded], [['user_id', ['bob']]]);
  assert.deepEqual(rest, ['refund', 'message:x']);
  for (const q of ['user_id:a OR user_id:b', '-(user_id:a)', 'user_id:a*', 'NOT user_id:a', 'user_id:a user_id:b']) {
    assert.ok(query.countable(q, true).rest.length > 0, q);
  }
});

test('json keeps what was written', () => {
  const written = '{"2":1.50,"1":12345678901234567890,"a":[1e400,-0,"\\u00e9\\n",{"__proto__":null}],"b":{},"c":[]}';
  const node = json.parse(written);
  assert.deepEqual(
    node.members.map(([key]) => key),
    ['2', '1', 'a', 'b', 'c'],
  );
  assert.equal(json.compact(node), written.replace('\\u00e9', 'é'));
  assert.equal(JSON.stringify(JSON.parse(json.pretty(node))), JSON.stringify(JSON.parse(written)));
  for (const wrong of ['', '{', '[1,]', '{"a"}', 'nul', '1 2', '"\n"x', '01x'])
    assert.throws(() => json.parse(wrong), SyntaxError, wrong);
  assert.throws(() => json.parse('['.repeat(100) + ']'.repeat(100)), SyntaxError);
});

test('what did not change is no change, whatever the order of keys', () => {
  const change = compare(json.parse('{"a":1,"b":[1,2,3]}'), json.parse('{"b":[1,3],"a":1.0}'));
  assert.deepEqual(tally(change), { added: 0, removed: 1, changed: 1 });
  const same = compare(json.parse('{"a":{"b":[1]}}'), json.parse('{"a":{"b":[1]}}'));
  assert.equal(same.kind, 'same');
  const reordered = compare(json.parse('{"a":1,"b":2}'), json.parse('{"b":2,"a":1}'));
  assert.deepEqual(tally(reordered), { added: 0, removed: 0, changed: 0 });
});

test('a difference leads from one to the other', () => {
  const apply = (change) => {
    if (change.kind === 'removed') return undefined;
    return change.kind === 'inside'
      ? change.parts.map(apply).filter(Boolean).map(String).join()
      : json.compact(change.after);
  };
  const lists = ['[]', '[1]', '[1,2,3]', '[3,2,1]', '[{"a":1},2]', '[2,{"a":2}]', '[1,1,2,2]', '[[1],[2]]'];
  for (const before of lists) {
    for (const after of lists) {
      const change = compare(json.parse(before), json.parse(after));
      const direct = compare(json.parse('[]'), json.parse(after));
      if (change.kind === 'same') assert.equal(before, after);
      else
        assert.equal(
          (change.parts ?? []).filter((part) => part.kind !== 'removed').length,
          JSON.parse(after).length,
          `${before} ${after}`,
        );
      assert.ok(apply(direct) !== null);
    }
  }
});

test('rows are bounded, in order, and found by their number', () => {
  const rows = new Rows();
  const row = (seq) => ({ seq });
  rows.addOlder(Array.from({ length: 60_000 }, (_, at) => row(60_000 - at)));
  rows.addNewer(Array.from({ length: 50_000 }, (_, at) => row(60_001 + at)));
  assert.ok(rows.length <= ROWS_MAX && rows.dropped);
  assert.deepEqual([rows.newest.seq, rows.newest.seq - rows.oldest.seq + 1], [110_000, rows.length]);
  for (const index of [0, 1, 49_999, 50_000, 50_001, rows.length - 1]) {
    assert.equal(rows.indexOf(rows.at(index).seq), index);
  }
  assert.equal(rows.indexOf(1), -1);
  rows.addNewer(Array.from({ length: 250_000 }, (_, at) => row(110_001 + at)));
  assert.ok(rows.length <= ROWS_MAX);
  assert.equal(rows.newest.seq - rows.oldest.seq + 1, rows.length);
});

test('an address says what it was made of, and nothing that it must not', () => {
  for (const view of [
    { q: 'a "b" c:d&e=f', range: { key: 'all' }, own: true, entry: null },
    { q: '', range: { from: 1_000, to: 2_000 }, own: false, entry: '01a2004d-e649-7000-8000-5dbc7ab40bcb' },
  ]) {
    assert.deepEqual(address.read(address.write(view)), view);
  }
  const read = address.read('?entry=../../tenants&range=x&from=y&to=z&own=2');
  assert.deepEqual(read, { q: '', range: { key: '24h' }, own: false, entry: null });
});

test('ranges begin where counting is fast, and have a bearable number of bars', () => {
  const now = Date.UTC(2026, 10, 21, 12, 34, 56);
  for (const { key, length } of ranges.PRESETS) {
    const { from, to } = ranges.bounds({ key }, now);
    assert.equal(to, null);
    if (length === null) continue;
    assert.ok(from <= now - length && from > now - length - 900_000);
    assert.ok((length / ranges.STEP[ranges.interval(length)]) * 4 <= 5_000, key);
  }
});

test('what cannot be seen is shown', () => {
  assert.equal(text.visible('a\u202eb\u0007\n\u200b👩‍💻é'), 'a‹U+202E›b␇↵‹U+200B›👩‍💻é');
  assert.equal(text.cut('👍'.repeat(10), 4), '👍👍👍👍…');
});
